"""Parameter types that several tools share, each with its description, once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Vin = Annotated[
    str,
    Field(pattern=r"^[A-HJ-NPR-Za-hj-npr-z0-9]{17}$"),
    AfterValidator(str.upper),
]
CustomerId = Annotated[int, Field(gt=0, description="Roadster's customer id, as create_customer returns it")]
Detail = Annotated[
    Literal["brief", "full"], Field(description="full answers are large; brief holds what is said aloud")
]
Limit = Annotated[int, Field(ge=1, le=100, description="most rows to return")]
Cursor = Annotated[str, Field(max_length=500, description="next_cursor of the answer before, for the rows after it")]

DEALER_DESCRIPTION = "dpid from list_dealers; optional where you have one dealer"
