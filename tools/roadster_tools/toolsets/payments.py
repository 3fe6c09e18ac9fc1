"""Payments: the price of a vehicle in cash, financed and leased.

The documents give the same rate in three units. Here a rate is always in percent, and its name says so. A money factor
is always the small number of a lease contract: 0.0031 times 2,400 is the rate in percent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field

from roadster_client import LeftOut
from roadster_client.models.customers import PlanChoice
from roadster_client.models.parts import Received
from roadster_client.models.payments import (
    DealType,
    PaymentRequest,
    PaymentTerms,
    QuotedCustomer,
    QuotedVehicle,
    TradeIn,
)
from roadster_client.models.quotes import (
    CashDeal,
    Deals,
    FinanceDeal,
    FinanceProgram,
    LeaseDeal,
    LeaseProgram,
    Programs,
    Quote,
)
from roadster_client.models.values import Vin
from roadster_tools.answers import ToolAnswer, cell, money, plain, table
from roadster_tools.catalogue import tool
from roadster_tools.gate.gate import Grant
from roadster_tools.parameters import Detail, Months, plausible

from .quote_rows import (
    CashQuote,
    DiscountRow,
    FinanceProgramRow,
    FinanceQuote,
    LeaseProgramRow,
    LeaseQuote,
)

_MOST_ROWS = 20
"""Rows of each list in a full answer: programs, rebates, a vehicle's options. The documents show one to three."""

_RowT = TypeVar("_RowT")


class QuoteDetails(ToolAnswer):
    """Every documented term of each deal, with rates in percent, and the programs behind them."""

    terms: dict[str, dict[str, Any]] = Field(description="by deal: cash, finance, lease")
    plans: list[dict[str, Any]]
    vehicle: dict[str, Any]
    finance_programs: list[FinanceProgramRow]
    lease_programs: list[LeaseProgramRow]
    rebates: list[DiscountRow]
    incentives: list[DiscountRow]
    rows_cut: dict[str, int] | None = Field(default=None, description="rows not shown, by list")

    def text(self) -> str:
        return "\n".join(
            [
                *_terms_text(self.terms),
                *(f"Plan: {_json(plan)}" for plan in self.plans),
                f"Vehicle: {_json(self.vehicle)}",
                *table("Finance programs", self.finance_programs),
                *table("Lease programs", self.lease_programs),
                *table("Rebates", self.rebates),
                *table("Incentives", self.incentives),
            ]
        )


class QuoteAnswer(ToolAnswer):
    """Amounts in the currency's units, with taxes and fees unless they were left out on request."""

    vin: str
    vehicle: str | None = None
    cash: CashQuote | None = None
    finance: FinanceQuote | None = None
    lease: LeaseQuote | None = None
    unread: list[str] | None = Field(default=None, description="deals that could not be read, so they may be on offer")
    details: QuoteDetails | None = None
    truncated: bool | None = None
    hint: str | None = None
    caveat: str = "An estimate from the dealer's programs, subject to credit approval; the dealer's contract decides."

    def text(self) -> str:
        """Returns the three deals, one line each, then the details."""
        deals = {"cash": self.cash, "finance": self.finance, "lease": self.lease}
        lines = [f"{self.vin} {cell(self.vehicle or '')}".rstrip()]
        for name, deal in deals.items():
            absence = "could not be read" if name in (self.unread or ()) else "none"
            lines.append(f"{name.capitalize()}: {_deal_text(deal) if deal else absence}")
        if self.details is not None:
            lines.append(self.details.text())
        return "\n".join([*lines, *filter(None, [self.hint]), self.caveat])


