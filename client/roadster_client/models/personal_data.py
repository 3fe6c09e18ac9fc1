"""Masks personal data: the types of the fields that hold it, in requests and in answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SerializationInfo, ValidationInfo

from .personal_forms import parse_any_phone, parse_email, parse_name
from .reader import reader_of
from .values import Number, zero_padded

MASK = "***"

Audience = Literal["person", "model"]
"""Readers of a request: the person who confirms it, or a model, which must not see contact data."""

PersonalDataClass = Literal["contact", "financial", "identity"]
"""The kind of personal data in a field of an answer. It stands in the field's metadata, for tests and recordings."""


def _mask_for_model(value: str, info: SerializationInfo) -> str:
    return MASK if info.context == "model" else value


def _mask_unless_contact(value: Any, info: ValidationInfo) -> Any:
    return value if reader_of(info).sees_contact_data or value in (None, "") else MASK


def _drop_unless_contact(value: Any, info: ValidationInfo) -> Any:
    return value if reader_of(info).sees_contact_data else None


def _mask_always(value: Any) -> Any:
    return value if value in (None, "") else MASK


Contact = Annotated[str, PlainSerializer(_mask_for_model)]
"""Contact data of a person in a request, or free text that often holds some."""

PersonName = Annotated[Contact, AfterValidator(parse_name)]
Email = Annotated[Contact, AfterValidator(parse_email)]
Phone = Annotated[Contact, AfterValidator(parse_any_phone)]

ContactData = Annotated[str, "contact", BeforeValidator(_mask_unless_contact)]
"""Contact data of a person in an answer: name, address, phone, email, an id of another system, or free text that often
holds such data. Masked as it is read, unless the reader may see contact data."""

ContactZip = Annotated[ContactData, zero_padded(5)]
"""The zip code of a person's address."""

FinancialData = Annotated[str, "financial", BeforeValidator(_mask_unless_contact)]
"""Income, rent or a credit score in an answer. Masked wherever contact data is."""

FinancialAmount = Annotated[Number | None, "financial", BeforeValidator(_drop_unless_contact)]
"""The same as an amount, in the currency's units. It becomes None instead, because a mask is not a number."""

IdentityData = Annotated[str, "identity", BeforeValidator(_mask_always)]
"""Numbers of social security, licences, government ids and cards, and birth dates. Masked for everybody."""
