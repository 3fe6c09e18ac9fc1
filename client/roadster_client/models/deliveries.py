"""Deliveries: Roadie's shipments. Amounts are in dollars, lengths in inches, weights in pounds."""

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

from roadster_client.leniency import SUBJECT

from .dealers import Dealer
from .parts import Received, Sent
from .personal_data import Contact, ContactData
from .personal_forms import parse_name, plain_phone
from .personal_text import mask_and_shorten
from .values import MOST_AMOUNT, Id, Money, Number, PositiveAmount, WholeNumber, plausible

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_time(value: Any) -> datetime:
    """Returns an RFC 3339 time, with its offset. Roadie leaves the seconds out, so they may be missing.

    Raises ValueError, also for a text that has no such offset or day.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:
            pass  # the 30th of February, an offset of 30 hours
    raise ValueError("expected a time with its offset, for instance 2030-01-31T09:00:00-05:00")


def parse_phone(text: str) -> str:
    """Returns an American phone number as Roadie takes it: ten digits. Raises ValueError."""
    match = re.fullmatch(r"(?:\+?1)?([0-9]{10})", re.sub(r"[ ().\-/]", "", plain_phone(text)))
    if match is None:
        raise ValueError("expected ten digits, with or without punctuation and the country code 1")
    return match[1]


def _parse_state(text: str) -> str:
    if re.fullmatch(r"[A-Za-z]{2}", text) is None:
        raise ValueError("expected two letters")
    return text.upper()


Timestamp = Annotated[datetime, BeforeValidator(parse_time)]
_Text = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
ShipmentReference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_ITEMS_IN_SUMMARY = 10


class Item(Sent):
    """One kind of piece in a delivery. Value, size and weight are those of one piece."""

    description: Annotated[str, _Text]
    value: PositiveAmount
    length: PositiveAmount
    width: PositiveAmount
    height: PositiveAmount
    weight: PositiveAmount
    quantity: Annotated[int, plausible(1, MOST_AMOUNT)]
    reference_id: ShipmentReference | None = None


class LocationAddress(Sent):
    """A street address. `name` tells the driver which business is there."""

    name: Annotated[Contact, _Text] | None = None
    street1: Annotated[Contact, _Text]
    street2: Annotated[Contact, _Text] | None = None
    city: Annotated[Contact, _Text]
    state: Annotated[str, AfterValidator(_parse_state)]
    zip: Annotated[Contact, StringConstraints(strip_whitespace=True, min_length=1, max_length=10)]


class LocationContact(Sent):
    """The person that the driver asks for."""

    name: Annotated[Contact, _Text, AfterValidator(parse_name)]
    phone: Annotated[Contact, AfterValidator(parse_phone)]


class Location(Sent):
    """A place to pick up or to deliver, with `notes` for the driver. The dealer's own place is not personal data."""

    address: LocationAddress
    contact: LocationContact
    notes: Annotated[Contact, StringConstraints(max_length=300)] | None = None
    _is_dealers: bool = PrivateAttr(default=False)

    @model_serializer(mode="wrap")
    def _unmask_dealers(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        if self._is_dealers and info.context == "model":
            return self.shown_to("person")
        fields: dict[str, Any] = serialize(self)
        return fields

    @classmethod
    def from_dealer(cls, dealer: Dealer) -> Location | list[str]:
        """Returns the dealer's place, or the names of its fields that are missing or that Roadie would not take."""
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
            names = [str(problem["loc"][-1]) for problem in error.errors(include_url=False, include_input=False)]
            return list(dict.fromkeys({"street1": "address", "zip": "zip_code"}.get(name, name) for name in names))
        own._is_dealers = True  # noqa: SLF001 - private, so that no argument can set it for another place
        return own


class TimeWindow(Sent):
    start: Timestamp
    end: Timestamp

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        return self


class DeliveryOptions(Sent):
    signature_required: bool


class NewShipment(Sent):
    """A delivery to create. `reference_id` is our own id for it. Only an item's `reference_id` may be left out."""

    reference_id: ShipmentReference
    items: tuple[Item, ...] = Field(min_length=1)
    pickup_location: Location
    delivery_location: Location
    pickup_after: Timestamp
    deliver_between: TimeWindow
    options: DeliveryOptions


class ShipmentUpdate(Sent):
    """A change of a delivery. Each field that is given replaces the whole field of the delivery."""

    reference_id: ShipmentReference | None = None
    items: tuple[Item, ...] | None = None
    pickup_location: Location | None = None
    delivery_location: Location | None = None
    pickup_after: Timestamp | None = None
    deliver_between: TimeWindow | None = None
    options: DeliveryOptions | None = None


class _DeliveryPart(Received):
    """A part of an answer. Long texts are cut, because refusing one could lose a delivery that was just created."""

    @field_validator("*")
    @classmethod
    def _clean(cls, value: Any) -> Any:
        return mask_and_shorten(value) if isinstance(value, str) else value


class ShippedItem(_DeliveryPart):
    description: str | None = None
    reference_id: str | None = None
    length: Number | None = None
    width: Number | None = None
    height: Number | None = None
    weight: Number | None = None
    value: Money | None = None
    quantity: WholeNumber | None = None


class PlaceAddress(_DeliveryPart):
    name: ContactData | None = None
    street1: ContactData | None = None
    street2: ContactData | None = None
    city: ContactData | None = None
    state: str | None = None
    zip: ContactData | None = None


class PlaceContact(_DeliveryPart):
    name: ContactData | None = None
    phone: ContactData | None = None


class Place(_DeliveryPart):
    """A place of a delivery. `notes` are free text for the driver, and may hold anything about a person."""

    address: PlaceAddress | None = None
    contact: PlaceContact | None = None
    notes: ContactData | None = None


class DeliveryWindow(_DeliveryPart):
    start: Timestamp | None = None
    end: Timestamp | None = None


class ShippedOptions(_DeliveryPart):
    signature_required: bool | None = None


class Driver(_DeliveryPart):
    name: ContactData | None = None
    phone: ContactData | None = None


class Shipment(_DeliveryPart):
    """A delivery. `state` is text, because Roadie may add states. `price` is not in the reference."""

    id: Id
    reference_id: str | None = None
    state: Annotated[str | None, SUBJECT] = None
    items: Annotated[tuple[ShippedItem, ...], SUBJECT] = ()
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
        """Returns what a person recognises the delivery by: its state, the first items, the places, the times."""
        fields = self.model_dump(
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
        more = len(self.items) - _ITEMS_IN_SUMMARY
        return {**fields, "items": fields["items"][:_ITEMS_IN_SUMMARY], **({"more_items": more} if more > 0 else {})}