@tool("Quote payments")
async def quote_payments(
    grant: Grant,
    vin: Vin,
    deal_type: Annotated[DealType | None, Field(description="of the terms")] = None,
    term_months: Months | None = None,
    customer_cash: Annotated[float | None, Field(ge=0, description="down payment")] = None,
    annual_miles: Annotated[int, plausible(1, 100_000)] | None = None,
    no_taxes_or_fees: bool | None = None,
    credit_score: Annotated[int, plausible(300, 900)] | None = None,
    zip_code: Annotated[str | None, Field(pattern=r"^[0-9]{5}$")] = None,
    incentives: Annotated[list[str] | None, Field(description="such as loyalty")] = None,
    trade_in: TradeIn | None = None,
    plans: list[PlanChoice] | None = None,
    detail: Detail = "brief",
) -> QuoteAnswer:
    """What a vehicle costs in cash, financed and leased; only a VIN is needed. Never work out a payment: call again
    with other terms. Full detail adds the dealer's own figures (profit): not for customers."""
    terms = PaymentTerms(
        deal_type=deal_type,
        customer_cash=customer_cash,
        term=term_months,
        annual_mileage=annual_miles,
        no_taxes_or_fees=no_taxes_or_fees,
    )
    quote = await grant.roadster.quote_payments(
        PaymentRequest(
            vehicle=QuotedVehicle(vin=vin),
            customer=QuotedCustomer(
                credit_score=credit_score,
                zip_code=zip_code,
                incentives=tuple(incentives) if incentives else None,
            ),
            payment=terms if terms.wire() else None,
            trade_in=trade_in,
            plans=tuple(plans) if plans else None,
        )
    )
    deals = quote.deals or Deals()
    details = _quote_details(quote, term_months) if detail == "full" else None
    rows_cut = details.rows_cut if details is not None else None
    unread = _unread_deals(quote.deals, grant.left_out)
    return QuoteAnswer(
        vin=vin,
        vehicle=_vehicle_title(quote),
        cash=_cash_quote(deals.cash) if deals.cash and "cash" not in unread else None,
        finance=_finance_quote(deals.finance) if deals.finance and "finance" not in unread else None,
        lease=_lease_quote(deals.lease) if deals.lease and "lease" not in unread else None,
        details=details,
        truncated=True if rows_cut else None,
        unread=unread or None,
        hint=_quote_hint(deals, unread, rows_cut),
    )


def _json(part: Mapping[str, Any]) -> str:
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))


def _deal_text(deal: CashQuote | FinanceQuote | LeaseQuote) -> str:
    figures = deal.structured_content().items()
    return ", ".join(f"{name.replace('_', ' ')} {_figure(name, value)}" for name, value in figures)


def _figure(name: str, value: Any) -> str:
    is_amount = isinstance(value, float) and name not in {
        "apr_percent",
        "money_factor",
        "annual_miles",
        "residual_percent",
    }
    return money(value) if is_amount else plain(value)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(fraction * 100, 4)


def _vehicle_title(quote: Quote) -> str | None:
    deals = quote.deals or Deals()
    for deal in (deals.cash, deals.finance, deals.lease):
        if deal is not None and deal.data is not None and deal.data.vehicle is not None:
            vehicle = deal.data.vehicle
            return " ".join(str(part) for part in (vehicle.year, vehicle.make, vehicle.title) if part is not None)
    return None


def _cash_quote(deal: CashDeal) -> CashQuote:
    terms = deal.terms
    return CashQuote(
        msrp=terms.msrp,
        price=terms.price,
        rebate=terms.rebate,
        total_fees=terms.total_fees,
        sales_tax=terms.sales_tax,
        trade_equity=terms.trade_equity,
        due_at_signing=terms.due_at_signing,
        total_cost=terms.total_cost,
    )


def _finance_quote(deal: FinanceDeal) -> FinanceQuote:
    terms = deal.terms
    return FinanceQuote(
        monthly_payment=terms.monthly_payment,
        term_months=terms.term,
        apr_percent=_percent(terms.interest_rate),
        due_at_signing=terms.due_at_signing,
        total_financed=terms.total_financed,
        total_interest=terms.total_interest,
        total_cost=terms.total_cost,
        lender=terms.lender_name,
    )


def _lease_quote(deal: LeaseDeal) -> LeaseQuote:
    terms = deal.terms
    return LeaseQuote(
        monthly_payment=terms.monthly_payment,
        term_months=terms.term,
        money_factor=terms.money_factor,
        annual_miles=terms.annual_mileage,
        due_at_signing=terms.due_at_signing,
        residual_value=terms.residual_value,
        residual_percent=terms.base_residual_percent,
        total_cost=terms.total_cost,
        lender=terms.lender_name,
    )


def _unread_deals(deals: Deals | None, left_out: Mapping[LeftOut, int]) -> list[str]:
    """Returns the names of the deals of which no figure could be read."""
    if deals is None or not deals.model_fields_set:
        return [*Deals.model_fields]
    paths = {kind.path for kind in left_out}
    names = []
    for name, deal in (("cash", deals.cash), ("finance", deals.finance), ("lease", deals.lease)):
        has_figures = deal is not None and bool(_json_of(deal.terms))
        if not has_figures and paths & {f"deals.{name}", f"deals.{name}.terms"}:
            names.append(name)
    return names


