"""The problems of arguments in plain words. No other module knows pydantic's kinds of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z_]+(\.([A-Za-z_]+|[0-9]{1,3}))*")
"""Digits are allowed only as places in a list, because any other number may be somebody's data."""

_NOT_A_NUMBER = "expected a number"
_NOT_WHOLE = "expected a whole number"
NOT_WRITTEN_SO = "expected a number in plain digits, for instance 35000"
_NOT_A_LIST = "expected a list"
_NOT_AN_OBJECT = "expected an object"
_NOT_A_BOOLEAN = "expected true or false"
_NOT_A_TIME = "expected a time with its offset, for instance 2030-01-31T09:00:00-05:00"
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "expected text",
    "string_sub_type": "expected text",
    "int_type": _NOT_WHOLE,
    "int_parsing": NOT_WRITTEN_SO,
    "int_parsing_size": _NOT_WHOLE,
    "int_from_float": _NOT_WHOLE,
    "float_type": _NOT_A_NUMBER,
    "float_parsing": NOT_WRITTEN_SO,
    "finite_number": "expected a finite number",
    "bool_type": _NOT_A_BOOLEAN,
    "bool_parsing": _NOT_A_BOOLEAN,
    "datetime_type": _NOT_A_TIME,
    "datetime_parsing": _NOT_A_TIME,
    "datetime_from_date_parsing": _NOT_A_TIME,
    "datetime_object_invalid": _NOT_A_TIME,
    "timezone_aware": _NOT_A_TIME,
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
    "greater_than": "must be above {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "less_than": "must be below {lt:.15g}",
    "less_than_equal": "must be at most {le:.15g}",
}
"""The text for each of pydantic's types of errors. Braces take parts of the rule, never of the value that broke it."""

_FORMS: Mapping[str, str] = {
    "zip_code": "expected five digits",
    "file_name": "expected a name that ends in .jpg, .jpeg, .png (for an animated PNG too) or .pdf, without a folder",
    "idempotency_key": "expected letters, digits and signs without spaces",
}
"""The meaning of a pattern, by the argument that has it."""


def safe_name(name: str) -> str:
    """Returns an argument's name as an error may repeat it. It is the caller's own text and may be anything."""
    return name if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) else "an unknown name"


def problems_in(error: ValidationError, arguments: type[BaseModel]) -> dict[str, str]:
    """Returns the broken rule by argument, never the argument's value."""
    problems: dict[str, str] = {}
    explained_places: set[tuple[str | int, ...]] = set()
    for details in _independent(error.errors(include_url=False, include_input=False)):
        name = ".".join(str(part) for part in details["loc"])[:_LONGEST_NAME]
        if details["type"] == "extra_forbidden":
            place = details["loc"][:-1]
            choices = "" if place in explained_places else f"; there are: {', '.join(names_at(place, arguments))}"
            problems[safe_name(name)] = f"no such argument{choices}"
            explained_places.add(place)
        else:
            is_below = details["type"] in {"greater_than", "greater_than_equal"}
            hint = ", or left out" if is_below and _is_optional(details["loc"], arguments) else ""
            problems[name] = broken_rule(details) + hint
    return problems


def broken_rule(details: ErrorDetails) -> str:
    """Returns the rule that one of pydantic's errors is about, never the value that broke it."""
    kind, rule = details["type"], details.get("ctx", {})
    if kind == "value_error":  # our own words
        return details["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return _FORMS.get(str(details["loc"][-1]), "is not written as it must be")
    if kind in {"too_short", "string_too_short"} and rule.get("min_length") == 1:
        return "must not be empty"
    return _WORDS.get(kind, "is not what is expected here").format_map(rule)


def _independent(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leaves out errors that follow from others: pydantic calls a list too short where its items are wrong."""
    for details in errors:
        place = details["loc"]
        deeper = (other["loc"] for other in errors if len(other["loc"]) > len(place))
        if details["type"] != "too_short" or all(other[: len(place)] != place for other in deeper):
            yield details


def names_at(place: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    """Returns the names that the object at `place` may have. A step may also be a key of a mapping of models."""
    return list(_model_at(place, model).model_fields)


def _is_optional(place: Sequence[str | int], arguments: type[BaseModel]) -> bool:
    field = _model_at(place[:-1], arguments).model_fields.get(str(place[-1]))
    return field is not None and not field.is_required()


def _model_at(place: Sequence[str | int], arguments: type[BaseModel]) -> type[BaseModel]:
    model = arguments
    for part in place:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Returns the model in `annotation`: the type itself, the items of a list, or a member of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
