"""What web hooks bring: customer events of Roadster, delivery events of Roadie, and our acknowledgement."""

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


NoneIfMalformed = WrapValidator(_or_none)
"""Left out where it is of another shape than documented."""


def _with_seconds(value: Any) -> Any:
    """Roadie writes times without seconds, which the parser wants before an offset."""
    if isinstance(value, str) and len(value) > _MINUTES and value[_MINUTES] in "Z+-":
        return f"{value[:_MINUTES]}:00{value[_MINUTES:]}"
    return value


_MINUTES = len("2018-01-14T19:20")


def _utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


EventTime = Annotated[datetime, BeforeValidator(_with_seconds), AfterValidator(_utc)]
"""ISO 8601, with seconds or without; UTC where it says no offset."""


_Id = Annotated[str, Field(min_length=1, max_length=200)]
"""Documented with at most 50 characters."""


class _NamedById(Received):
    id: _Id


class _NamedDealer(Received):
    dpid: _Id


class CustomerEventEnvelope(Received):
    """What every customer event must have, and the order that it may be about."""

    event_id: _Id
    event_type: _Id
    event_time: EventTime
    customer: _NamedById
    dealer: _NamedDealer
    order: Annotated[_NamedById | None, NoneIfMalformed] = None


class DeliveryEventData(Received):
    """`id` is the shipment's."""

    id: _Id
    occurred_at: EventTime


class DeliveryEvent(Received):
    """Roadie's: `shipment.driver_assigned` and the like. It has no id of its own."""

    event: _Id
    data: DeliveryEventData


def mask_identity(json: Any) -> Any:
    """`json` with the numbers that identify a person masked, at any depth: nothing ever shows them, so nothing keeps them."""  # noqa: E501
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


def _identifies(name: str) -> bool:
    return "".join(filter(str.isalnum, name.lower())).endswith(_IDENTITY)


class Acknowledgement(Received):
    """What our 2xx may say: identifiers of our own, which later events carry back as `api_partner`."""

    customer_id: _Id | None = None
    lead_id: _Id | None = None
    agent_id: _Id | None = None
    dealer_id: _Id | None = None
