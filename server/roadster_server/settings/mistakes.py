"""The mistakes of a configuration in plain words: one line for each setting, with its key and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from roadster_tools import name_choices
from roadster_tools.problems import broken_rule

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


def describe_mistakes(error: ValidationError, settings: type[BaseModel]) -> Iterator[str]:
    """Yields one line for each mistake."""
    for details in error.errors(include_url=False, include_input=False):
        place = details["loc"]
        key = ".".join(map(str, place))
        match details["type"]:
            case "extra_forbidden":
                choices = name_choices(_keys_at(place[:-1], settings), str(place[-1]))
                yield f"{key}: unknown key, expected {choices}; correct its spelling, or remove it"
            case "missing":
                yield f"{key}: is missing; add it"
            case kind:
                yield f"{key}: {_WORDS.get(kind) or broken_rule(details)}"


def _keys_at(place: Sequence[str | int], settings: type[BaseModel]) -> list[str]:
    """Returns the keys that the table at `place` may have."""
    annotation: Any = settings
    for part in place:
        model = _model_in(annotation)
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif model is not None and isinstance(part, str):
            annotation = model.model_fields[part].annotation
    model = _model_in(annotation)
    return [] if model is None else list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Returns the model that the type is, or that it is or None."""
    candidates = (annotation, *get_args(annotation))
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)
