"""The check digit of a VIN, at position 9, and what a caller reads of a VIN without a right one."""

from __future__ import annotations

_VALUES = dict(zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "012345678912345678123457923456789"), strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_DIGITS = "0123456789X"

WRONG = "the check digit at position 9 does not fit"
READ_AGAIN = "read the VIN again from the car or its papers"
NO_CHECK_DIGIT = "a car from before 1981 or from outside North America may have none"


def has_check_digit(vin: str) -> bool:
    """Tells whether position 9 is the check digit of 49 CFR 565.15(c). I, O and Q have no value there, so none fits."""
    if not has_only_vin_characters(vin):
        return False
    total = sum(_VALUES[character] * weight for character, weight in zip(vin, _WEIGHTS, strict=True))
    return vin[8] == _CHECK_DIGITS[total % 11]


def has_only_vin_characters(vin: str) -> bool:
    """Tells whether the VIN has no I, O and Q."""
    return set(vin) <= set(_VALUES)


def doubt(place: str) -> str:
    """Returns the notice about the VIN at a place of the arguments."""
    return f"{place}: {WRONG}, so a character may be wrong; {READ_AGAIN}; {NO_CHECK_DIGIT}."


def doubt_of_known_vin(place: str) -> str:
    """Returns the notice about a VIN that the dealer's feed has. It needs no reading again."""
    return f"{place}: {WRONG}, but the dealer's feed has this VIN."
