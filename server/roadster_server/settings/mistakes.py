"""The mistakes of a configuration in plain words: one line for each setting, with its key and what to do.

Entries of a list have their numbers in the key, the first one 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ValidationError

from roadster_tools import MOST_CHOICES, name_choices, near_names
from roadster_tools.arguments.problems import broken_rule, names_at

from .files import TOP_KEYS

_A_TEXT = 'expected a text in quotes, as key = "value"'
_A_TABLE = "expected a table, with its keys below a heading in [ ]"
_A_LIST = 'expected a list, as key = ["value"]'
_A_NUMBER = "expected a whole number without quotes, as key = 5"
_A_BOOLEAN = "expected true or false, without quotes"
_WORDS: Mapping[str, str] = {
    "string_type": _A_TEXT,
    "path_type": _A_TEXT,
    "model_type": _A_TABLE,
    "model_attributes_type": _A_TABLE,
    "dict_type": _A_TABLE,
    "list_type": _A_LIST,
    "int_type": _A_NUMBER,
    "int_parsing": _A_NUMBER,
    "int_parsing_size": _A_NUMBER,
    "int_from_float": _A_NUMBER,
    "bool_type": _A_BOOLEAN,
    "bool_parsing": _A_BOOLEAN,
}
"""The text for each of pydantic's types of errors, in the words of TOML. The other types are `broken_rule`'s."""


def _is_for_tables(place: Sequence[str | int], settings: type[BaseModel]) -> bool:
    return names_at(place, settings) != names_at(place[:-1], settings)


def describe_mistakes(error: ValidationError, settings: type[BaseModel]) -> Iterator[str]:
    """Yields one line for each mistake."""
    for details in error.errors(include_url=False, include_input=False):
        place = details["loc"]
        key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in place)
        match details["type"]:
            case "extra_forbidden" | "model_type" if len(place) > 1 and place[-1] in TOP_KEYS:
                yield f"{key}: stands below a table, and counts as its key; put it before the first table"
            case "extra_forbidden":
                choices = _known_keys(names_at(place[:-1], settings), str(place[-1]))
                yield f"{key}: unknown key, expected {choices}; correct its spelling, or remove it"
            case "missing":
                yield f"{key}: is missing; add it"
            case "list_type" if _is_for_tables(place, settings):
                yield f"{key}: expected tables, each below a heading [[{key}]]"
            case kind:
                yield f"{key}: {_WORDS.get(kind) or broken_rule(details)}"


def _known_keys(names: list[str], name: str) -> str:
    """Returns the keys that are spelled like `name`, or all keys of the table."""
    is_long = len(names) > MOST_CHOICES and not near_names(names, name)
    return f"one of {', '.join(names)}" if is_long else name_choices(names, name)
