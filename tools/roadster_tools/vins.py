"""Checks the VINs of a call: the check digit, and the maker and year that a VIN names.

A read goes on with a doubtful VIN and says so, because cars before 1981 and of other markets have no check digit. A
write is refused, unless the dealer's own feed has the VIN. The refusal names VINs of the feed that are nearly the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio
from pydantic import BaseModel

from roadster_client import ClientError
from roadster_client.models.values import VIN_PATTERN, VinText

from .failures import InvalidArguments
from .gate.access import verdict
from .gate.gate import Grant
from .toolsets.inventory import list_inventory, vins_of_feed

_VALUES = dict(zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "012345678912345678123457923456789"), strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_DIGITS = "0123456789X"

_MISREAD = str.maketrans("IOQ", "100")
"""The characters that no VIN has, and those that they are taken for."""

_SECONDS = 10.0
"""For the search of the feed. The refusal does not wait longer for a VIN that may have been meant."""

_MOST_NEAR = 3

_WRONG = "the check digit at position 9 does not fit, so a character may be wrong"
_READ_AGAIN = "read the VIN again from the car or its papers"
_NO_CHECK_DIGIT = "a car from before 1981 or from outside North America may have none"

_MAKERS = (
    ("acura", "honda"),
    ("alfa romeo", "chrysler", "dodge", "fiat", "jeep", "maserati", "ram"),
    ("audi", "bentley", "lamborghini", "porsche", "volkswagen", "vw"),
    ("bmw", "mini", "rolls-royce"),
    ("buick", "cadillac", "chevrolet", "general motors", "gm", "gmc", "hummer", "oldsmobile", "pontiac", "saturn"),
    ("ford", "lincoln", "mercury"),
    ("genesis", "hyundai", "kia"),
    ("infiniti", "nissan"),
    ("jaguar", "land rover"),
    ("lexus", "scion", "toyota"),
    ("mazda",),
    ("mercedes", "mercedes-benz", "smart"),
    ("mitsubishi",),
    ("polestar", "volvo"),
    ("subaru",),
    ("tesla",),
)
"""The makes of each maker, in lower case. They share factories, so a VIN's first characters may name a sister make."""


async def check_vins(grant: Grant, values: Mapping[str, Any], *, writes: bool) -> None:
    """Adds a notice for each doubtful VIN in the arguments. Raises InvalidArguments for one that is not to be used."""
    problems: dict[str, str] = {}
    for place, vin, about in _vins_in(values):
        has_check_digit = _has_check_digit(vin)
        near = await _near_in_feed(grant, vin) if writes and not has_check_digit else []
        if not set(vin) <= set(_VALUES):
            problems[place] = f"has I, O or Q, which no VIN has{_words(near)}; {_READ_AGAIN}"
        elif has_check_digit:
            grant.notices.extend(f"{place}: {notice}" for notice in _contradictions(vin, about))
        elif writes and vin not in near:
            problems[place] = (
                f"{_WRONG}{_words(near)}; {_READ_AGAIN}; {_NO_CHECK_DIGIT}: a person enters it in Roadster"
            )
        else:
            grant.notices.append(f"{place}: {_WRONG}; {_READ_AGAIN}; {_NO_CHECK_DIGIT}.")
    if problems:
        raise InvalidArguments(problems)


def _vins_in(values: Any, place: str = "") -> Iterator[tuple[str, VinText, Mapping[str, Any]]]:
    """Returns each VIN with its place, and the arguments beside it."""
    parts: Mapping[str, Any] = {}
    if isinstance(values, BaseModel):
        parts = dict(values)
    elif isinstance(values, Mapping):
        parts = values
    elif isinstance(values, list | tuple):
        parts = {str(index): item for index, item in enumerate(values)}
    for name, value in parts.items():
        if isinstance(value, VinText):
            yield f"{place}{name}", value, parts
        else:
            yield from _vins_in(value, f"{place}{name}.")


def _has_check_digit(vin: str) -> bool:
    """Tells whether position 9 is the check digit of 49 CFR 565.15(c). I, O and Q have no value there, so none fits."""
    if not set(vin) <= set(_VALUES):
        return False
    total = sum(_VALUES[character] * weight for character, weight in zip(vin, _WEIGHTS, strict=True))
    return vin[8] == _CHECK_DIGITS[total % 11]


def _contradictions(vin: str, about: Mapping[str, Any]) -> Iterator[str]:
    """Returns the points in which the VIN contradicts the make and year beside it."""
    make, year = about.get("make"), about.get("year")
    if make is None and year is None:
        return
    import vininfo  # noqa: PLC0415 - few calls need it, and every start would pay for it

    details = vininfo.Vin(vin)
    if isinstance(make, str) and _is_of_another_maker(details.manufacturer, make):
        yield f"its first characters are those of {details.manufacturer}, and make is another one. Ask which is right."
    if isinstance(year, int) and details.years and year not in details.years:
        years = " or ".join(map(str, sorted(details.years)))
        yield f"its model year, at position 10, is {years}, and year is another one. Ask which is right."


def _is_of_another_maker(manufacturer: str, make: str) -> bool:
    """Tells whether both are known makes, of two makers. An unknown name may be another way to write any make."""
    makes, other_makes = _makes_beside(manufacturer), _makes_beside(make)
    return bool(makes) and bool(other_makes) and makes != other_makes


def _makes_beside(name: str) -> tuple[str, ...]:
    """Returns the makes of the maker. Its name may have more words than the make, such as the country."""
    words = f"{name.strip().casefold()} "
    return next((makes for makes in _MAKERS if words.startswith(tuple(f"{make} " for make in makes))), ())


def _words(near: list[str]) -> str:
    return f"; the dealer's feed has {' and '.join(near[:_MOST_NEAR])}, nearly the same" if near else ""


async def _near_in_feed(grant: Grant, vin: str) -> list[str]:
    """Returns the VINs of the dealer's feed that are `vin` or nearly. It is empty where the feed cannot be read."""
    if not verdict(grant.caller, replace(list_inventory, toolset="inventory")).is_allowed:
        return []
    feed: list[str] = []
    with anyio.move_on_after(_SECONDS):
        try:
            feed = await vins_of_feed(grant, vin.translate(_MISREAD))
        except ClientError:
            return []
    return [other for other in map(str.upper, feed) if re.fullmatch(VIN_PATTERN, other) and _is_near(vin, other)]


def _is_near(vin: str, other: str) -> bool:
    """Tells whether the VINs differ in at most one character, or in two neighbours that changed places."""
    text = vin.translate(_MISREAD)
    places = [place for place, pair in enumerate(zip(text, other, strict=True)) if pair[0] != pair[1]]
    match places:
        case [] | [_]:
            return True
        case [first, second]:
            return second == first + 1 and text[first] == other[second] and text[second] == other[first]
        case _:
            return False
