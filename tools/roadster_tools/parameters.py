"""Parameter types that several tools share, each with its description, once.

A description is short, and stands only where the name does not say it: a model reads all of them with
every request. Values with a rule that a name suggests (a VIN, an email address) say nothing of it; who
breaks it is told.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from roadster_client.models.values import ID_PATTERN, VIN_PATTERN

PLAUSIBLE = "plausible"
"""Marks, in a derived schema, bounds that are checked and not published."""


def plausible(low: float, high: float) -> Any:
    """Bounds that refuse what nobody means: worth checking, not worth a model's reading."""
    return Field(ge=low, le=high, json_schema_extra={PLAUSIBLE: True})


def _vin(given: str) -> str:
    if re.fullmatch(VIN_PATTERN, given, re.IGNORECASE | re.ASCII) is None:
        raise ValueError("expected 17 letters and digits, without I, O and Q")
    return given.upper()


Vin = Annotated[str, AfterValidator(_vin)]

MOST = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""


def as_number(given: Any) -> Any:
    """An id of digits alone as the number that it is, anything else as it was given."""
    digits = isinstance(given, str) and re.fullmatch(ID_PATTERN, given)
    return int(given) if digits and int(given) <= MOST else given


NumericId = Annotated[int, Field(strict=True, gt=0, le=MOST), BeforeValidator(as_number)]
CustomerId = NumericId
DocumentId = NumericId


def whole_number(given: Any) -> str:
    """`given` as text. Written in one way, so without leading zeros: an id is compared as text. Raises ValueError."""
    text = str(given) if type(given) is int else given
    if not isinstance(text, str) or re.fullmatch(ID_PATTERN, text) is None:
        raise ValueError("expected a whole number above 0")
    return text


# A string in one place and a number in another, as the reference has these ids: either is taken.
_Number = Annotated[str, BeforeValidator(whole_number), WithJsonSchema({"type": "string"})]
TemplateId = _Number
OrderId = _Number
Months = Annotated[int, plausible(1, 120)]
Detail = Literal["brief", "full"]
Limit = Annotated[int, Field(ge=1, le=100)]
Cursor = Annotated[str, Field(max_length=500, description="next_cursor")]

IdempotencyKey = Annotated[str, Field(min_length=8, max_length=128, pattern=r"^[\x21-\x7e]*$")]
