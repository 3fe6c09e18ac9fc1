"""The rows of a quote: a deal of each kind, the programs behind the deals, rebates and incentives.

Zero is what Roadster says is zero. What it does not say is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer, WithJsonSchema

from roadster_client.models.payments import DealType
from roadster_tools.answers import ToolAnswer, cell, money, number_text, plain

_NO_AMOUNTS = frozenset(
    {"term_months", "apr_percent", "rate_percent", "money_factor", "annual_miles", "residual_percent"}
)
"""Figures that are not in the currency's units."""


def whole_number(figure: float) -> float:
    """Returns a whole number without its decimals, which take tokens."""
    return int(figure) if figure.is_integer() else figure


Figure = Annotated[float, PlainSerializer(whole_number, return_type=int | float), WithJsonSchema({"type": "number"})]
Doubts = Annotated[dict[str, str], WithJsonSchema({"type": "object"})]
"""What is odd, by the name of the figure. Its schema is short, because it stands in the list of tools for each deal."""

_RowT = TypeVar("_RowT", bound="DealQuote")


class DealQuote(ToolAnswer):
    """A deal. `rebate` is the sum of the rebates and incentives in it. `doubts` are the figures that can hardly be
    right, each with what is odd about it.

    What all deals have alike stands beside them, and so does a last day that all programs and rebates have alike.
    """

    msrp: Figure | None = None
    price: Figure | None = None
    rebate: Figure | None = None
    trade_equity: Figure | None = None

    def text(self) -> str:
        """Returns the figures with their names, in one line."""
        return figures_text(self.structured_content())


class CashQuote(DealQuote):
    total_fees: Figure | None = None
    sales_tax: Figure | None = None
    due_at_signing: Figure | None = None
    due_to_customer: Figure | None = None
    total_cost: Figure | None = None
    doubts: Doubts | None = None


class LenderQuote(DealQuote):
    """A deal with a lender. `program` is the lender's, with its last day."""

    lender: str | None = None


class FinanceQuote(LenderQuote):
    monthly_payment: Figure | None = None
    term_months: int | None = None
    apr_percent: Figure | None = None
    down_payment: Figure | None = None
    total_fees: Figure | None = None
    sales_tax: Figure | None = None
    due_at_signing: Figure | None = None
    due_to_customer: Figure | None = None
    total_financed: Figure | None = None
    total_interest: Figure | None = None
    total_cost: Figure | None = None
    program: str | None = None
    program_expires: str | None = None
    doubts: Doubts | None = None


class DueAtSigningParts(ToolAnswer):
    """The parts of what is due at signing beside the down payment."""

    first_payment: Figure | None = None
    first_payment_waiver: Figure | None = None
    fees: Figure | None = None
    taxes: Figure | None = None
    security_deposit: Figure | None = None


class LeaseQuote(LenderQuote):
    """`rate_percent` is the money factor times 2,400. `residual_percent`, in full, counts at these miles."""

    monthly_payment: Figure | None = None
    term_months: int | None = None
    annual_miles: Figure | None = None
    monthly_tax: Figure | None = None
    money_factor: Figure | None = None
    rate_percent: Figure | None = None
    down_payment: Figure | None = None
    due_at_signing: Figure | None = None
    due_at_signing_parts: DueAtSigningParts | None = None
    due_to_customer: Figure | None = None
    acquisition_fee: Figure | None = None
    cap_cost: Figure | None = None
    residual_value: Figure | None = None
    residual_percent: Figure | None = None
    overage_per_mile: Figure | None = None
    total_cost: Figure | None = None
    program: str | None = None
    program_expires: str | None = None
    doubts: Doubts | None = None


QuotedDeal = CashQuote | FinanceQuote | LeaseQuote

CENT = 0.01


def common_figures(deals: Collection[DealQuote]) -> dict[str, Any]:
    """Returns what several deals have alike. One that lacks a figure of its kind does not agree: nobody knows it."""
    common: dict[str, Any] = {}
    for name in LenderQuote.model_fields:
        values = [getattr(deal, name) for deal in deals if name in type(deal).model_fields]
        if len(values) > 1 and len(set(values)) == 1 and values[0] is not None:
            common[name] = values[0]
    return common


def without_common(deal: _RowT, common: Collection[str]) -> _RowT:
    return deal.model_copy(update=dict.fromkeys(name for name in common if name in type(deal).model_fields))


def common_expiry(deals: Mapping[DealType, QuotedDeal], rebates: Sequence[AppliedDiscountRow]) -> str | None:
    """Returns the last day of all programs and rebates, None where it is not known of each, or is not the same."""
    if not all(_has_all_rebates(deal_type, deal, rebates) for deal_type, deal in deals.items()):
        return None
    programs = [deal.program_expires for deal in deals.values() if isinstance(deal, FinanceQuote | LeaseQuote)]
    days = {*programs, *(rebate.expires for rebate in rebates)}
    return days.pop() if len(days) == 1 else None


def _has_all_rebates(deal_type: DealType, deal: DealQuote, rebates: Iterable[AppliedDiscountRow]) -> bool:
    """Tells whether these are all rebates of a deal. Of others nobody knows a last day."""
    if deal.rebate is None:
        return False
    own = [row.amount or 0 for row in rebates if row.deals is None or deal_type in row.deals]
    return abs(sum(own) - deal.rebate) < CENT


class QuotedPlanRow(ToolAnswer):
    """A protection plan in the deals. `deals` names them where it is not in all of them."""

    title: str | None = None
    tier: str | None = None
    price: Figure | None = None
    deals: list[str] | None = None

    def text(self) -> str:
        return _row_text(self)


class AppliedDiscountRow(ToolAnswer):
    """A rebate or an incentive in the deals. `deals` names them where it is not in all of them."""

    name: str | None = None
    amount: Figure | None = None
    expires: str | None = None
    deals: list[str] | None = None

    def text(self) -> str:
        return _row_text(self)


class FinanceProgramRow(ToolAnswer):
    term_months: int | None = None
    apr_percent: Figure | None = None
    min_credit_score: int | None = None
    expires_at: str | None = None


class LeaseProgramRow(ToolAnswer):
    term_months: int | None = None
    money_factor: Figure | None = None
    residual_percent: Figure | None = None
    annual_miles: Figure | None = None
    min_credit_score: int | None = None
    lender: str | None = None
    expires_at: str | None = None


class DiscountRow(ToolAnswer):
    """A rebate, with its recipient in `to`, or an incentive, whose name is one of the argument `incentives`.

    `deals` names those whose programs have it, where not all have it.
    """

    name: str | None = None
    title: str | None = Field(default=None, description="for customers")
    amount: Figure | None = None
    to: str | None = None
    expires_at: str | None = None
    deals: list[str] | None = None


def _row_text(row: QuotedPlanRow | AppliedDiscountRow) -> str:
    values = row.structured_content()
    names = [cell(str(values.pop(name))) for name in ("title", "name") if name in values]
    deals = ", ".join(values.pop("deals", ()))
    return ", ".join([*names, figures_text(values), *([f"in {deals} only"] if deals else [])])


def figures_text(figures: Mapping[str, Any]) -> str:
    """Returns figures with their names, in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {_value_text(name, value)}" for name, value in figures.items())


def _value_text(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"({figures_text(value)})"
    if isinstance(value, str):
        return plain(value)
    return number_text(value) if name in _NO_AMOUNTS else money(value)
