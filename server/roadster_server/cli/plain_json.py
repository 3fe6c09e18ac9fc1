"""Reads JSON that a person wrote. Each mistake is told with its place.

A key that stands twice is a mistake, because the parser would drop all but the last.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from pydantic_core import from_json

from roadster_client.json_text import RepeatedKey, TooManyValues, mend_json, parse_strict_json

_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]')


def read_json(text: str) -> Any:
    """Returns the JSON value in `text`. Raises ValueError with the mistake and its place, also for NaN.

    A number such as 1e400 would become Infinity, which a client leaves out of its call.
    """
    try:
        value = parse_strict_json(mend_json(text.encode()))
    except TooManyValues as error:
        raise ValueError(f"JSON with {error}") from None
    except RepeatedKey:
        raise ValueError(f"JSON with {_second_key(mend_json(text.encode()).decode())}") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not _is_finite(value):
        raise ValueError("JSON with a number that is too large to be read")
    return value


def _is_finite(value: Any) -> bool:
    match value:
        case float():
            return isfinite(value)
        case list():
            return all(map(_is_finite, value))
        case dict():
            return all(map(_is_finite, value.values()))
        case _:
            return True


def _second_key(text: str) -> str:
    """Returns the first key that stands a second time in its object, and the place. `text` must be JSON with one."""
    objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token[2] is not None:
            key = from_json(token[1])
            if key in objects[-1]:
                line = text.count("\n", 0, token.start()) + 1
                column = token.start() - text.rfind("\n", 0, token.start())
                return f"the key {token[1]} twice, the second at line {line} column {column}"
            objects[-1].add(key)
    raise AssertionError("no key stands twice")
