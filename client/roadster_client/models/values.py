"""The value types of the documents, and how each is read where the documents disagree with themselves."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializationInfo,
)

VIN_CHARACTER = "[A-HJ-NPR-Z0-9]"
"""Capital I, O and Q are left out of a VIN, because they look like 1 and 0."""

VIN_PATTERN = f"{VIN_CHARACTER}{{17}}"

ID_PATTERN = "[1-9][0-9]{0,15}"
"""A number that Roadster or Roadie gives to a customer, document, template, order or delivery. Without leading zeros,
so that two texts are the same id only where they are equal."""

UUID_PATTERN = "[A-Za-z0-9_-]{32,64}"
"""A UUID of myKaarma's. Its document shows none. Those in use have 64 hexadecimal digits, not the 36 characters of
RFC 9562, and this takes both. It also holds nothing that could end a segment of a URL's path."""


def zero_padded(width: int) -> BeforeValidator:
    """Reads an int as the string that it was before somebody's JSON dropped its leading zeros."""

    def widen(value: Any) -> Any:
        return str(value).zfill(width) if type(value) is int else value

    return BeforeValidator(widen)


Zip = Annotated[str, zero_padded(5)]
Rgb = Annotated[str, zero_padded(6)]


_URL = re.compile(r"https?://[^\s\"<>\\^`{|}]+")


def _web_url(value: Any) -> Any:
    return value if isinstance(value, str) and _URL.fullmatch(value) else None


WebUrl = Annotated[str | None, BeforeValidator(_web_url)]
"""A link to hand on as given, never fetched; anything that no browser opens as a page is dropped."""

Money = Annotated[float, Field(description="in the currency's units, for instance 24050.25")]
Percent = Annotated[float, Field(description="in percent: 6.19 is 6.19 %")]
Fraction = Annotated[float, Field(description="a fraction: 0.009 is 0.9 %")]


def _described(contents: str, info: SerializationInfo) -> str:
    if info.context is None:
        return contents
    data = file_bytes(contents)
    return f"<{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}>"


FileContents = Annotated[str, PlainSerializer(_described)]
"""A file as `file_bytes` reads it, which is described wherever it is shown."""


def file_bytes(contents: str) -> bytes:
    """The file in `contents`: base64, in lines or without, bare or behind a data URL's header. Raises ValueError."""
    return base64.b64decode("".join(contents.rpartition(",")[2].split()), validate=True)
