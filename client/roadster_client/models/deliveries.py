"""Deliveries: Roadie's shipments. Amounts in dollars, lengths in inches, weights in pounds."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from .dealers import Dealer
from .parts import Received, Sent
from .personal_data import Contact, ContactData
from .personal_text import mask_and_shorten, mask_social_security
from .values import Money

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_time(given: Any) -> datetime:
    """An RFC 3339 time; its seconds may be missing, as Roadie sends them, its offset may not. Raises ValueError."""
    if isinstance(given, datetime) and given.tzinfo is not None:
        return given
    if isinstance(given, str) and _TIME.fullmatch(given):
        try:
            return datetime.fromisoformat(given.upper())
        except ValueError:
            pass  # the 30th of February, an offset of 30 hours
    raise ValueError("expected a time with its offset, for instance 2030-01-31T09:00:00-05:00")


def parse_phone(given: str) -> str:
    """An American phone number as Roadie takes it: without punctuation and the country's 1. Raises ValueError."""
    found = re.fullmatch(r"(?:\+?1)?([0-9]{10})", re.sub(r"[ \xa0().\-/]", "", given))
    if found is None:
        raise ValueError("expected ten digits, with or without punctuation and the country code 1")
    return found[1]


def _state_code(given: str) -> str:
    if re.fullmatch(r"[A-Za-z]{2}", given) is None:
        raise ValueError("expected two letters")
    return given.upper()


Timestamp = Annotated[datetime, BeforeValidator(parse_time)]
_Text = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
ShipmentReference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_Positive = Annotated[float, Field(gt=0)]
_ITEMS_IN_SHORT = 10


class Item(Sent):
    """What is delivered; value, size and weight are those of one piece."""

    description: Annotated[str, _Text]
    value: _Positive
    length: _Positive
    width: _Positive
    height: _Positive
    weight: _Positive
    quantity: int = Field(ge=1)
    reference_id: ShipmentReference | None = None


class Address(Sent):
    """`name` is for the driver, where the address is a business."""

    name: Annotated[Contact, _Text] | None = None
    street1: Annotated[Contact, _Text]
    street2: Annotated[Contact, _Text] | None = None
    city: Annotated[Contact, _Text]
    state: Annotated[str, AfterValidator(_state_code)]
    zip: Annotated[Contact, StringConstraints(strip_whitespace=True, min_length=1, max_length=10)]


class LocationContact(Sent):
    """Whom the driver asks for."""

    name: Annotated[Contact, _Text]
    phone: Annotated[Contact, AfterValidator(parse_phone)]


class Location(Sent):
    """`notes` tell the driver what else they need to know there. Where the dealer is, nothing is personal."""

    address: Address
    contact: LocationContact
    notes: Annotated[Contact, StringConstraints(max_length=300)] | None = None
    _is_dealers: bool = PrivateAttr(default=False)

    @model_serializer(mode="wrap")
    def _shown(self, serialized: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        if self._is_dealers and info.context == "model":
            return self.shown_to("person")
        shown: dict[str, Any] = serialized(self)
        return shown

    @classmethod
    def from_dealer(cls, dealer: Dealer) -> Location | list[str]:
        """Where `dealer` itself is, or the names of its fields that are missing or that Roadie would not take."""
        address = {
            "name": dealer.name,
            "street1": dealer.address,
            "city": dealer.city,
            "state": dealer.state,
            "zip": dealer.zip_code,
        }
        try:
            own = cls.model_validate({"address": address, "contact": {"name": dealer.name, "phone": dealer.phone}})
        except ValidationError as error:
            names = [str(found["loc"][-1]) for found in error.errors(include_url=False, include_input=False)]
            return list(dict.fromkeys({"street1": "address", "zip": "zip_code"}.get(name, name) for name in names))
        own._is_dealers = True  # noqa: SLF001 - no field, so that nobody can say it of another place
        return own


class TimeWindow(Sent):
    start: Timestamp
    end: Timestamp

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class DeliveryOptions(Sent):
    signature_required: bool


class NewShipment(Sent):
    """`reference_id` is ours; all but an item's own reference is required."""

    reference_id: ShipmentReference
    items: tuple[Item, ...] = Field(min_length=1)
    pickup_location: Location
    delivery_location: Location
    pickup_after: Timestamp
    deliver_between: TimeWindow
    options: DeliveryOptions


class ShipmentUpdate(Sent):
    """What is given replaces what was there, whole."""

    reference_id: ShipmentReference | None = None
    items: tuple[Item, ...] | None = None
    pickup_location: Location | None = None
    delivery_location: Location | None = None
    pickup_after: Timestamp | None = None
    deliver_between: TimeWindow | None = None
    options: DeliveryOptions | None = None


class _Told(Received):
    """Each text is bounded, so that a long one cannot cost the answer that names a delivery."""

    @field_validator("*")
    @classmethod
    def _safe(cls, value: Any) -> Any:
        return mask_and_shorten(value, mask_social_security) if isinstance(value, str) else value


class ShippedItem(_Told):
    description: str | None = None
    reference_id: str | None = None
    length: float | None = None
    width: float | None = None
    height: float | None = None
    weight: float | None = None
    value: Money | None = None
    quantity: int | None = None


class PlaceAddress(_Told):
    name: ContactData | None = None
    street1: ContactData | None = None
    street2: ContactData | None = None
    city: ContactData | None = None
    state: str | None = None
    zip: ContactData | None = None


class PlaceContact(_Told):
    name: ContactData | None = None
    phone: ContactData | None = None


class Place(_Told):
    """`notes` are written for the driver, and may hold anything about a person."""

    address: PlaceAddress | None = None
    contact: PlaceContact | None = None
    notes: ContactData | None = None


class DeliveryWindow(_Told):
    start: Timestamp
    end: Timestamp


class ShippedOptions(_Told):
    signature_required: bool | None = None


class Driver(_Told):
    name: ContactData | None = None
    phone: ContactData | None = None


class Shipment(_Told):
    """`state` is free text: Roadie may add one. The reference shows no `price`; it is read where Roadie sends one."""

    id: int = Field(gt=0)
    reference_id: str | None = None
    state: str | None = None
    items: tuple[ShippedItem, ...] = ()
    pickup_location: Place | None = None
    delivery_location: Place | None = None
    pickup_after: Timestamp | None = None
    deliver_between: DeliveryWindow | None = None
    options: ShippedOptions | None = None
    tracking_number: str | None = None
    driver: Driver | None = None
    price: Money | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None

    def summary(self) -> dict[str, Any]:
        """What a person knows the delivery by, bounded: its state, the first items, the places, the times."""
        told = self.model_dump(
            mode="json",
            exclude_none=True,
            include={
                "state": True,
                "reference_id": True,
                "items": {"__all__": {"description", "quantity"}},
                "pickup_location": {"address", "contact"},
                "delivery_location": {"address", "contact"},
                "pickup_after": True,
                "deliver_between": True,
            },
        )
        more = len(self.items) - _ITEMS_IN_SHORT
        return {**told, "items": told["items"][:_ITEMS_IN_SHORT], **({"more_items": more} if more > 0 else {})}
