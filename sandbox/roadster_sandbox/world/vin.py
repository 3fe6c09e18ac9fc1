"""Vehicle identification numbers with valid check digits (49 CFR 565.15)."""

from __future__ import annotations

_VALUES = {
    **{digit: int(digit) for digit in "0123456789"},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    **dict(zip("PR", (7, 9), strict=True)),
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_YEARS = {2024: "R", 2025: "S", 2026: "T"}


def vin_check_digit(vin: str) -> str:
    """Returns the character that position 9 of `vin` must have: 0 to 9 or X.

    The character that `vin` has there is ignored. Raises ValueError unless `vin` has 17 allowed characters. I, O and Q
    are not allowed.
    """
    if len(vin) != len(_WEIGHTS) or not set(vin) <= set(_VALUES):
        raise ValueError("a VIN has 17 characters: digits and capital letters without I, O and Q")
    remainder = sum(_VALUES[character] * weight for character, weight in zip(vin, _WEIGHTS, strict=True)) % 11
    return "X" if remainder == 10 else str(remainder)  # noqa: PLR2004


def with_serial(vin: str, serial: int) -> str:
    """Returns the VIN of another vehicle of the same kind, year and plant."""
    tail = f"{vin[9:11]}{serial:06d}"
    return f"{vin[:8]}{vin_check_digit(f'{vin[:8]}0{tail}')}{tail}"


def new_vin(manufacturer: str, attributes: str, year: int, plant: str, serial: int) -> str:
    """Returns a VIN with a valid check digit.

    `manufacturer` is the world manufacturer identifier of 3 characters, and `attributes` describes the vehicle in 5.
    """
    tail = f"{_YEARS[year]}{plant}{serial:06d}"
    return f"{manufacturer}{attributes}{vin_check_digit(f'{manufacturer}{attributes}0{tail}')}{tail}"
