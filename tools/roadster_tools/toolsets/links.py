"""Links into a dealer's storefront."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from roadster_client.models.customers import Analytics, CustomerContact
from roadster_client.models.links import LinkRequest
from roadster_client.models.values import Vin, Year
from roadster_client.models.vehicles import InventoryVehicle, VehicleRequest
from roadster_tools.answers import ToolAnswer
from roadster_tools.catalogue import tool
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.vehicles import LastSeen, Stock, StockState, stock_of
from roadster_tools.side_reads import read_both

from .feed import find_in_feed

_OPENING = "Opening it makes the customer's account and a lead: send it to that customer alone."

_STOCK_NOTES: Mapping[Stock | None, str] = {
    "reserved": "Reserved.",
    "not in stock": "Not in stock: sold or incoming.",
    "not in the feed": "Not among the dealer's new vehicles.",
}


class LinkAnswer(ToolAnswer):
    url: str | None = None
    in_stock: bool | None = None
    price_locked: bool | None = Field(default=None, description="the page asks for contact data first")
    grade: str | None = None
    note: str | None = None


@tool("Build a deep link")
async def build_deep_link(
    grant: Grant,
    vin: Vin | None = None,
    make: str | None = None,
    model: str | None = None,
    trim: str | None = None,
    year: Year | None = None,
    customer: CustomerContact | None = None,
    utm_source: str | None = None,
    utm_medium: str | None = None,
    utm_campaign: str | None = None,
) -> LinkAnswer:
    """A storefront link to a vehicle or make; with `customer` and a VIN it holds their contact data, encrypted.
    Building changes nothing. Opening a customer's link makes their account and lead, and unlocks prices: for them
    alone."""
    analytics = Analytics(utm_source=utm_source, utm_medium=utm_medium, utm_campaign=utm_campaign)
    if customer is not None:
        if vin is None:
            raise InvalidArguments({"vin": "is needed for a customer's link"})
        if analytics.wire():
            raise InvalidArguments(dict.fromkeys(analytics.wire(), "cannot be part of a customer's link"))
        url = grant.roadster.customer_link(vin, customer)
        vehicle = await _find_own_vehicle(grant, vin)
        return LinkAnswer(
            url=url,
            in_stock=vehicle.in_stock if vehicle else None,
            note=" ".join(filter(None, [_STOCK_NOTES.get(stock_of(vehicle)), _OPENING])),
        )
    if vin is None and make is None:
        raise InvalidArguments({"vin": "or make is needed"})
    request = LinkRequest(
        vehicle=VehicleRequest(vin=vin, make=make, model=model, trim=trim, year=year),
        analytics=analytics if analytics.wire() else None,
    )
    answer, state = await read_both(lambda: grant.roadster.create_link(request), lambda: _read_stock(grant, vin))
    linked_vehicle = answer.vehicle
    return LinkAnswer(
        url=answer.link.redirect_url,
        in_stock=linked_vehicle.in_stock if linked_vehicle else None,
        price_locked=linked_vehicle.price_locked if linked_vehicle else None,
        grade=linked_vehicle.grade if linked_vehicle else None,
        note=_STOCK_NOTES.get(state.stock) if state else None,
    )


async def _read_stock(grant: Grant, vin: str | None) -> StockState | None:
    """Returns the stock of the linked vehicle. Returns None if nobody knows, or the link is to a whole make."""
    return None if vin is None else await grant.vehicles.stock_of(vin)


async def _find_own_vehicle(grant: Grant, vin: str) -> InventoryVehicle | None:
    """Returns the vehicle as the dealer's feed has it. The feed lists new ones only, so any other one may be used.

    Raises NotFound if the dealer has no such vehicle, and ClientError if that cannot be found out.
    """
    feed_vin = await grant.vehicles.feed_vin(vin)
    result = await grant.vehicles.look_up(vin, lambda: find_in_feed(grant.roadster, vin, feed_vin))
    vehicle = result.vehicle if isinstance(result, LastSeen) else result
    if vehicle is None:
        await grant.roadster.get_vehicle(vin)
    return vehicle
