"""Reads JSON that others wrote, where a strict parser would refuse the whole of it for one character.

JSON.stringify writes half of an emoji as a lone surrogate when somebody cut the text in its middle, and some programs
begin a file with a byte order mark. RFC 8259, sections 8.1 and 8.2, leaves both to the reader.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from itertools import islice
from typing import Any

from pydantic_core import from_json

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""One escape of a text. Each match takes a whole escape, so that the second half of a backslash begins none."""

_REPLACEMENT = rb"\ufffd"

MAX_VALUES = 100_000
"""Values of one JSON text, where its reader does not allow fewer. A parsed value takes up to a hundred bytes, and some
microseconds in which nothing else is served."""

NOT_A_NUMBER = object()
"""Stands where a text has a number that JSON does not have. No model can read it as a value of any type."""

_PERHAPS_TOO_LARGE = re.compile(rb"[0-9](?:[eE]\+?[0-9]|[0-9]{299})")
"""Without it a text has only numbers that a float can hold, so that its values need not be looked at one by one."""

_TEXT_OR_LONG_NUMBER = re.compile(
    rb'(?P<text>"(?:[^"\\]++|\\.)*+"?+)|(?<![0-9])-?[0-9]{4000,}+(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+', re.DOTALL
)
"""Python reads no number of more than 4,300 digits. It never looks at a byte more than twice."""

_BLANK_CONTROLS = bytes.maketrans(bytes(range(0x20)), b" " * 0x20)
"""Between values a control character is a blank or a mistake, and inside a text it must be an escape."""

_MOST_BYTES_TO_MEND = 1024 * 1024
"""Replacing bytes that are no UTF-8 takes up to six times their memory."""

_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"(?P<is_key>\s*+:)?', re.DOTALL)
_VALUE = re.compile(rb'(?:[^",\[{]*+"(?:[^"\\]++|\\.)*+"?){0,2}+[^",\[{]*+(?:(?P<next>[,\[{]|(?="))|\Z)', re.DOTALL)
"""A key and a text at most, and the comma or bracket that the next value follows. It never looks twice at a byte."""


class TooManyValues(ValueError):
    """The text has more values than it may. Nothing of it was parsed."""


class RepeatedKey(ValueError):
    """An object holds the same key twice. The parser would drop all but the last."""


def refuse_many_values(raw: bytes, most: int = MAX_VALUES) -> None:
    """Counts the commas and opening brackets outside texts, which takes no memory. Raises TooManyValues."""
    # Each value but the outermost follows one of them. Few texts have so many that those inside texts matter.
    if sum(map(raw.count, (b",", b"[", b"{"))) <= most:
        return
    if any(match["next"] is not None for match in islice(_VALUE.finditer(raw), most, None)):
        raise TooManyValues(f"more than {most:,} values")


def mend_json(raw: bytes) -> bytes:
    """Returns the JSON text without a byte order mark, and with U+FFFD in the place of each lone surrogate."""
    raw = raw.removeprefix(BOM_UTF8)
    # Files in base64 are large and have no backslash. A search for one byte takes no time.
    if b"\\" not in raw or (b"\\ud" not in raw and b"\\uD" not in raw):
        return raw
    return _ESCAPE.sub(lambda escape: _REPLACEMENT if escape["lone"] else escape[0], raw)


def has_only_plain_texts(raw: bytes) -> bool:
    """Returns whether each text of the JSON text is visible ASCII, as far as that is seen without parsing it."""
    return raw.isascii() and b"\\" not in raw and b"\x7f" not in raw


def parse_lenient_json(raw: bytes) -> Any:
    """Returns the value of a JSON text that somebody else's program sent, with all that can be mended in it.

    Bytes that are not UTF-8, such as a name in Latin-1, become U+FFFD, and control characters become blanks. NaN,
    Infinity and numbers that are too large become `NOT_A_NUMBER`. Raises ValueError, also where the text is nested too
    deep, and TooManyValues.
    """
    refuse_many_values(raw)
    try:
        value = from_json(mend_json(raw), cache_strings="keys")
    except ValueError:
        if len(raw) > _MOST_BYTES_TO_MEND:
            raise
        text = raw.decode(errors="replace").encode().translate(_BLANK_CONTROLS)
        text = _TEXT_OR_LONG_NUMBER.sub(lambda part: part["text"] or b"NaN", text)
        value = from_json(mend_json(text), cache_strings="keys")
        return _mark_numbers(value)
    # A search for a word is many times as fast as one pattern for everything.
    is_odd = b"NaN" in raw or b"Infinity" in raw or _PERHAPS_TOO_LARGE.search(raw) is not None
    return _mark_numbers(value) if is_odd else value


def write_lenient_json(value: Any) -> bytes:
    """Returns a text that `parse_lenient_json` reads as `value` again."""
    return json.dumps(value, default=_nan, separators=(",", ":")).encode()


def _nan(_mark: object) -> float:
    return math.nan


def _mark_numbers(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return NOT_A_NUMBER
        case list():
            return [_mark_numbers(item) for item in value]
        case dict():
            return {name: _mark_numbers(item) for name, item in value.items()}
        case _:
            return value


def parse_strict_json(text: bytes, most_values: int = MAX_VALUES) -> Any:
    """Returns the value of a JSON text, which `mend_json` returned. NaN and Infinity are refused.

    Raises ValueError, also where the text is nested too deep, TooManyValues and RepeatedKey.
    """
    refuse_many_values(text, most_values)
    value = from_json(text, allow_inf_nan=False, cache_strings="keys")
    members = _count_members(value)
    # Each key has a colon. A text without other colons needs no closer look, which takes long where there is a file.
    if text.count(b":") > members and _count_keys(text) > members:
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
