"""Checks the VINs of a call: the check digit, and the maker and year that a VIN names.

A read goes on with a doubtful VIN and says so, because cars before 1981 and of other markets have no check digit. A
write is refused, unless the dealer's own feed has the VIN. The refusal names VINs of the feed that are nearly the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import anyio
from pydantic import BaseModel

from roadster_client import ClientError
from roadster_client.models.values import VIN_PATTERN, VinText
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.access import verdict
from roadster_tools.gate.gate import Grant
from roadster_tools.toolsets.feed import feed_vins, find_in_feed
from roadster_tools.toolsets.inventory import list_inventory

from .check_digit import (
    NO_CHECK_DIGIT,
    READ_AGAIN,
    WRONG,
    doubt,
    doubt_of_known_vin,
    has_check_digit,
    has_only_vin_characters,
)

_MISREAD = str.maketrans("IOQ", "100")
"""The characters that no VIN has, and those that they are taken for."""

_SECONDS = 10.0
"""For the search of the feed. The refusal does not wait longer for a VIN that may have been meant."""

_MOST_NEAR = 3

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

_MAKERS_WITHOUT_ENTRY = {
    "3MV": "Mazda",
    "3PC": "Infiniti",
    "7MM": "Mazda",
    "7MU": "Toyota",
    "LPS": "Polestar",
    "YSM": "Polestar",
}
"""Makers by the first three characters of their VINs, of factories that vininfo does not have."""


class _InFeed(NamedTuple):
    """Tells whether the dealer's feed has the VIN itself, and holds its VINs that are nearly the same."""

    has_vin: bool = False
    near: Sequence[str] = ()
    has_read: bool = True
    """False where nobody looked."""


async def check_vins(grant: Grant, values: Mapping[str, Any], *, writes: bool) -> None:
    """Adds a notice for each doubtful VIN in the arguments. Raises InvalidArguments for one that is not to be used."""
    problems: dict[str, str] = {}
    has_read = False
    for place, vin, about in _vins_in(values):
        is_right = has_check_digit(vin)
        feed = await _look_in_feed(grant, vin) if writes and not is_right else _InFeed(has_read=False)
        has_read = has_read or feed.has_read
        if not has_only_vin_characters(vin):
            problems[place] = f"has I, O or Q, which no VIN has{_words(feed.near)}; {READ_AGAIN}"
        elif is_right:
            grant.notices.extend(f"{place}: {notice}" for notice in _contradictions(vin, about))
        elif feed.has_vin:
            grant.notices.append(doubt_of_known_vin(place))
        elif writes:
            problems[place] = (
                f"{WRONG}, so a character may be wrong{_words(feed.near)}; {READ_AGAIN}; {NO_CHECK_DIGIT}: "
                "a person enters it in Roadster"
            )
        else:
            grant.notices.append(doubt(place))
    if problems:
        raise InvalidArguments(problems, has_read=has_read)


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


def _contradictions(vin: str, about: Mapping[str, Any]) -> Iterator[str]:
    """Returns the points in which the VIN contradicts the make and year beside it."""
    make, year = about.get("make"), about.get("year")
    if make is None and year is None:
        return
    import vininfo  # noqa: PLC0415 - few calls need it, and every start would pay for it

    details = vininfo.Vin(vin)
    manufacturer = _MAKERS_WITHOUT_ENTRY.get(vin[:3], details.manufacturer)
    if isinstance(make, str) and _is_of_another_maker(manufacturer, make):
        yield f"its first characters are those of {manufacturer}, and make is another one. Ask which is right."
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


def _words(near: Sequence[str]) -> str:
    return f"; the dealer's feed has {' and '.join(near[:_MOST_NEAR])}, nearly the same" if near else ""


async def _look_in_feed(grant: Grant, vin: str) -> _InFeed:
    """Looks for a VIN without a right check digit. A feed that cannot be read has nothing."""
    # The tool in `TOOLS` has its toolset, but `TOOLS` is made of modules that import this one.
    if not verdict(grant.caller, replace(list_inventory, toolset="inventory")).is_allowed:
        return _InFeed(has_read=False)
    as_read = vin.translate(_MISREAD)
    vins: list[str] = []
    with anyio.move_on_after(_SECONDS):
        try:
            if await find_in_feed(grant.roadster, as_read, await grant.vehicles.feed_vin(as_read)):
                return _InFeed(has_vin=as_read == vin, near=[as_read])
            vins = await grant.remember_vins(lambda: feed_vins(grant))
        except ClientError:
            return _InFeed()
    readable = [other for other in vins if re.fullmatch(VIN_PATTERN, other)]
    return _InFeed(vin in readable, [other for other in readable if _is_near(vin, other)])


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
