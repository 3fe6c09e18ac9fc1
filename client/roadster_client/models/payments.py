"""The request of POST /payments: a quote for cash, finance and lease side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .customers import PlanChoice
from .parts import Sent
from .values import Amount, Miles

DealType = Literal["cash", "finance", "lease"]


class QuotedCustomer(Sent):
    """The customer of a quote, without anything that names a person."""

    credit_score: int | None = None
    incentives: tuple[str, ...] | None = None
    zip_code: str | None = None


class QuotedVehicle(Sent):
    vin: str
    make: str | None = None
    model: str | None = None
    year: int | None = None
    trim_code: str | None = None
    exterior_color_code: str | None = None
    interior_color_code: str | None = None
    option_codes: tuple[str, ...] | None = None


class PaymentTerms(Sent):
    """The terms of a deal: `term` in months, `annual_mileage` in miles, `customer_cash` in the currency's units."""

    deal_type: DealType | None = None
    customer_cash: float | None = None
    term: int | None = None
    annual_mileage: int | None = None
    no_taxes_or_fees: bool | None = None


class TradeIn(Sent):
    """The customer's car. `is_offer` is true where the dealer has offered this value."""

    value: Amount
    ownership: Literal["owned", "financed", "leased"] | None = None
    payoff: Amount | None = None
    mileage: Miles | None = None
    is_offer: bool | None = None


class PaymentRequest(Sent):
    """The whole request. The upstream requires `customer`, even if it is empty."""

    vehicle: QuotedVehicle
    customer: QuotedCustomer = Field(default_factory=QuotedCustomer)
    payment: PaymentTerms | None = None
    trade_in: TradeIn | None = None
    plans: tuple[PlanChoice, ...] | None = None
