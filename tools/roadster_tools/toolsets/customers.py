"""Customers: their account at a dealer, their agent, and the offer for their car."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from roadster_client import LeftOut
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
from roadster_client.models.personal_data import Email
from roadster_client.models.trades import TradeValuation
from roadster_client.models.values import MOST_AMOUNT, Amount, AnnualMiles, Miles, Months, Vin, Year, plausible
from roadster_client.models.vehicles import VehicleRequest
from roadster_tools.answers import ToolAnswer
from roadster_tools.arguments.parameters import CustomerId
from roadster_tools.catalogue import write_tool
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant


class CreatedCustomerAnswer(ToolAnswer):
    customer_id: int
    duplicate: bool | None = Field(default=None, description="the email was known: nothing was made")
    redirect_url: str | None = Field(default=None, description="signs in as the customer")


@write_tool(
    "Create a customer",
    if_unknown="Ask the dealer whether Roadster has the customer; where it has, create_customer with the same email "
    "answers with duplicate true and makes nothing new",
)
async def create_customer(
    grant: Grant,
    customer: CustomerContact,
    vehicle: VehicleRequest | None = None,
    deal_type: Literal["lease", "finance"] | None = None,
    lease_down: Amount | None = None,
    lease_months: Months | None = None,
    lease_annual_miles: AnnualMiles | None = None,
    finance_down: Amount | None = None,
    finance_months: Months | None = None,
    plans: list[PlanChoice] | None = None,
    accessories: list[str] | None = None,
    utm_source: str | None = None,
    utm_medium: str | None = None,
    utm_campaign: str | None = None,
    checkout: bool | None = None,
) -> CreatedCustomerAnswer:
    """Create a customer's account and lead, with consent and their own email: never invent one. For a mere link use
    build_deep_link."""
    payment = PaymentPreference(
        deal_type=deal_type,
        lease_down=lease_down,
        lease_months=lease_months,
        lease_miles=lease_annual_miles,
        finance_down=finance_down,
        finance_months=finance_months,
    )
    analytics = Analytics(utm_source=utm_source, utm_medium=utm_medium, utm_campaign=utm_campaign)
    answer = await grant.roadster.create_customer(
        NewCustomer(
            customer=customer,
            vehicle=vehicle,
            payment=payment if payment.wire() else None,
            plans=tuple(plans) if plans else None,
            accessories=tuple(Accessory(code=code) for code in accessories) if accessories else None,
            analytics=analytics if analytics.wire() else None,
            checkout=checkout,
        )
    )
    is_unread = grant.left_out[LeftOut("create_customer", "duplicate")] > 0
    duplicate = None if is_unread else answer.duplicate
    if duplicate is None:
        grant.notices.append("duplicate: could not be read, so the customer may have been there before.")
    # Where nothing was made, the account is found by its email, and may have another phone.
    phone = customer.phone if duplicate is False else None
    await grant.customers.note(answer.customer.id, email=customer.email, phone=phone)
    return CreatedCustomerAnswer(
        customer_id=answer.customer.id, duplicate=duplicate, redirect_url=answer.customer.redirect_url
    )


class AssignmentAnswer(ToolAnswer):
    # The upstream answers with the customer's contact data. None of it is passed on.
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
    agent: Agent,
) -> AssignmentAnswer:
    """Make a salesperson a customer's agent, in place of whoever was. Take the id or email from the dealer: never guess
    it."""
    if agent.id is None and agent.email is None:
        raise InvalidArguments({"agent": "needs an id or an email"})
    await grant.roadster.update_customer(customer_id, CustomerUpdate(agent=agent))
    return AssignmentAnswer(customer_id=customer_id)


class TradeAnswer(ToolAnswer):
    customer_id: int
    redirect_url: str | None = Field(default=None, description="signs in as the customer")


@write_tool(
    "Submit a trade-in valuation",
    if_unknown="Ask the dealer whether Roadster shows the offer; the same valuation submitted again updates it and "
    "makes no second one",
)
async def submit_trade_valuation(
    grant: Grant,
    email: Email,
    vin: Vin,
    value: Annotated[int, Field(gt=0, description="in whole currency units"), plausible(0, MOST_AMOUNT)],
    year: Year | None = None,
    make: str | None = None,
    model: str | None = None,
    trim: str | None = None,
    mileage: Miles | None = None,
) -> TradeAnswer:
    """Make or replace the dealer's offer for a customer's car. They see it: only a value the dealer decided. To try a
    trade-in use quote_payments."""
    answer = await grant.roadster.submit_trade_valuation(
        TradeValuation(email=email, vin=vin, value=value, year=year, make=make, model=model, trim=trim, mileage=mileage)
    )
    await grant.customers.note(answer.customer.id, email=email)
    return TradeAnswer(customer_id=answer.customer.id, redirect_url=answer.customer.redirect_url)
