"""The parameter types that several tools share, each with its description.

A model reads all descriptions with every request, so they are short, and a parameter with a clear name has none. A
value with a well-known form (a VIN, an email address) has no description either: the error message explains the form.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from roadster_client.models.values import ID_PATTERN, MOST

NAMES_ONLY = "names_only"
"""The mark, in a derived schema, of an object that is published with the names and types of its fields only."""


def names_only(description: str | None = None) -> Any:
    """Returns a field of an object that a tool also takes elsewhere, or that explains itself, to save tokens.

    Which of its fields are required, and their formats, are checked and not published.
    """
    return Field(description=description, json_schema_extra={NAMES_ONLY: True})


def as_number(value: Any) -> Any:
    """Returns an id that consists of digits as a number, and anything else unchanged."""
    digits = isinstance(value, str) and re.fullmatch(ID_PATTERN, value)
    return int(value) if digits and int(value) <= MOST else value


NumericId = Annotated[int, Field(strict=True, gt=0, le=MOST), BeforeValidator(as_number)]
CustomerId = NumericId
DocumentId = NumericId


def whole_number(value: Any) -> str:
    """Returns a whole number above 0 as text. Raises ValueError.

    Ids are compared as text, so only one spelling of each is valid: a number with leading zeros is not.
    """
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or re.fullmatch(ID_PATTERN, text) is None:
        raise ValueError("expected a whole number above 0")
    return text


# The reference has these ids as a string in one place and as a number in another, so both are valid.
_Number = Annotated[str, BeforeValidator(whole_number), WithJsonSchema({"type": "string"})]
TemplateId = _Number
OrderId = _Number
Detail = Literal["brief", "full"]
Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str, Field(max_length=500)]

IdempotencyKey = Annotated[str, Field(min_length=8, max_length=128, pattern=r"^[\x21-\x7e]*$")]
