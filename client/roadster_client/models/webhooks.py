"""Web hooks as they arrive: customer events of Roadster, delivery events of Roadie, and our acknowledgement.

Only an event's ids are required when it arrives, and the whole event is stored. A type, a time, a field or a shape that
no document names must not lose it. An id is read exactly as it was written, because it says to which dealer or customer
the event belongs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from roadster_client.identity import read_whole
from roadster_client.visible_text import is_visible, strip_invisible

from .identity_numbers import mask_identity_numbers
from .parts import Received
from .personal_data import MASK
from .times import EventTime
from .values import ID_PATTERN

UNKNOWN_TYPE = "unknown"

_IDENTITY = (
    "ssn",
    "socialsecurity",
    "socialsecuritynumber",
    "licensenumber",
    "licencenumber",
    "birthdate",
    "dateofbirth",
    "birthday",
    "dob",
    "govid",
    "govidnumber",
    "governmentid",
    "passportnumber",
    "taxid",
    "itin",
    "ccnumber",
    "cardnumber",
    "accountnumber",
)
"""Ends of the names of fields that identify a person, in small letters and without punctuation."""

_IDENTIFIERS = frozenset(
    (
        "id",
        "ids",
        "uuid",
        "guid",
        "vin",
        "phone",
        "mobile",
        "customerid",
        "dealerid",
        "orderid",
        "eventid",
        "leadid",
        *tuple(
            f"{noun}number" for noun in ("stock", "order", "tracking", "invoice", "deal", "reference", "confirmation")
        ),
    )
)
"""The last word of the names of fields with values that are no free text, or the last two without a sign."""

_WORD_OF_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\dA-Za-z_]+")
_NUMBER_WORDS = {"no": "number", "num": "number", "nr": "number", "nbr": "number"}

_NAMING_FIELDS = frozenset({"name", "key", "field", "label", "type"})
_VALUE_FIELDS = ("value", "values", "val", "answer", "content", "text")
"""Fields of an object that is a field itself, such as `{"name": "ssn", "value": "123456789"}`."""

_FEWEST_CARD_DIGITS, _MOST_CARD_DIGITS = 10**12, 10**19
_ONE_WORD = re.compile(r"[^\W_]+")


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


NoneIfInvalid = WrapValidator(_or_none)
"""Reads a value of another shape than documented as None."""


_Id = Annotated[str, BeforeValidator(read_whole), Field(min_length=1, max_length=200, pattern="^[^\ufffd]+$")]
"""An id, a string or a number. The documents allow 50 characters. U+FFFD means that a character of it was lost, so it
could be another id."""


def _show_invisible(text: str) -> str:
    return "".join(
        character if is_visible(character) else character.encode("unicode_escape").decode() for character in text
    )


_ExactId = Annotated[_Id, AfterValidator(_show_invisible)]
"""An id with each invisible character as its escape, such as `\\x00`: it stays another id than the one without, and a
database can store it."""

_VISIBLE = BeforeValidator(strip_invisible)


def _unknown_if_invalid(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return UNKNOWN_TYPE


class _IdOnly(Received):
    id: _ExactId


class _OrderIdOnly(Received):
    # An order becomes known as the dealer's by its event, so an odd id must not.
    id: Annotated[str, BeforeValidator(read_whole), Field(pattern=f"^{ID_PATTERN}$")]


class _DpidOnly(Received):
    dpid: _ExactId


class CustomerEventEnvelope(Received):
    """The ids that a customer event must have, and what else the store sorts events by.

    The type is "unknown", the time and the order are None, if the event has them not or in another shape.
    """

    event_id: Annotated[_Id, _VISIBLE]
    event_type: Annotated[_Id, _VISIBLE, WrapValidator(_unknown_if_invalid)] = UNKNOWN_TYPE
    event_time: Annotated[EventTime, _VISIBLE] = None
    customer: _IdOnly
    dealer: _DpidOnly
    order: Annotated[_OrderIdOnly | None, NoneIfInvalid] = None


class DeliveryEventData(Received):
    """The event's shipment. `id` is the shipment's."""

    id: _ExactId
    occurred_at: Annotated[EventTime, _VISIBLE] = None


class DeliveryEvent(Received):
    """An event of Roadie, such as `shipment.driver_assigned`. It has no id of its own."""

    event: Annotated[_Id, _VISIBLE]
    data: DeliveryEventData


class Acknowledgement(Received):
    """Our own identifiers, which our answer may give and later events carry back as `api_partner`."""

    customer_id: Annotated[_Id | None, NoneIfInvalid] = None
    lead_id: Annotated[_Id | None, NoneIfInvalid] = None
    agent_id: Annotated[_Id | None, NoneIfInvalid] = None
    dealer_id: Annotated[_Id | None, NoneIfInvalid] = None


def mask_identity(json: Any) -> Any:
    """Masks the numbers that identify a person, at any depth. No reader ever sees them, so they are not stored."""
    return _mask_identity(json, is_identifier=False)


def _mask_identity(json: Any, *, is_identifier: bool) -> Any:
    # A parser makes no other classes. An event has hundreds of values, so each is looked at by few steps.
    kind = type(json)
    if kind is str:
        # An id of many digits would now and then pass for a card number.
        return json if is_identifier and _ONE_WORD.fullmatch(json) else mask_identity_numbers(json)
    if kind is dict:
        return _mask_object(json)
    if kind is list:
        return [_mask_identity(item, is_identifier=is_identifier) for item in json]
    if (kind is int or kind is float) and not is_identifier:
        return MASK if _is_card_number(json) else json
    return json


def _mask_object(json: dict[str, Any]) -> dict[str, Any]:
    is_identity_field = not _NAMING_FIELDS.isdisjoint(json) and any(
        isinstance(json.get(name), str) and _is_identity(_words_of(json[name])) for name in _NAMING_FIELDS
    )
    masked: dict[str, Any] = {}
    for name, value in json.items():
        field = _known_name(name) if len(name) <= _LONGEST_KNOWN_NAME else _read_name(name)
        masked_name, is_identity, is_identifier = field
        if value is None or value == "":
            masked_value = value
        elif is_identity or (is_identity_field and name.lower() in _VALUE_FIELDS):
            masked_value = MASK
        else:
            masked_value = _mask_identity(value, is_identifier=is_identifier)
        masked[masked_name if masked_name not in masked else _free_name(field, masked)] = masked_value
    return masked


class _FieldName(NamedTuple):
    """The name of a field, and the kind of value that it stands for."""

    masked_name: str
    is_identity: bool
    is_identifier: bool


def _read_name(name: str) -> _FieldName:
    words = _words_of(name)
    is_identifier = not _IDENTIFIERS.isdisjoint((*words[-1:], "".join(words[-2:])))
    return _FieldName(mask_identity_numbers(name), _is_identity(words), is_identifier)


_known_name = lru_cache(maxsize=2048)(_read_name)
"""All events have the same names, and an event has hundreds of them."""

_LONGEST_KNOWN_NAME = 100


def _free_name(field: _FieldName, json: Mapping[str, Any]) -> str:
    """Returns the name with a number behind it, because another field has the same one since it was masked."""
    return next(free for number in count(2) if (free := f"{field.masked_name} {number}") not in json)


def _is_card_number(number: float) -> bool:
    if not _FEWEST_CARD_DIGITS < abs(number) < _MOST_CARD_DIGITS or number != int(number):
        return False
    return mask_identity_numbers(str(abs(int(number)))) == MASK


def _is_identity(words: Sequence[str]) -> bool:
    return "".join(words).endswith(_IDENTITY)


def _words_of(name: str) -> list[str]:
    """Returns the words of `stock_no` or `stockNumber` in small letters, and without digits."""
    words = [word.lower() for word in _WORD_OF_NAME.findall(name)]
    return [_NUMBER_WORDS.get(word, word) for word in words]
