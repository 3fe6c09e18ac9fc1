"""Customers: their account at a dealer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roadster_client.models.customers import (
    Accessory,
    Analytics,
    CustomerContact,
    NewCustomer,
    PaymentPreference,
    PlanChoice,
)
from roadster_client.models.vehicles import VehicleRequest

from .access import Grant
from .answers import ToolAnswer
from .catalogue import write_tool


class CustomerAnswer(ToolAnswer):
    customer_id: int
    duplicate: bool = Field(description="true where the email address was known at this dealer and nothing was made")
    redirect_url: str | None = Field(default=None, description="signs whoever opens it in as the customer")


@write_tool(
    "Create a customer",
    if_unknown="Ask the dealer whether Roadster has the customer; where it has, create_customer with the same email "
    "answers with duplicate true and makes nothing new",
)
async def create_customer(
    grant: Grant,
    customer: CustomerContact,
    vehicle: Annotated[VehicleRequest | None, Field(description="where the link lands: a VIN, or a make")] = None,
    payment: PaymentPreference | None = None,
    plans: list[PlanChoice] | None = None,
    accessories: list[Accessory] | None = None,
    analytics: Analytics | None = None,
    checkout: Annotated[bool | None, Field(description="the link opens the checkout")] = None,
) -> CustomerAnswer:
    """Create a customer's account and lead at a dealer, with the vehicle and payment they prefer. Only with the
    customer's consent and an email address they gave: never invent one. For a link without an account made now
    use build_deep_link."""
    created = await grant.roadster.create_customer(
        NewCustomer(
            customer=customer,
            vehicle=vehicle,
            payment=payment,
            plans=tuple(plans) if plans else None,
            accessories=tuple(accessories) if accessories else None,
            analytics=analytics,
            checkout=checkout,
        )
    )
    return CustomerAnswer(
        customer_id=created.customer.id, duplicate=created.duplicate, redirect_url=created.customer.redirect_url
    )
