"""Reads a call's arguments as hosts and models write them, before the gate, the hashes and the audit see them.

Many fill optional arguments with blanks, write a whole number as 5.0, an amount as "$35,000" or a telephone number as a
number, or send an object as its JSON text. Each has the same meaning as the plain form, so it becomes that form here,
once for everything that follows. Values that are wrong stay as they are: the check of the arguments refuses them. What
it would misread is named as a problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel

from roadster_client import is_absent
from roadster_client.json_text import mend_json, parse_strict_json
from roadster_client.models.personal_forms import parse_name
from roadster_client.models.values import MOST

from .problems import NOT_WRITTEN_SO

_WRITTEN_NUMBER = re.compile(r"\s*(-?)\$?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?\s*", re.ASCII)
"""A number with a dollar sign, or with commas between groups of three digits. Both can be read in only one way."""

_AMBIGUOUS_NUMBER = re.compile(r"\s*-?\$?[1-9][0-9]{0,2}\.[0-9]{3}\s*", re.ASCII)
"""A number in which the dot may stand between thousands, as many people outside North America write it.

Nobody knows whether `35.000` is 35 or 35,000."""

_ID = re.compile(r"(?:.*_)?ids?")
"""The names of ids. A number that identifies something has only one spelling, and blanks around it go."""

HOST_ARGUMENTS = frozenset({"wait_for_previous", "toolCallId", "sessionId"})
"""Arguments that hosts put into every call for themselves: the first is Gemini CLI's, the others are n8n's. No tool has
an argument of such a name."""


@dataclass(frozen=True)
class ReadArguments:
    """The arguments in their plain form. `problems` are the numbers that can be read in two ways, by place."""

    values: dict[str, Any]
    problems: Mapping[str, str]


def read_arguments(arguments: Mapping[str, Any], model: type[BaseModel]) -> ReadArguments:
    """Returns the object with its values in their plain form, and without what counts as left out.

    `HOST_ARGUMENTS` count as left out beside the tool's own arguments, and not inside of them. Null and blank texts
    count as left out, so a required text that is blank is missing. An empty list or object counts as left out where it
    is optional, because no optional one has a meaning of its own while it is empty. So does a 0 for an optional text.
    """
    own_arguments = {name: value for name, value in arguments.items() if name not in HOST_ARGUMENTS}
    reading = _Reading()
    return ReadArguments(_read_object(own_arguments, model, reading, ""), reading.problems)


@dataclass
class _Reading:
    """The state while one call's arguments are read."""

    characters: int = 64 * 1024
    """Characters of JSON text that are still read. Reading takes a second for each megabyte or so."""
    problems: dict[str, str] = field(default_factory=dict)

    def take(self, text: str) -> bool:
        self.characters -= len(text)
        return self.characters >= 0


def _read_object(arguments: Mapping[str, Any], model: type[BaseModel], reading: _Reading, place: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in arguments.items():
        known = model.model_fields.get(name)
        if known is None:
            plain[name] = value  # refused later, under its name
            continue
        plain_value = _read(name, value, known.rebuild_annotation(), reading, f"{place}{name}")
        if not known.is_required():
            if isinstance(plain_value, list):
                plain_value = [item for item in plain_value if not is_absent(item)]
            if plain_value in ([], {}) or _is_filled_in(value, known.annotation):
                continue
        if not is_absent(plain_value):
            plain[name] = plain_value
    return plain


def _read(name: str, value: Any, annotation: Any, reading: _Reading, place: str) -> Any:
    """Returns a value in the plain form for a field of this name and type, and notes a problem at its place."""
    expected = _without_none(annotation)
    is_object = isinstance(expected, type) and issubclass(expected, BaseModel)
    is_list = get_origin(expected) in (list, tuple)
    if isinstance(value, float) and value.is_integer() and abs(value) <= MOST:
        value = int(value)
    if type(value) is int and 0 != abs(value) <= MOST and expected is str and not _is_name(name, annotation):
        return str(value)
    is_id = _ID.fullmatch(name) is not None
    if isinstance(value, str) and is_id and not is_list:
        value = value.strip()
    if isinstance(value, str) and expected in (int, float):
        # A percentage has often three digits behind the dot, and never thousands.
        is_ambiguous = _AMBIGUOUS_NUMBER.fullmatch(value) and not name.endswith("_percent")
        if is_ambiguous or "_" in value:  # the check of the arguments would take 1_000 for 1000
            reading.problems[place] = NOT_WRITTEN_SO
        return value if is_id else _read_number(value)
    if isinstance(value, str) and (is_object or is_list) and reading.take(value):
        value = _parse(value, dict if is_object else list)
    if isinstance(value, dict) and is_object:
        return _read_object(value, expected, reading, f"{place}.")
    if isinstance(value, list) and is_list:
        kind = get_args(expected)[0]
        return [_read(name, item, kind, reading, f"{place}.{number}") for number, item in enumerate(value)]
    return value


def _is_filled_in(value: Any, annotation: Any) -> bool:
    """Tells whether the value is a 0 instead of a text, which hosts write for an argument that nobody gave."""
    expected = _without_none(annotation)
    return type(value) in (int, float) and value == 0 and (expected is str or get_origin(expected) is Literal)


def _is_name(name: str, annotation: Any) -> bool:
    """Tells whether a number would say another thing than a text: in the place of a dealer, or of a person's name."""
    members = get_args(annotation)
    return name == "dealer" or AfterValidator(parse_name) in members or any(_is_name("", each) for each in members)


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
    """Returns the object or list in a JSON text, None for a null, and the text itself where it holds no such thing."""
    try:
        value = parse_strict_json(mend_json(text.encode()))
    except ValueError:
        return text
    return value if value is None or isinstance(value, kind) else text
