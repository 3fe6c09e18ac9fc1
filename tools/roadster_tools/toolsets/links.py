"""Links into a dealer's storefront."""

from __future__ import annotations

from pydantic import Field

from roadster_client.models.customers import Analytics, CustomerContact
from roadster_client.models.links import LinkRequest
from roadster_client.models.values import Vin
from roadster_client.models.vehicles import VehicleRequest
from roadster_tools.answers import ToolAnswer
from roadster_tools.catalogue import tool
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant


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
    year: int | None = None,
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
        return LinkAnswer(
            url=grant.roadster.customer_link(vin, customer),
            note="Opening it makes the customer's account and a lead: send it to that customer alone.",
        )
    if vin is None and make is None:
        raise InvalidArguments({"vin": "or make is needed"})
    answer = await grant.roadster.create_link(
        LinkRequest(
            vehicle=VehicleRequest(vin=vin, make=make, model=model, trim=trim, year=year),
            analytics=analytics if analytics.wire() else None,
        )
    )
    vehicle = answer.vehicle
    return LinkAnswer(
        url=answer.link.redirect_url,
        in_stock=vehicle.in_stock if vehicle else None,
        price_locked=vehicle.price_locked if vehicle else None,
        grade=vehicle.grade if vehicle else None,
    )
