"""Reads a call's arguments as hosts and models write them, before the gate, the hashes and the audit see them.

Many fill optional arguments with blanks, write a whole number as 5.0, an amount as "$35,000" or a telephone number as a
number, or send an object as its JSON text. Each has the same meaning as the plain form, so it becomes that form here,
once for everything that follows. Values that are wrong stay as they are: the check of the arguments refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from roadster_client import is_absent
from roadster_client.json_text import parse_strict_json

from .parameters import MOST

_WRITTEN_NUMBER = re.compile(r"\s*(-?)\$?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?\s*", re.ASCII)
"""A number with a dollar sign, or with commas between groups of three digits. Both can be read in only one way."""

_ID = re.compile(r"(?:.*_)?ids?")
"""The names of ids. A number that identifies something has only one spelling."""

HOST_ARGUMENTS = frozenset({"wait_for_previous", "toolCallId", "sessionId"})
"""Arguments that hosts put into every call for themselves: the first is Gemini CLI's, the others are n8n's. No tool has
an argument of such a name."""


def read_arguments(arguments: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Returns the object with its values in their plain form, and without what counts as left out.

    `HOST_ARGUMENTS` count as left out beside the tool's own arguments, and not inside of them. Null and blank texts
    count as left out, so a required text that is blank is missing. An empty list or object counts as left out where it
    is optional, because no optional one has a meaning of its own while it is empty.
    """
    own_arguments = {name: value for name, value in arguments.items() if name not in HOST_ARGUMENTS}
    return _read_object(own_arguments, model, _Allowance())


@dataclass
class _Allowance:
    """Characters of JSON text that are still read for one call. Reading takes a second for each megabyte or so."""

    characters: int = 64 * 1024

    def take(self, text: str) -> bool:
        self.characters -= len(text)
        return self.characters >= 0


def _read_object(arguments: Mapping[str, Any], model: type[BaseModel], allowance: _Allowance) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in arguments.items():
        field = model.model_fields.get(name)
        if field is None:
            plain[name] = value  # refused later, under its name
            continue
        plain_value = _read(name, value, field.annotation, allowance)
        if not field.is_required():
            if isinstance(plain_value, list):
                plain_value = [item for item in plain_value if not is_absent(item)]
            if plain_value in ([], {}):
                continue
        if not is_absent(plain_value):
            plain[name] = plain_value
    return plain


def _read(name: str, value: Any, annotation: Any, allowance: _Allowance) -> Any:
    """Returns a value in the plain form for a field of this name and type."""
    expected = _without_none(annotation)
    is_object = isinstance(expected, type) and issubclass(expected, BaseModel)
    is_list = get_origin(expected) in (list, tuple)
    if isinstance(value, float) and value.is_integer() and abs(value) <= MOST:
        value = int(value)
    if type(value) is int and abs(value) <= MOST and expected is str and name != "dealer":
        return str(value)
    if isinstance(value, str) and expected in (int, float) and _ID.fullmatch(name) is None:
        return _read_number(value)
    if isinstance(value, str) and (is_object or is_list) and allowance.take(value):
        value = _parse(value, dict if is_object else list)
    if isinstance(value, dict) and is_object:
        return _read_object(value, expected, allowance)
    if isinstance(value, list) and is_list:
        return [_read(name, item, get_args(expected)[0], allowance) for item in value]
    return value


def _read_number(text: str) -> Any:
    """Returns the number that a person wrote with a dollar sign or commas, and any other text unchanged."""
    parts = _WRITTEN_NUMBER.fullmatch(text)
    if parts is None or not set("$,") & set(text):
        return text
    sign, digits, decimals = parts.groups("")
    number = float(f"{sign}{digits.replace(',', '')}{decimals}")
    if abs(number) > MOST:
        return text
    return int(number) if number.is_integer() else number


def _without_none(annotation: Any) -> Any:
    """Returns the type itself, without its metadata and without the None of an optional one."""
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _without_none(next(member for member in get_args(annotation) if member is not NoneType))
    return annotation


def _parse(text: str, kind: type) -> Any:
    """Returns the object or list in a JSON text, and the text itself where it holds no such thing."""
    try:
        value = parse_strict_json(text.encode())
    except ValueError:
        return text
    return value if isinstance(value, kind) else text
