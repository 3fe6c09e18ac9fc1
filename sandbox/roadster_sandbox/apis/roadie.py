"""Roadie's shipments. Each is kept as the API shows it, and events from a grader change its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roadster_client.models.deliveries import parse_time
from roadster_sandbox.world.world import World

from .roadster import ApiCall
from .shipment_requests import ShipmentBody, ShipmentRefused, ShipmentUpdateBody, parse_shipment_request

UNKNOWN_ZIP = "00000"
"""No address has this zip, so a shipment with it is refused with the code 1004."""

ISLAND = "HI"
"""No route leads to this state from another one, so such a shipment is refused with the code 1005."""

_CREATED_AT = "2025-01-01T00:00:00+00:00"
"""Always the same time, because the sandbox has no clock."""

_DRIVERS = ("Jeff B.", "Beth J.", "Maria L.")

_MOVES: Mapping[str, tuple[frozenset[str], str]] = {
    "driver_assigned": (frozenset({"scheduled"}), "assigned"),
    "pickup_confirmed": (frozenset({"assigned"}), "en_route"),
    "delivery_confirmed": (frozenset({"en_route"}), "delivered"),
    "delivery_attempted": (frozenset({"en_route"}), "attempted"),
    "return_created": (frozenset({"attempted"}), "returned"),
    "canceled": (frozenset({"scheduled", "assigned"}), "canceled"),
    "expired": (frozenset({"scheduled"}), "expired"),
}
"""The states in which an event can happen, and the state that follows, by Roadie's name of the event."""

EVENTS = tuple(_MOVES)


class NoSuchMove(Exception):
    """The event cannot happen to a shipment in its state."""


def move_shipment(shipment: dict[str, Any], event: str) -> None:
    """Changes the shipment's state. Raises NoSuchMove if the event cannot happen to it now."""
    before, after = _MOVES[event]
    if shipment["state"] not in before:
        raise NoSuchMove(f"{event} cannot happen to a shipment that is {shipment['state']}")
    shipment["state"] = after
    if event == "driver_assigned":
        number = shipment["id"]
        shipment["driver"] = {"name": _DRIVERS[number % len(_DRIVERS)], "phone": f"770555{number % 10_000:04d}"}


def find_shipment(world: World, shipment_id: str) -> dict[str, Any] | None:
    """Returns the shipment of that id, None for an unknown id."""
    return next((shipment for shipment in world.shipments if str(shipment["id"]) == shipment_id), None)


def create_shipment(world: World, call: ApiCall) -> Any:
    fields = parse_shipment_request(ShipmentBody, call.body).model_dump(mode="json")
    _check(fields)
    number = world.first_ids.shipment + len(world.shipments)
    shipment = {
        "id": number,
        "state": "scheduled",
        **fields,
        "tracking_number": f"RESANDBOX{number:07d}",
        "price": _price(fields),
        "created_at": _CREATED_AT,
        "updated_at": _CREATED_AT,
    }
    world.shipments.append(shipment)
    return shipment


def get_shipment(world: World, call: ApiCall) -> Any:
    return _require_shipment(world, call)


def update_shipment(world: World, call: ApiCall) -> Any:
    shipment = _require_shipment(world, call)
    change = parse_shipment_request(ShipmentUpdateBody, call.body)
    if shipment["state"] not in _MOVES["canceled"][0]:
        raise ShipmentRefused((1003, "state"))
    result = {**shipment, **change.model_dump(mode="json", exclude_none=True)}
    _check(result)
    shipment.update(result, price=_price(result))
    return shipment


def cancel_shipment(world: World, call: ApiCall) -> None:
    try:
        move_shipment(_require_shipment(world, call), "canceled")
    except NoSuchMove:
        raise ShipmentRefused((1003, "state")) from None


HANDLERS: Mapping[str, Callable[[World, ApiCall], Any]] = {
    "create_shipment": create_shipment,
    "get_shipment": get_shipment,
    "update_shipment": update_shipment,
    "cancel_shipment": cancel_shipment,
}
"""The function of each operation, by its id."""


def _require_shipment(world: World, call: ApiCall) -> dict[str, Any]:
    shipment = find_shipment(world, call.path["shipment_id"])
    if shipment is None:
        raise ShipmentRefused((1006, "id"))
    return shipment


def _check(shipment: Mapping[str, Any]) -> None:
    """Raises ShipmentRefused for mistakes that concern several fields together."""
    window = shipment["deliver_between"]
    end = parse_time(window["end"])
    if end <= parse_time(window["start"]) or end <= parse_time(shipment["pickup_after"]):
        raise ShipmentRefused((1003, "deliver_between"))
    places = ("pickup_location", "delivery_location")
    addresses = {name: shipment[name]["address"] for name in places}
    unknown = [name for name, address in addresses.items() if address["zip"] == UNKNOWN_ZIP]
    if unknown:
        raise ShipmentRefused(*((1004, f"{name}.address") for name in unknown))
    if len({address["state"] == ISLAND for address in addresses.values()}) > 1:
        raise ShipmentRefused((1005, "delivery_location"))


def _price(shipment: Mapping[str, Any]) -> float:
    """Returns dollars. The price is invented: a base, weight, insurance, and a surcharge for leaving the state."""
    items = shipment["items"]
    weight = sum(item["weight"] * item["quantity"] for item in items)
    value = sum(item["value"] * item["quantity"] for item in items)
    states = {shipment[name]["address"]["state"] for name in ("pickup_location", "delivery_location")}
    price: float = 12.5 + 0.15 * weight + 0.01 * value + 80 * (len(states) - 1)
    return round(price, 2)
