"""Reads JSON that others wrote, where a strict parser would refuse the whole of it for one character.

JSON.stringify writes half of an emoji as a lone surrogate when somebody cut the text in its middle, and some programs
begin a file with a byte order mark. RFC 8259, sections 8.1 and 8.2, leaves both to the reader.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from itertools import islice
from math import isfinite
from typing import Any

from pydantic_core import from_json

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""One escape of a text. Each match takes a whole escape, so that the second half of a backslash begins none."""

_REPLACEMENT = rb"\ufffd"

MAX_VALUES = 100_000
"""Values of one JSON text. A parsed value takes up to a hundred bytes, and some microseconds in which nothing else is
served."""

_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"(?P<is_key>\s*+:)?', re.DOTALL)
_VALUE = re.compile(rb'(?:[^",\[{]*+"(?:[^"\\]++|\\.)*+"?){0,2}+[^",\[{]*+(?:(?P<next>[,\[{]|(?="))|\Z)', re.DOTALL)
"""A key and a text at most, and the comma or bracket that the next value follows. It never looks twice at a byte."""


class TooManyValues(ValueError):
    """The text has more than `MAX_VALUES` values. Nothing of it was parsed."""


class RepeatedKey(ValueError):
    """An object holds the same key twice. The parser would drop all but the last."""


def refuse_many_values(raw: bytes) -> None:
    """Counts the commas and opening brackets outside texts, which takes no memory. Raises TooManyValues."""
    # Each value but the outermost follows one of them. Few texts have so many that those inside texts matter.
    if sum(map(raw.count, (b",", b"[", b"{"))) <= MAX_VALUES:
        return
    if any(match["next"] is not None for match in islice(_VALUE.finditer(raw), MAX_VALUES, None)):
        raise TooManyValues(f"more than {MAX_VALUES:,} values")


def mend_json(raw: bytes) -> bytes:
    """Returns the JSON text without a byte order mark, and with U+FFFD in the place of each lone surrogate."""
    raw = raw.removeprefix(BOM_UTF8)
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return raw
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape["lone"] else escape[0], raw)


def parse_lenient_json(raw: bytes) -> Any:
    """Returns the value of a JSON text, and None for NaN and Infinity, which JSON does not have.

    Bytes that are not UTF-8, such as a name in Latin-1, become U+FFFD. Raises ValueError, as `parse_json` does.
    """
    text = raw.decode("utf-8-sig", "replace").encode()
    return _without_nan(from_json(mend_json(text), cache_strings="keys"))


def _without_nan(value: Any) -> Any:
    match value:
        case float() if not isfinite(value):
            return None
        case list():
            return [_without_nan(item) for item in value]
        case dict():
            return {name: _without_nan(item) for name, item in value.items()}
        case _:
            return value


def parse_json(raw: bytes) -> Any:
    """Returns the value of a JSON text, after `mend_json`. Raises ValueError, also where it is nested too deep.

    NaN and Infinity are refused, because they are not JSON.
    """
    return from_json(mend_json(raw), allow_inf_nan=False, cache_strings="keys")


def parse_strict_json(raw: bytes) -> Any:
    """Returns the value of a JSON text, as `parse_json` does. Raises ValueError, TooManyValues and RepeatedKey."""
    refuse_many_values(raw)
    text = mend_json(raw)
    value = parse_json(text)
    if _count_keys(text) > _count_members(value):
        raise RepeatedKey("the same key twice in one object")
    return value


def _count_keys(text: bytes) -> int:
    return sum(match["is_key"] is not None for match in _TEXT.finditer(text))


def _count_members(value: Any) -> int:
    members = 0
    values = [value]
    while values:
        match values.pop():
            case dict() as json_object:
                members += len(json_object)
                values += json_object.values()
            case list() as items:
                values += items
    return members
