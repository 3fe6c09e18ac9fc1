"""Masking of personal data: the types of fields that hold it, in requests and in answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializationInfo, ValidationInfo

from .values import zero_padded

Audience = Literal["person", "model"]
"""Who a request is shown to: the person who confirms it, or a model that may not see personal data."""


def _masked(value: str, info: SerializationInfo) -> str:
    return MASK if info.context == "model" else value


Contact = Annotated[str, PlainSerializer(_masked)]
"""Contact data of a person in a request, and free text that holds them by habit."""


Email = Annotated[Contact, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


PersonalData = Literal["masked", "contact"]
"""What of a person's data whoever reads an answer may see; identity data they see never."""


PersonalDataClass = Literal["contact", "financial", "identity"]
"""What a field of an answer says of a person; it stands in the field's metadata, where tests find it."""


MASK = "***"


def _unless_shown(value: Any, info: ValidationInfo) -> Any:
    return value if info.context == "contact" or value in (None, "") else MASK


def _nothing_unless_shown(value: Any, info: ValidationInfo) -> Any:
    return value if info.context == "contact" else None


def _never_shown(value: Any) -> Any:
    return value if value in (None, "") else MASK


ContactData = Annotated[str, "contact", BeforeValidator(_unless_shown)]
"""Name, address, phone, email of a person in an answer, what other systems know them by, and free text that holds such
by habit: masked as it is read, but for who may see contact data."""


ContactZip = Annotated[ContactData, zero_padded(5)]
"""The zip code of a person's address."""


FinancialData = Annotated[str, "financial", BeforeValidator(_unless_shown)]
"""Income, rent, a credit score in an answer: kept from whoever contact data are kept from."""


FinancialAmount = Annotated[float | None, "financial", BeforeValidator(_nothing_unless_shown)]
"""The same as a number, in the currency's units: a mask is no number, so it is left out."""


IdentityData = Annotated[str, "identity", BeforeValidator(_never_shown)]
"""Social security, licence, government id and card numbers, birth dates: masked for everybody as they are read."""
