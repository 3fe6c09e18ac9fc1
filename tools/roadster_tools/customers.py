"""Customers: their account at a dealer, who looks after them, what their car is worth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from roadster_client.models.customers import (
    Accessory,
    Agent,
    Analytics,
    CustomerContact,
    CustomerUpdate,
    NewCustomer,
    PaymentPreference,
    PlanChoice,
)
from roadster_client.models.scalars import Email
from roadster_client.models.trades import TradeValuation
from roadster_client.models.vehicles import VehicleRequest

from .access import Grant
from .answers import ToolAnswer
from .catalogue import write_tool
from .failures import InvalidArguments
from .parameters import CustomerId, Vin


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
    await grant.belongings.note("customer", str(created.customer.id))
    return CustomerAnswer(
        customer_id=created.customer.id, duplicate=created.duplicate, redirect_url=created.customer.redirect_url
    )


class AssignmentAnswer(ToolAnswer):
    # The upstream answers with the customer's contact data: none of it is handed on.
    customer_id: int
    assigned: Literal[True] = True


@write_tool(
    "Assign an agent to a customer",
    if_unknown="Ask the dealer which agent Roadster shows for the customer; assigning the same one again changes "
    "nothing more",
)
async def assign_agent(
    grant: Grant,
    customer_id: CustomerId,
    agent: Annotated[Agent, Field(description="of the dealer's staff; id or email is needed")],
) -> AssignmentAnswer:
    """Make one of the dealer's salespeople the agent of a customer, in place of whoever was. The customer must exist
    at this dealer. Use the id or email that the dealer gave: never guess one."""
    if agent.id is None and agent.email is None:
        raise InvalidArguments({"agent": "needs an id or an email"})
    await grant.roadster.update_customer(customer_id, CustomerUpdate(agent=agent))
    return AssignmentAnswer(customer_id=customer_id)


class TradeAnswer(ToolAnswer):
    customer_id: int
    redirect_url: str | None = Field(default=None, description="signs whoever opens it in as the customer")


@write_tool(
    "Submit a trade-in valuation",
    if_unknown="Ask the dealer whether Roadster shows the offer; the same valuation submitted again updates it and "
    "makes no second one",
)
async def submit_trade_valuation(
    grant: Grant,
    email: Annotated[Email, Field(description="of the customer")],
    vin: Annotated[Vin, Field(description="of the customer's car")],
    value: Annotated[int, Field(ge=0, description="offered, in whole units of the currency")],
    year: Annotated[int | None, Field(ge=1900, le=2100)] = None,
    make: str | None = None,
    model: str | None = None,
    trim: str | None = None,
    mileage: Annotated[int | None, Field(ge=0)] = None,
) -> TradeAnswer:
    """Make the dealer's offer for a customer's car, or replace the one that stands for the same email and VIN. The
    customer sees it: submit only a value that the dealer decided. To see what a trade-in does to a payment use
    quote_payments, which changes nothing."""
    valued = await grant.roadster.submit_trade_valuation(
        TradeValuation(email=email, vin=vin, value=value, year=year, make=make, model=model, trim=trim, mileage=mileage)
    )
    return TradeAnswer(customer_id=valued.customer.id, redirect_url=valued.customer.redirect_url)
