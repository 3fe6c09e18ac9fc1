"""The value types of the documents, and how each is read where the documents disagree with themselves."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
)


def _digits(width: int) -> BeforeValidator:
    """Reads an int as the string that it was before somebody's JSON dropped its leading zeros."""

    def widen(value: Any) -> Any:
        return str(value).zfill(width) if type(value) is int else value

    return BeforeValidator(widen)


Zip = Annotated[str, _digits(5)]
Rgb = Annotated[str, _digits(6)]


_URL = re.compile(r"https?://[^\s\"<>\\^`{|}]+")


def _web_url(value: Any) -> Any:
    return value if isinstance(value, str) and _URL.fullmatch(value) else None


WebUrl = Annotated[str | None, BeforeValidator(_web_url)]
"""A link to hand on as given, never fetched; anything that no browser opens as a page is dropped."""

Money = Annotated[float, Field(description="in the currency's units, for instance 24050.25")]
Percent = Annotated[float, Field(description="in percent: 6.19 is 6.19 %")]
Fraction = Annotated[float, Field(description="a fraction: 0.009 is 0.9 %")]


Audience = Literal["person", "model"]
"""Who a request is shown to: the person who confirms it, or a model that may not see personal data."""


def _masked(value: str, info: SerializationInfo) -> str:
    return MASK if info.context == "model" else value


def _described(contents: str, info: SerializationInfo) -> str:
    if info.context is None:
        return contents
    data = file_bytes(contents)
    return f"<{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}>"


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

ContactZip = Annotated[ContactData, _digits(5)]
"""The zip code of a person's address."""

FinancialData = Annotated[str, "financial", BeforeValidator(_unless_shown)]
"""Income, rent, a credit score in an answer: kept from whoever contact data are kept from."""

FinancialAmount = Annotated[float | None, "financial", BeforeValidator(_nothing_unless_shown)]
"""The same as a number, in the currency's units: a mask is no number, so it is left out."""

IdentityData = Annotated[str, "identity", BeforeValidator(_never_shown)]
"""Social security, licence, government id and card numbers, birth dates: masked for everybody as they are read."""

FileContents = Annotated[str, PlainSerializer(_described)]
"""A file as `file_bytes` reads it, which is described wherever it is shown."""


def file_bytes(contents: str) -> bytes:
    """The file in `contents`: base64, in lines or without, bare or behind a data URL's header. Raises ValueError."""
    return base64.b64decode("".join(contents.rpartition(",")[2].split()), validate=True)


class Sent(BaseModel):
    """Part of a request: what the documents do not name cannot be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    def wire(self) -> dict[str, Any]:
        """The JSON object as it is sent: what was not given is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def shown_to(self, audience: Audience) -> dict[str, Any]:
        """The same for reading: files described and, to a model, contact data masked."""
        return self.model_dump(mode="json", exclude_none=True, context=audience)


class Received(BaseModel):
    """Part of an answer: fields that the documents do not name are dropped, numbers may come for strings."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, allow_inf_nan=False, coerce_numbers_to_str=True
    )
