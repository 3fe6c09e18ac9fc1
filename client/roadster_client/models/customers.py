"""Customers: POST and PUT /customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from roadster_client.visible_text import is_absent

from .parts import Received, Sent, WriteOutcome
from .personal_data import Contact, ContactData, Email, PersonName, Phone
from .values import MOST, Amount, AnnualMiles, Id, Months, WebUrl
from .vehicles import VehicleRequest


class CustomerContact(Sent):
    """The customer's contact data. Two customers with one email address are the same."""

    first_name: PersonName
    last_name: PersonName
    email: Email
    phone: Phone | None = None
    partner_id: Contact | None = None


class PaymentPreference(Sent):
    """The deal that the customer prefers. Amounts are in the currency's units, terms in months, miles a year."""

    deal_type: Literal["lease", "finance"] | None = None
    lease_down: Amount | None = None
    lease_months: Months | None = None
    lease_miles: AnnualMiles | None = None
    finance_down: Amount | None = None
    finance_months: Months | None = None


class PlanChoice(Sent):
    """A protection plan by id, with the code and the tier of the choice."""

    id: int = Field(gt=0, le=MOST)
    code: str | None = None
    tier: str | None = None


class Accessory(Sent):
    code: str


class Analytics(Sent):
    """Values that the upstream appends to the link's query."""

    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None


class NewCustomer(Sent):
    customer: CustomerContact
    vehicle: VehicleRequest | None = None
    payment: PaymentPreference | None = None
    plans: tuple[PlanChoice, ...] | None = None
    accessories: tuple[Accessory, ...] | None = None
    analytics: Analytics | None = None
    checkout: bool | None = None


class CreatedCustomer(Received):
    id: Id
    dpid: str | None = None
    redirect_url: WebUrl = None


def _as_null(value: Any) -> Any:
    return None if is_absent(value) else value


class CustomerCreated(Received):
    """`duplicate` is true where the customer existed already, and nothing was created.

    The reference's answer for a new customer leaves it out, so missing is false. Null says neither.
    """

    status: str | None = None
    customer: CreatedCustomer
    duplicate: Annotated[bool | None, BeforeValidator(_as_null)] = False


def _as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


class Agent(Sent):
    """A customer's salesperson, by id or email. The reference shows ids as strings and as numbers."""

    id: Annotated[str, BeforeValidator(_as_text), Field(min_length=1)] | None = None
    email: Email | None = None


class CustomerUpdate(Sent):
    """A change of a customer. The request's query has the customer's id."""

    agent: Agent


class UpdatedCustomer(Received):
    """The customer after the update: contact data, without an id."""

    first_name: ContactData | None = None
    last_name: ContactData | None = None
    email: ContactData | None = None
    phone: ContactData | None = None


class CustomerUpdated(WriteOutcome):
    status: str | None = None
    customer: UpdatedCustomer | None = None

    @staticmethod
    def has_result(json: Mapping[str, Any]) -> bool:
        customer = json.get("customer")
        return isinstance(customer, dict) and any(
            isinstance(value, str) and not is_absent(value)
            for value in (customer.get(name) for name in UpdatedCustomer.model_fields)
        )
