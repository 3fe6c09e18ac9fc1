"""Reads the times of events as programs write them: JSON.stringify, Ruby's to_s, clocks in seconds or milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_TIME = re.compile(
    r"""
    (?P<date>\d{4}-\d\d-\d\d)
    (?: (?:T|[ ]+)
        (?: (?P<hours>[01]\d|2[0-3]) : (?P<minutes>[0-5]\d)
            (?: : (?P<seconds>[0-5]\d|60) (?: [.,] (?P<fraction>\d+) )? )?
          | (?P<midnight>24:00(?::00(?:[.,]0+)?)?)
        )
    )?
    [ ]* (?: (?P<utc>Z|UTC|GMT) | (?P<offset>[+-]\d\d) :? (?P<offset_minutes>\d\d)? )?
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_SECONDS = range(10**9, 10**11)
_MILLISECONDS = range(10**12, 10**14)
"""Numbers that are times since 1970. Both ranges begin in September 2001. A smaller number is no time of an event."""
_LONGEST_NUMBER = 14
"""Digits of such a number."""


def read_time(value: Any) -> datetime | None:
    """Returns the time in UTC, or None if `value` is no time.

    24:00 is the start of the next day, and second 60 that of the next minute. A time without an offset is UTC.
    """
    if isinstance(value, str):
        value = value.strip()
        if value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER:
            value = int(value)
    try:
        match value:
            case bool():
                return None
            case str():
                return _read_text(value)
            case int() | float():
                return _read_number(value)
            case _:
                return None
    except (ValueError, OverflowError):  # 30 February, an offset of 99 hours, a time before the year 1
        return None


def _read_text(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    offset = "+00:00"
    if match["offset"]:
        offset = f"{match['offset']}:{match['offset_minutes'] or '00'}"
    # Added to midnight, so that 24:00 and second 60 carry over.
    time_of_day = timedelta(
        hours=24 if match["midnight"] else int(match["hours"] or 0),
        minutes=int(match["minutes"] or 0),
        seconds=int(match["seconds"] or 0),
        microseconds=int((match["fraction"] or "0")[:6].ljust(6, "0")),
    )
    return (datetime.fromisoformat(f"{match['date']}T00:00:00{offset}") + time_of_day).astimezone(UTC)


def _read_number(number: float) -> datetime | None:
    if int(number) in _SECONDS:
        return datetime.fromtimestamp(number, UTC)
    if int(number) in _MILLISECONDS:
        return datetime.fromtimestamp(number / 1000, UTC)
    return None


EventTime = Annotated[datetime | None, BeforeValidator(read_time)]
"""A time of an event. It is None where it is missing or cannot be read, because the event counts more than its time."""
