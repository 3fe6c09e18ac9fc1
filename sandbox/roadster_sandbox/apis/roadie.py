"""Roadie's shipments: each an object as its API shows it, moved on by the events that a grader sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roadster_client.models.deliveries import read_time
from roadster_sandbox.world.world import World

from .roadster import ApiCall
from .shipment_requests import ShipmentBody, ShipmentRefused, ShipmentUpdateBody, parse_shipment_request

FIRST_SHIPMENT_ID = 152_040

UNKNOWN_ZIP = "00000"
"""No address has it."""

ISLAND = "HI"
"""No route leads there from another state."""

_MADE_AT = "2025-01-01T00:00:00+00:00"
"""Nothing here has a clock."""

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
"""By event, as Roadie names them: from which states, and to which."""

EVENTS = tuple(_MOVES)


class NoSuchMove(Exception):
    """The event cannot happen to a shipment in its state."""


def move(shipment: dict[str, Any], event: str) -> None:
    """Moves `shipment` on. Raises NoSuchMove."""
    before, after = _MOVES[event]
    if shipment["state"] not in before:
        raise NoSuchMove(f"{event} cannot happen to a shipment that is {shipment['state']}")
    shipment["state"] = after
    if event == "driver_assigned":
        number = shipment["id"]
        shipment["driver"] = {"name": _DRIVERS[number % len(_DRIVERS)], "phone": f"770555{number % 10_000:04d}"}


def shipment_by(world: World, shipment_id: str) -> dict[str, Any] | None:
    return next((shipment for shipment in world.shipments if str(shipment["id"]) == shipment_id), None)


def create_shipment(world: World, call: ApiCall) -> Any:
    order = parse_shipment_request(ShipmentBody, call.body)
    given = order.model_dump(mode="json")
    _check(given)
    number = FIRST_SHIPMENT_ID + len(world.shipments)
    shipment = {
        "id": number,
        "state": "scheduled",
        **given,
        "tracking_number": f"RESANDBOX{number:07d}",
        "price": _price(given),
        "created_at": _MADE_AT,
        "updated_at": _MADE_AT,
    }
    world.shipments.append(shipment)
    return shipment


def get_shipment(world: World, call: ApiCall) -> Any:
    return _found(world, call)


def update_shipment(world: World, call: ApiCall) -> Any:
    shipment = _found(world, call)
    change = parse_shipment_request(ShipmentUpdateBody, call.body)
    if shipment["state"] not in _MOVES["canceled"][0]:
        raise ShipmentRefused((1003, "state"))
    changed = {**shipment, **change.model_dump(mode="json", exclude_none=True)}
    _check(changed)
    shipment.update(changed, price=_price(changed))
    return shipment


def cancel_shipment(world: World, call: ApiCall) -> None:
    try:
        move(_found(world, call), "canceled")
    except NoSuchMove:
        raise ShipmentRefused((1003, "state")) from None


HANDLERS: Mapping[str, Callable[[World, ApiCall], Any]] = {
    "create_shipment": create_shipment,
    "get_shipment": get_shipment,
    "update_shipment": update_shipment,
    "cancel_shipment": cancel_shipment,
}
"""By operation id."""


def _found(world: World, call: ApiCall) -> dict[str, Any]:
    shipment = shipment_by(world, call.path["shipment_id"])
    if shipment is None:
        raise ShipmentRefused((1006, "id"))
    return shipment


def _check(shipment: Mapping[str, Any]) -> None:
    """Raises ShipmentRefused for what no single field is to blame for."""
    window = shipment["deliver_between"]
    end = read_time(window["end"])
    if end <= read_time(window["start"]) or end <= read_time(shipment["pickup_after"]):
        raise ShipmentRefused((1003, "deliver_between"))
    places = ("pickup_location", "delivery_location")
    addresses = {name: shipment[name]["address"] for name in places}
    unknown = [name for name, address in addresses.items() if address["zip"] == UNKNOWN_ZIP]
    if unknown:
        raise ShipmentRefused(*((1004, f"{name}.address") for name in unknown))
    if len({address["state"] == ISLAND for address in addresses.values()}) > 1:
        raise ShipmentRefused((1005, "delivery_location"))


def _price(shipment: Mapping[str, Any]) -> float:
    """Invented: a base, and something for weight, insurance and leaving the state."""
    items = shipment["items"]
    weight = sum(item["weight"] * item["quantity"] for item in items)
    value = sum(item["value"] * item["quantity"] for item in items)
    states = {shipment[name]["address"]["state"] for name in ("pickup_location", "delivery_location")}
    price: float = 12.5 + 0.15 * weight + 0.01 * value + 80 * (len(states) - 1)
    return round(price, 2)
