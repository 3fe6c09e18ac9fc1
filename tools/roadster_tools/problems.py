"""What is wrong with arguments, in plain words: the one place that knows pydantic's kinds of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z_]+(\.([A-Za-z_]+|\d{1,3}))*")
"""Without digits but for places in a list: a number may be somebody's."""

_NOT_A_NUMBER = "expected a number"
_NOT_WHOLE = "expected a whole number"
_NOT_A_LIST = "expected a list"
_NOT_AN_OBJECT = "expected an object"
_NO_TRUTH = "expected true or false"
_NO_TIME = "expected a time with its offset, for instance 2030-01-31T09:00:00-05:00"
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "expected text",
    "string_sub_type": "expected text",
    "int_type": _NOT_WHOLE,
    "int_parsing": _NOT_WHOLE,
    "int_parsing_size": _NOT_WHOLE,
    "int_from_float": _NOT_WHOLE,
    "float_type": _NOT_A_NUMBER,
    "float_parsing": _NOT_A_NUMBER,
    "finite_number": "expected a finite number",
    "bool_type": _NO_TRUTH,
    "bool_parsing": _NO_TRUTH,
    "datetime_type": _NO_TIME,
    "datetime_parsing": _NO_TIME,
    "datetime_from_date_parsing": _NO_TIME,
    "datetime_object_invalid": _NO_TIME,
    "timezone_aware": _NO_TIME,
    "list_type": _NOT_A_LIST,
    "tuple_type": _NOT_A_LIST,
    "dict_type": _NOT_AN_OBJECT,
    "model_type": _NOT_AN_OBJECT,
    "model_attributes_type": _NOT_AN_OBJECT,
    "literal_error": "expected {expected}",
    "too_short": "is too short: at least {min_length}",
    "too_long": "is too long: at most {max_length}",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
}
"""By pydantic's type of error; in braces, what the rule itself says, never the value that broke it."""

_FORMS: Mapping[str, str] = {
    "email": "expected an email address",
    "zip_code": "expected five digits",
    "file_name": "expected a name that ends in .jpg, .jpeg, .png or .pdf, without a folder",
    "idempotency_key": "expected letters, digits and signs without spaces",
}
"""What a pattern means, by the argument that has it."""


def safe_name(given: str) -> str:
    """An argument's name as an error may repeat it: it is the caller's own text, and may be anything."""
    return given if len(given) <= _LONGEST_NAME and _NAME.fullmatch(given) else "an unknown name"


def problems(error: ValidationError, arguments: type[BaseModel]) -> dict[str, str]:
    """By argument what rule it breaks, never what it held."""
    told: dict[str, str] = {}
    listed: set[tuple[str | int, ...]] = set()
    for found in _own(error.errors(include_url=False, include_input=False)):
        name = ".".join(str(part) for part in found["loc"])[:_LONGEST_NAME]
        if found["type"] == "extra_forbidden":
            of = found["loc"][:-1]
            there_are = "" if of in listed else f"; there are: {', '.join(_known(arguments, of))}"
            told[safe_name(name)] = f"no such argument{there_are}"
            listed.add(of)
        else:
            told[name] = broken_rule(found)
    return told


def broken_rule(found: ErrorDetails) -> str:
    """What rule one of pydantic's errors says is broken, never what broke it."""
    kind, rule = found["type"], found.get("ctx", {})
    if kind == "value_error":  # our own words
        return found["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return _FORMS.get(str(found["loc"][-1]), "is not written as it must be")
    if kind in {"too_short", "string_too_short"} and rule.get("min_length") == 1:
        return "must not be empty"
    return _WORDS.get(kind, "is not what is expected here").format_map(rule)


def _own(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """All but those that follow from others: a list is found too short where its items are what is wrong."""
    for found in errors:
        place = found["loc"]
        inside = (other["loc"] for other in errors if len(other["loc"]) > len(place))
        if found["type"] != "too_short" or all(other[: len(place)] != place for other in inside):
            yield found


def _known(arguments: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The names that the object at `place` may have."""
    model = arguments
    for part in place:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that `annotation` is of, or a list of, or may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
