"""The value types of the documents. Where the documents disagree with themselves, each type says how it is read."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SerializationInfo

from roadster_client.visible_text import strip_invisible, trim

VIN_CHARACTER = "[A-HJ-NPR-Z0-9]"
"""A VIN has no I, O and Q, because they look like 1 and 0."""

VIN_PATTERN = f"{VIN_CHARACTER}{{17}}"


class VinText(str):
    """A VIN in capitals. It has a class of its own so that all of them can be found in a call's arguments."""

    __slots__ = ()


def _read_vin(value: str) -> VinText:
    vin = trim(value)
    if re.fullmatch("[A-Z0-9]{17}", vin, re.IGNORECASE | re.ASCII) is None:
        raise ValueError("expected 17 letters and digits, without I, O and Q")
    return VinText(vin.upper())


Vin = Annotated[str, AfterValidator(_read_vin)]
"""A VIN in a request, without the blanks around it. The tools check its characters I, O and Q with its check digit,
because they can name the VIN that was meant."""

FeedVin = Annotated[str, Field(pattern=r"^\s*[A-Za-z0-9]{17}\s*$"), AfterValidator(str.strip)]
"""The VIN of a vehicle in an answer, without the blanks around it. Another text is none that a tool would take, so it
identifies no vehicle."""


def plain_vin(text: str) -> str:
    """Returns a VIN in capitals and without the blanks around it. Any other text comes back as it is."""
    return text.strip().upper() if re.fullmatch(r"\s*[A-Za-z0-9]{17}\s*", text) else text


AnswerVin = Annotated[str, AfterValidator(plain_vin)]
"""A text of an answer that should be a VIN. All parts of the server compare VINs in capitals."""

ID_PATTERN = "[1-9][0-9]{0,15}"
"""A number that Roadster or Roadie gives to a customer, document, template, order or delivery. Without leading zeros,
so that two texts are the same id only where they are equal."""

MOST = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

MOST_AMOUNT = 10_000_000
"""No amount, count of miles or measure of a request comes near. A larger one is a slip of the hand or of a model."""

PLAUSIBLE = "plausible"
"""The mark, in a derived schema, of bounds that are checked and not published."""


def plausible(low: float, high: float) -> Any:
    """Returns a field that checks a range but leaves it out of the tools' schemas, to save tokens."""
    return Field(ge=low, le=high, json_schema_extra={PLAUSIBLE: True})


Amount = Annotated[float, plausible(0, MOST_AMOUNT)]
"""An amount of a request, in the currency's units."""
PositiveAmount = Annotated[float, Field(gt=0), plausible(0, MOST_AMOUNT)]
Miles = Annotated[int, plausible(0, MOST_AMOUNT)]
MOST_MILES_A_YEAR = 100_000
MOST_MONTHS = 120
AnnualMiles = Annotated[int, plausible(1, MOST_MILES_A_YEAR)]
Months = Annotated[int, plausible(1, MOST_MONTHS)]
Year = Annotated[int, plausible(1900, 2100)]

UUID_PATTERN = "[A-Za-z0-9_-]{32,64}"
"""A UUID of myKaarma's. Its document shows none. Those in use have 64 hexadecimal digits, not the 36 characters of
RFC 9562, and this takes both. It also holds nothing that could end a segment of a URL's path."""


def zero_padded(width: int) -> BeforeValidator:
    """Returns a validator that reads an integer as text, with the leading zeros that JSON numbers cannot have."""

    def pad(value: Any) -> Any:
        return str(value).zfill(width) if type(value) is int else value

    return BeforeValidator(pad)


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic takes only a ValueError as a problem
    return value


def _refuse_huge(value: int) -> int:
    if abs(value) >= _TOO_LARGE:
        raise ValueError("expected a number of at most 18 digits")
    return value


_TOO_LARGE = 10**18
"""No amount, count or id of the documents comes near. A number of hundreds of digits would only fill an answer."""

WholeNumber = Annotated[int, BeforeValidator(_refuse_bool), AfterValidator(_refuse_huge)]
Number = Annotated[float, BeforeValidator(_refuse_bool)]
"""A number in an answer. pydantic itself would read `true` as 1."""

Id = Annotated[WholeNumber, Field(gt=0)]
"""A number that identifies the object of an answer that it stands in."""

Name = Annotated[str, Field(pattern=r"\S")]
"""A text that identifies the object of an answer that it stands in."""

Zip = Annotated[str, zero_padded(5)]
Rgb = Annotated[str, zero_padded(6)]

_URL = re.compile(r"https?://[^\s\"<>\\^`{|}]+")


def _require_web_url(value: Any) -> Any:
    if value is None or (isinstance(value, str) and _URL.fullmatch(value)):
        return value
    raise ValueError("expected the URL of a page")


WebUrl = Annotated[str | None, BeforeValidator(_require_web_url)]
"""A link that is passed on as it is, and never fetched. It must be one that a browser opens as a page."""

Money = Annotated[Number, Field(description="in the currency's units, for instance 24050.25")]
Price = Annotated[Money, Field(ge=0)]
"""The price of a vehicle. A negative one is a mistake or has a meaning of its own, and must not be shown as a price."""

Payment = Annotated[Money, Field(ge=0)]
"""An amount that a customer pays. A negative one must not be shown as a payment, for the same reason."""

_MOST_RATE = 0.5
"""No lender's rate and no tax comes near, as a fraction. A larger one is in another unit: 4.74 for 4.74 %."""

Percent = Annotated[Number, Field(description="in percent: 6.19 is 6.19 %")]
InterestPercent = Annotated[Percent, Field(ge=0, le=_MOST_RATE * 100)]
Fraction = Annotated[Number, Field(ge=0, le=_MOST_RATE, description="a fraction: 0.009 is 0.9 %")]
MoneyFactor = Annotated[Number, Field(ge=0, le=_MOST_RATE / 24, description="times 2,400 it is a rate in percent")]
ThousandfoldFactor = Annotated[Number, Field(ge=0, le=_MOST_RATE / 24 * 1000, description="3.1 is a factor of 0.0031")]
TermMonths = Annotated[WholeNumber, Field(ge=1, le=MOST_MONTHS)]
MilesAYear = Annotated[Number, Field(ge=0, le=MOST_MILES_A_YEAR)]
"""Term and miles of a deal or a program. No request may have more, so no deal is computed with more."""


def _describe(contents: str, info: SerializationInfo) -> str:
    if info.context is None:
        return contents
    data = decode_file(contents)
    return f"<{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}>"


FileContents = Annotated[str, PlainSerializer(_describe)]
"""A file, which `decode_file` reads. Serialised with a context, that is for somebody to read, it is only described."""


_DATA_URL_HEADER = re.compile(r"\s*data:.*;\s*base64\s*", re.IGNORECASE | re.DOTALL)
_URL_SAFE = str.maketrans("-_", "+/")


def decode_file(contents: str) -> bytes:
    """Returns the bytes of a file in base64. Raises ValueError.

    The text may be in lines of any length, behind a data URL's header and then with percent-encoded signs, without its
    padding, with invisible characters, or in the URL-safe alphabet. All of these are in use, and each can be read in
    only one way.
    """
    visible = contents if contents.isascii() else str(strip_invisible(contents))
    header, comma, text = visible.rpartition(",")
    if comma:
        text = unquote(text)
    if comma and _DATA_URL_HEADER.fullmatch(header) is None:
        raise ValueError("not base64")
    text = "".join(text.split()).translate(_URL_SAFE)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
