"""Parameter types that several tools share, each with its description, once."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_VIN = r"^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$"


def _vin(given: str) -> str:
    if re.fullmatch(_VIN, given) is None:
        raise ValueError("expected 17 letters and digits, without I, O and Q")
    return given.upper()


# The pattern stands in the schema alone: as a rule of pydantic's, its failure would read as a regular expression.
Vin = Annotated[str, AfterValidator(_vin), WithJsonSchema({"type": "string", "pattern": _VIN})]
MOST = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

CustomerId = Annotated[
    int, Field(strict=True, gt=0, le=MOST, description="Roadster's customer id, as create_customer returns it")
]
DocumentId = Annotated[int, Field(strict=True, gt=0, le=MOST, description="as list_documents shows it")]

_NUMBER = r"^[1-9][0-9]{0,15}$"


def _number(given: Any) -> str:
    """Written in one way, so without leading zeros: an id is compared as text."""
    text = str(given) if type(given) is int else given
    if not isinstance(text, str) or re.fullmatch(_NUMBER, text) is None:
        raise ValueError("expected a whole number above 0")
    return text


# A string in one place and a number in another, as the reference has these ids: either is taken.
_Number = Annotated[str, BeforeValidator(_number), WithJsonSchema({"type": "string", "pattern": _NUMBER})]
TemplateId = Annotated[_Number, Field(description="as list_templates shows it")]
OrderId = Annotated[_Number, Field(description="Roadster's order id")]
Detail = Annotated[
    Literal["brief", "full"], Field(description="full answers are large; brief holds what is said aloud")
]
Limit = Annotated[int, Field(ge=1, le=100, description="most rows to return")]
Cursor = Annotated[str, Field(max_length=500, description="next_cursor of the answer before, for the rows after it")]

DEALER_DESCRIPTION = "dpid from list_dealers; optional where you have one dealer"

IdempotencyKey = Annotated[
    str,
    Field(pattern=r"^[\x21-\x7e]{8,128}$", description="repeat the call with the same key and it is done once"),
]