def _quote_hint(deals: Deals, unread: Sequence[str], rows_cut: Mapping[str, int] | None) -> str | None:
    if rows_cut:
        rows = ", ".join(f"{count} of {name}" for name, count in rows_cut.items())
        return f"Left out to keep the answer short: {rows}. The programs nearest to term_months come first: give it."
    offered = {name for name in Deals.model_fields if getattr(deals, name) is not None}
    if unread and offered <= {*unread}:
        return "Roadster's answer has no deals that can be read; the server's operator can find out why."
    if unread:
        return f"Could not be read, so the dealer may offer it: {', '.join(unread)}."
    if not offered:
        return "The dealer offers no deal on this vehicle with these terms; try others, or another vehicle."
    return None


def _quote_details(quote: Quote, term_months: int | None) -> QuoteDetails:
    all_deals = quote.deals or Deals()
    deals = {"cash": all_deals.cash, "finance": all_deals.finance, "lease": all_deals.lease}
    data = next((deal.data for deal in deals.values() if deal is not None and deal.data is not None), None)
    programs = quote.programs or Programs()
    lists = _ShortLists()
    return QuoteDetails(
        terms={name: _terms_of(deal.terms) for name, deal in deals.items() if deal is not None},
        plans=lists.shorten("plans", [_json_of(plan) for plan in data.plans]) if data is not None else [],
        vehicle=lists.shorten_values(_json_of(data.vehicle)) if data is not None and data.vehicle is not None else {},
        finance_programs=[
            FinanceProgramRow(
                term_months=program.term,
                apr_percent=program.interest_rate,
                min_credit_score=program.min_score,
                expires_at=program.expires_at,
            )
            for program in lists.shorten("finance_programs", _nearest_term_first(programs.finance, term_months))
        ],
        lease_programs=[
            LeaseProgramRow(
                term_months=program.term,
                money_factor=program.money_factor_fraction,
                residual_percent=program.base_residual,
                annual_miles=program.base_annual_mileage,
                min_credit_score=program.min_score,
                lender=program.lender_name,
                expires_at=program.expires_at,
            )
            for program in lists.shorten("lease_programs", _nearest_term_first(programs.lease, term_months))
        ],
        rebates=[
            DiscountRow(name=rebate.name, amount=rebate.cash, to=rebate.recipient, expires_at=rebate.expires_at)
            for rebate in lists.shorten("rebates", programs.cash.rebates if programs.cash else ())
        ],
        incentives=[
            DiscountRow(name=incentive.display_name, amount=incentive.cash, expires_at=incentive.expires_at)
            for incentive in lists.shorten("incentives", programs.cash.incentives if programs.cash else ())
        ],
        rows_cut=lists.rows_cut or None,
    )


class _ShortLists:
    """Shortens the lists of one answer, and counts the rows that it cuts, by list."""

    def __init__(self) -> None:
        self.rows_cut: dict[str, int] = {}

    def shorten(self, name: str, rows: Sequence[_RowT]) -> list[_RowT]:
        if len(rows) > _MOST_ROWS:
            self.rows_cut[name] = len(rows) - _MOST_ROWS
        return [*rows[:_MOST_ROWS]]

    def shorten_values(self, part: dict[str, Any]) -> dict[str, Any]:
        return {name: self.shorten(name, value) if isinstance(value, list) else value for name, value in part.items()}


_ProgramT = TypeVar("_ProgramT", FinanceProgram, LeaseProgram)


def _nearest_term_first(programs: Sequence[_ProgramT], term_months: int | None) -> Sequence[_ProgramT]:
    """Sorts the programs by how near their term is to `term_months`, else leaves them in the dealer's order."""
    if term_months is None:
        return programs
    return sorted(programs, key=lambda program: abs((program.term or 0) - term_months))


def _json_of(part: Received) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _terms_of(terms: Received) -> dict[str, Any]:
    """Returns the documented terms under their names. Rates, which are fractions there, become percentages."""
    return {
        (f"{name}_percent" if name.endswith("_rate") else name): (_percent(value) if name.endswith("_rate") else value)
        for name, value in _json_of(terms).items()
    }


def _terms_text(terms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the deals side by side, a line for each term, because most terms are in all deals and many are 0."""
    if not terms:
        return []
    deals = [dict(_flatten(deal)) for deal in terms.values()]
    names = list(dict.fromkeys(name for deal in deals for name in deal))
    zeros = [name for name in names if all(deal.get(name, 0) == 0 for deal in deals)]
    lines = [
        f"{name}: {' | '.join(dict.fromkeys(figures) if len(set(figures)) == 1 else figures)}"
        for name in names
        if name not in zeros
        for figures in [[plain(deal.get(name)) for deal in deals]]
    ]
    if zeros:
        lines.append(f"0 or false: {', '.join(zeros)}")
    return [f"Terms ({' | '.join(terms)}; one figure where they agree):", *lines]


def _flatten(terms: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in terms.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(value) if isinstance(value, list) else value
