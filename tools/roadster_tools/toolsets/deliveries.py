"""Deliveries with Roadie: create one, see where it is, change it, cancel it.

An item has eight fields and a place has nine. The definitions name each of them, because many hosts let a model give
no others. What is required of them is published once, in `create_delivery`, to save tokens. The client's models check
all of it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from roadster_client.models.deliveries import (
    DeliveryOptions,
    Item,
    Location,
    NewShipment,
    Shipment,
    ShipmentReference,
    ShipmentUpdate,
    Timestamp,
    TimeWindow,
)
from roadster_client.models.parts import Received
from roadster_tools.answers import ToolAnswer
from roadster_tools.arguments.parameters import Detail, NumericId, names_only
from roadster_tools.catalogue import tool, write_tool
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant

DeliveryId = Annotated[NumericId, Field(description="from create_delivery")]

Items = Annotated[list[Item], Field(min_length=1)]
PickupLocation = Annotated[Location, names_only()]
Window = Annotated[TimeWindow, names_only()]
Reference = Annotated[ShipmentReference, WithJsonSchema({"type": "string"})]

SameItems = Annotated[list[Item], Field(min_length=1), names_only("all of them")]
SamePlace = Annotated[Location, names_only("whole")]

_MEANINGS = {
    "scheduled": "waiting for a driver",
    "assigned": "a driver is on the way to the pickup",
    "en_route": "picked up, and on the way",
    "attempted": "the driver tried to deliver, and could not",
    "returned": "not delivered, and back at the pickup",
    "expired": "no driver was found in time",
}


class DriverRow(ToolAnswer):
    name: str | None = None
    phone: str | None = None


class DeliveryAnswer(ToolAnswer):
    delivery_id: int
    state: str | None = None
    meaning: str | None = Field(default=None, description="of a state that does not say it itself")
    reference_id: str | None = None
    tracking_number: str | None = None
    driver: DriverRow | None = None
    price: float | None = Field(default=None, description="of the delivery, in dollars")
    signature_required: bool | None = None
    pickup_after: datetime | None = None
    deliver_from: datetime | None = None
    deliver_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    details: dict[str, Any] | None = Field(default=None, description="with detail full: items and both places")


@write_tool(
    "Create a delivery",
    if_unknown="get_delivery shows a delivery that is named as made; else ask Roadie whether it has one before you "
    "make another, for only create_delivery's own answer makes one known here",
)
async def create_delivery(
    grant: Grant,
    items: Items,
    delivery_location: Location,
    pickup_after: Timestamp,
    deliver_between: Window,
    pickup_location: PickupLocation | None = None,
    signature_required: bool | None = None,
    reference_id: Reference | None = None,
) -> DeliveryAnswer:
    """Order a Roadie driver to bring items (sizes in inches, pounds) from the dealer, or pickup_location, to a place;
    it costs money. Times need their offset. Invent no size, name or phone."""
    check_times(pickup_after, deliver_between, now=datetime.now(UTC))
    draft = NewShipment(
        reference_id="to be derived",
        items=tuple(items),
        pickup_location=pickup_location or await _dealer_location(grant),
        delivery_location=delivery_location,
        pickup_after=pickup_after,
        deliver_between=deliver_between,
        options=DeliveryOptions(signature_required=bool(signature_required)),
    )
    shipment = draft.model_copy(update={"reference_id": reference_id or _reference(grant.roadster.dpid, draft)})
    return _delivery_answer(await grant.deliveries.create_shipment(shipment))


def _reference(dpid: str, shipment: NewShipment) -> str:
    """Derives the reference that Roadie requires. It is the same when the confirmed delivery is sent."""
    return f"{dpid[:80]}-{hashlib.sha256(repr(shipment).encode()).hexdigest()[:16]}"


async def _dealer_location(grant: Grant) -> Location:
    location = Location.from_dealer(await grant.roadster.get_dealer())
    if isinstance(location, list):
        raise InvalidArguments(
            {"pickup_location": f"is needed: Roadster has no usable {', '.join(location)} of this dealer"}
        )
    return location


def check_times(pickup_after: datetime | None, window: TimeWindow | None, *, now: datetime) -> None:
    """Raises InvalidArguments for a window that is over, or that ends before the pickup. It may have begun."""
    if window is None:
        return
    if window.end <= now:
        raise InvalidArguments({"deliver_between.end": "is in the past"})
    if pickup_after is not None and window.end <= pickup_after:
        raise InvalidArguments({"deliver_between.end": "is not after pickup_after"})


@tool("Get a delivery")
async def get_delivery(grant: Grant, delivery_id: DeliveryId, detail: Detail = "brief") -> DeliveryAnswer:
    """Where a delivery is: state, window, driver, tracking number and price; full detail adds items and
    places. Only for deliveries that create_delivery made."""
    shipment = await grant.deliveries.get_shipment(delivery_id)
    return _delivery_answer(shipment, details=_items_and_places(shipment) if detail == "full" else None)


@write_tool("Update a delivery", if_unknown="get_delivery with detail full shows whether it was changed")
async def update_delivery(
    grant: Grant,
    delivery_id: DeliveryId,
    items: SameItems | None = None,
    pickup_location: SamePlace | None = None,
    delivery_location: SamePlace | None = None,
    pickup_after: Timestamp | None = None,
    deliver_between: Window | None = None,
    signature_required: bool | None = None,
    reference_id: Reference | None = None,
) -> DeliveryAnswer:
    """Change a delivery that create_delivery made. Takes create_delivery's arguments, and each one given replaces
    what was there. Look with get_delivery first; once picked up, little can change."""
    check_times(pickup_after, deliver_between, now=datetime.now(UTC))
    update = ShipmentUpdate(
        reference_id=reference_id,
        items=tuple(items) if items else None,
        pickup_location=pickup_location,
        delivery_location=delivery_location,
        pickup_after=pickup_after,
        deliver_between=deliver_between,
        options=None if signature_required is None else DeliveryOptions(signature_required=signature_required),
    )
    if update == ShipmentUpdate():
        raise InvalidArguments({"": "give what shall change, besides delivery_id"})
    return _delivery_answer(await grant.deliveries.update_shipment(delivery_id, update))


class CancellationAnswer(ToolAnswer):
    delivery_id: int
    canceled: Literal[True] = True


@write_tool("Cancel a delivery", if_unknown="get_delivery shows whether it is canceled", destructive=True)
async def cancel_delivery(grant: Grant, delivery_id: DeliveryId) -> CancellationAnswer:
    """Cancel a delivery, for good; possible until the driver has confirmed the pickup. To change time or place use
    update_delivery instead."""
    await grant.deliveries.cancel_shipment(delivery_id)
    return CancellationAnswer(delivery_id=delivery_id)


def _delivery_answer(shipment: Shipment, details: dict[str, Any] | None = None) -> DeliveryAnswer:
    window = shipment.deliver_between
    driver = shipment.driver
    return DeliveryAnswer(
        delivery_id=shipment.id,
        state=shipment.state,
        meaning=_MEANINGS.get(shipment.state or ""),
        reference_id=shipment.reference_id,
        tracking_number=shipment.tracking_number,
        driver=DriverRow(name=driver.name, phone=driver.phone) if driver else None,
        price=shipment.price,
        signature_required=shipment.options.signature_required if shipment.options else None,
        pickup_after=shipment.pickup_after,
        deliver_from=window.start if window else None,
        deliver_until=window.end if window else None,
        created_at=shipment.created_at,
        updated_at=shipment.updated_at,
        details=details,
    )


def _items_and_places(shipment: Shipment) -> dict[str, Any]:
    places = {"pickup_location": shipment.pickup_location, "delivery_location": shipment.delivery_location}
    return {
        "items": [_json_of(item) for item in shipment.items],
        **{name: _json_of(place) for name, place in places.items() if place is not None},
    }


def _json_of(part: Received) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_none=True)
