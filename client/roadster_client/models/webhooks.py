"""Web hooks as they arrive: customer events of Roadster, delivery events of Roadie, and our acknowledgement.

Only an event's envelope is checked when it arrives, and the whole event is stored. A type, a field or a shape that no
document names must not lose it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from .parts import Received
from .personal_data import MASK
from .personal_text import mask_social_security


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


NoneIfInvalid = WrapValidator(_or_none)
"""Reads a value of another shape than documented as None."""


def _add_seconds(value: Any) -> Any:
    """Adds the seconds that Roadie leaves out, because pydantic requires them before an offset."""
    if isinstance(value, str) and len(value) > _MINUTES and value[_MINUTES] in "Z+-":
        return f"{value[:_MINUTES]}:00{value[_MINUTES:]}"
    return value


_MINUTES = len("2018-01-14T19:20")
"""Characters of a time without seconds."""


def _to_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


EventTime = Annotated[datetime, BeforeValidator(_add_seconds), AfterValidator(_to_utc)]
"""ISO 8601, with or without seconds. A time without an offset is UTC."""

_Id = Annotated[str, Field(min_length=1, max_length=200)]
"""An id. The documents allow 50 characters."""


class _IdOnly(Received):
    id: _Id


class _DpidOnly(Received):
    dpid: _Id


class CustomerEventEnvelope(Received):
    """The fields that every customer event must have, and its order, which only some events have."""

    event_id: _Id
    event_type: _Id
    event_time: EventTime
    customer: _IdOnly
    dealer: _DpidOnly
    order: Annotated[_IdOnly | None, NoneIfInvalid] = None


class DeliveryEventData(Received):
    """The event's shipment. `id` is the shipment's."""

    id: _Id
    occurred_at: EventTime


class DeliveryEvent(Received):
    """An event of Roadie, such as `shipment.driver_assigned`. It has no id of its own."""

    event: _Id
    data: DeliveryEventData


class Acknowledgement(Received):
    """Our own identifiers, which our answer may give and later events carry back as `api_partner`."""

    customer_id: _Id | None = None
    lead_id: _Id | None = None
    agent_id: _Id | None = None
    dealer_id: _Id | None = None


def mask_identity(json: Any) -> Any:
    """Masks the numbers that identify a person, at any depth. No reader ever sees them, so they are not stored."""
    match json:
        case str():
            return mask_social_security(json)
        case list():
            return [mask_identity(item) for item in json]
        case dict():
            return {
                name: MASK if value not in (None, "") and _identifies(name) else mask_identity(value)
                for name, value in json.items()
            }
        case _:
            return json


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


def _identifies(name: str) -> bool:
    return "".join(filter(str.isalnum, name.lower())).endswith(_IDENTITY)
