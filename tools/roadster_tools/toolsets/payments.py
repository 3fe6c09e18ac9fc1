"""Payments: the price of a vehicle in cash, financed and leased.

The documents give the same rate in three units. Here a rate is always in percent, and its name says so. A money factor
is always the small number of a lease contract: 0.0031 times 2,400 is the rate in percent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from roadster_client import ClientError, DealerApi, LeftOut, RequestRefused
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
from roadster_client.models.quotes import Deals, Quote
from roadster_client.models.values import Amount, AnnualMiles, Months, Vin, plausible
from roadster_client.roadster.quoted_deals import QuotedDeals
from roadster_tools.answers import ToolAnswer, cell
from roadster_tools.arguments.parameters import Detail
from roadster_tools.catalogue import tool
from roadster_tools.failures import InvalidArguments
from roadster_tools.gate.gate import Grant
from roadster_tools.gate.vehicles import Stock, StockState
from roadster_tools.side_reads import read_both

from .disclosures import disclose_quote, disclosure_lines
from .quote_deals import (
    Deal,
    cash_quote,
    deals_of,
    discount_rows,
    finance_match,
    finance_quote,
    lease_match,
    lease_quote,
    plan_rows,
)
from .quote_details import QuoteDetails, quote_details
from .quote_doubts import ODD_RATE, doubts_about, is_odd_rate
from .quote_refusals import find_repeated_plans, find_unknown_plans, find_unknown_term
from .quote_rows import (
    AppliedDiscountRow,
    CashQuote,
    DealQuote,
    Figure,
    FinanceQuote,
    LeaseQuote,
    QuotedDeal,
    QuotedPlanRow,
    common_expiry,
    common_figures,
    figures_text,
    without_common,
)
from .quote_terms import Wishes, describe_assumptions, describe_unapplied, has_unnamed_plans
from .stock_hints import time_text

_DEALS: Sequence[DealType] = ("cash", "finance", "lease")
_CAVEAT = "An estimate, subject to credit and contract."
_CAVEAT_OF_LEASES = "A leased car goes back."
"""The total of a lease stands beside those of deals whose car is the customer's in the end."""
_CAVEAT_OF_BARE_FIGURES = "Without taxes and fees, as asked."


class QuoteAnswer(ToolAnswer):
    """Amounts in the currency's units, with taxes and fees unless left out on request."""

    stock: Stock | None = None
    unpriced: Literal[True] | None = None
    vin: str
    vehicle: str | None = None
    as_of: str
    msrp: Figure | None = Field(default=None, description="of all deals here, as the next three")
    price: Figure | None = None
    rebate: Figure | None = None
    trade_equity: Figure | None = None
    lender: str | None = Field(default=None, description="of finance and lease")
    expires: str | None = Field(default=None, description="of programs and rebates")
    cash: CashQuote | None = None
    finance: FinanceQuote | None = None
    lease: LeaseQuote | None = None
    plans: list[QuotedPlanRow] | None = None
    rebates: list[AppliedDiscountRow] | None = None
    not_applied: list[str] | None = Field(default=None, description="wishes that a deal does not carry")
    assumed: list[str] | None = Field(default=None, description="not given, and the figures depend on it")
    disclosures: dict[str, Any] | None = None
    unread: list[str] | None = Field(default=None, description="deals that could not be read; may be on offer")
    details: QuoteDetails | None = None
    truncated: bool | None = None
    hint: str | None = None
    caveat: str

    def text(self) -> str:
        """Returns the state of the vehicle, the three deals, one line each, what is in them, then the details."""
        deals = {"cash": self.cash, "finance": self.finance, "lease": self.lease}
        state = ", ".join(filter(None, [self.stock, "without a price" if self.unpriced else None]))
        title = f"{self.vin} {cell(self.vehicle or '')}".rstrip()
        lines = [f"{state}: {title}" if state else title]
        common = {name: value for name, value in self.structured_content().items() if name in DealQuote.model_fields}
        if common:
            names = [name for name, deal in deals.items() if deal is not None]
            place = "All deals" if len(names) == len(deals) else " and ".join(names).capitalize()
            lines.append(f"{place}: {figures_text(common)}")
        if self.lender:
            lines.append(f"Finance and lease: {figures_text({'lender': self.lender})}")
        if self.expires:
            lines.append(f"Programs and rebates: expire {self.expires}")
        for name, deal in deals.items():
            absence = "could not be read" if name in (self.unread or ()) else "none"
            lines.append(f"{name.capitalize()}: {deal.text() if deal else absence}")
        lines += [f"Plan: {plan.text()}" for plan in self.plans or ()]
        lines += [f"Rebate: {rebate.text()}" for rebate in self.rebates or ()]
        if self.not_applied:
            lines.append(f"Not applied: {'; '.join(self.not_applied)}")
        if self.assumed:
            lines.append(f"Assumed: {'; '.join(self.assumed)}")
        if self.disclosures is not None:
            lines += disclosure_lines(self.disclosures)
        if self.details is not None:
            lines.append(self.details.text())
        return "\n".join([*lines, *filter(None, [self.hint]), f"As of {self.as_of}. {self.caveat}"])


@tool("Quote payments")
async def quote_payments(
    grant: Grant,
    vin: Vin,
    deal_type: Annotated[DealType | None, Field(description="terms for this one only")] = None,
    term_months: Months | None = None,
    customer_cash: Annotated[Amount | None, Field(description="down payment")] = None,
    annual_miles: AnnualMiles | None = None,
    no_taxes_or_fees: bool | None = None,
    credit_score: Annotated[int, plausible(300, 900)] | None = None,
    zip_code: Annotated[str | None, Field(pattern=r"^[0-9]{5}$")] = None,
    incentives: Annotated[list[str] | None, Field(description="such as loyalty")] = None,
    trade_in: TradeIn | None = None,
    plans: list[PlanChoice] | None = None,
    detail: Detail = "brief",
) -> QuoteAnswer:
    """What a vehicle costs in cash, financed and leased on the same terms; only a VIN is needed. Tell what was
    not_applied. Never work out a payment: call again with other terms. Full detail may add the dealer's own
    figures: not for customers."""
    repeats = find_repeated_plans(plans or ())
    if repeats:
        raise InvalidArguments(repeats)
    terms = PaymentTerms(
        deal_type=deal_type,
        customer_cash=customer_cash,
        term=term_months,
        annual_mileage=annual_miles,
        no_taxes_or_fees=no_taxes_or_fees,
    )
    request = PaymentRequest(
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
    result, stock = await read_both(
        lambda: _quote(grant.roadster, request), lambda: grant.vehicles.stock_of(request.vehicle.vin)
    )
    quote = result.quote
    unread = [*_unread_deals(quote, grant.left_out, result.errors)]
    deals = {deal_type: deal for deal_type, deal in deals_of(quote).items() if deal_type not in unread}
    wishes = Wishes(terms, incentives or (), plans or (), credit_score, zip_code, trade_in)
    unapplied = describe_unapplied(wishes, quote, deals)
    if has_unnamed_plans(wishes, deals):
        problems = await find_unknown_plans(grant.roadster, vin, wishes.plans)
        unapplied += [f"{argument} {problem}" for argument, problem in problems.items()]
    if any(isinstance(error, RequestRefused) for error in result.errors.values()):
        terms_there = await find_unknown_term(grant.roadster, request)
        unapplied += [
            f"{deal_type}: term_months, {text}" for deal_type, text in terms_there.items() if deal_type in result.errors
        ]
    details = quote_details(quote, term_months) if detail == "full" else None
    rows_cut = details.rows_cut if details is not None else None
    rows = _deal_rows(quote, unread, detail)
    rebates = discount_rows(quote, deals, incentives or ())
    common = common_figures(rows.values())
    expiry = common_expiry(rows, rebates)
    if expiry is not None:
        rebates = [rebate.model_copy(update={"expires": None}) for rebate in rebates]
    in_common = [*common, *(["program_expires"] if expiry else [])]
    deal_rows: dict[str, Any] = {name: without_common(row, in_common) for name, row in rows.items()}
    now = datetime.now(UTC)
    return QuoteAnswer(
        stock=stock.stock if stock else None,
        unpriced=_is_unpriced(deals_of(quote), grant.left_out) or None,
        vin=vin,
        vehicle=_vehicle_title(quote),
        as_of=time_text(now),
        **common,
        expires=expiry,
        **deal_rows,
        plans=plan_rows(deals) or None,
        rebates=rebates or None,
        not_applied=unapplied or None,
        assumed=[*describe_assumptions(wishes, quote), *_stock_doubts(stock, now)] or None,
        disclosures=disclose_quote(deal_rows.get("finance"), deal_rows.get("lease"), common, grant.disclosure_wording),
        unread=unread or None,
        details=details,
        truncated=True if rows_cut else None,
        hint=_quote_hint(quote, unread, result.errors, details),
        caveat=_caveat(wishes, rows),
    )


def _caveat(wishes: Wishes, deals: Collection[DealType]) -> str:
    sentences = [_CAVEAT]
    if wishes.terms.no_taxes_or_fees:
        sentences.append(_CAVEAT_OF_BARE_FIGURES)
    if "lease" in deals:
        sentences.append(_CAVEAT_OF_LEASES)
    return " ".join(sentences)


async def _quote(roadster: DealerApi, request: PaymentRequest) -> QuotedDeals:
    """Asks for each deal, if the terms are for none in particular. Otherwise one answer has all deals.

    Raises InvalidArguments, which names what there is, if the request was refused and has an unknown plan or term.
    """
    try:
        if request.payment is not None and request.payment.deal_type is None:
            return await roadster.quote_deals(request, _DEALS)
        return QuotedDeals(await roadster.quote_payments(request), {})
    except RequestRefused:
        problems = await find_unknown_plans(roadster, request.vehicle.vin, request.plans) if request.plans else {}
        terms = await find_unknown_term(roadster, request)
        if terms:
            problems["term_months"] = "; ".join(f"{deal_type}: {text}" for deal_type, text in terms.items())
        if not problems:
            raise
        raise InvalidArguments(problems, has_read=True) from None


def _deal_rows(quote: Quote, unread: Collection[str], detail: Detail) -> dict[DealType, QuotedDeal]:
    """Returns the deals that could be read. A brief answer leaves out the residual in percent, to be brief."""
    deals = quote.deals or Deals()
    lease = lease_quote(deals.lease, lease_match(quote)) if deals.lease else None
    if lease is not None and detail == "brief":
        lease = lease.model_copy(update={"residual_percent": None})
    rows: dict[DealType, QuotedDeal | None] = {
        "cash": cash_quote(deals.cash) if deals.cash else None,
        "finance": finance_quote(deals.finance, finance_match(quote)) if deals.finance else None,
        "lease": lease,
    }
    return {
        name: row.model_copy(update={"doubts": doubts_about(row) or None})
        for name, row in rows.items()
        if row is not None and name not in unread
    }


def _stock_doubts(state: StockState | None, now: datetime) -> list[str]:
    """Returns what is not sure about the state of the vehicle."""
    if state is None:
        return ["stock: not known, because the dealer's feed does not answer"]
    if (now - state.as_of).total_seconds() > _STOCK_HOLDS:
        return [f"stock: as of {time_text(state.as_of)}, because the dealer's feed does not answer"]
    return []


_STOCK_HOLDS = 3600
"""Seconds after which the state of a vehicle is said with its time."""


def _vehicle_title(quote: Quote) -> str | None:
    for deal in deals_of(quote).values():
        if deal.data is not None and deal.data.vehicle is not None:
            vehicle = deal.data.vehicle
            return " ".join(str(part) for part in (vehicle.year, vehicle.make, vehicle.title) if part is not None)
    return None


def _is_unpriced(deals: Mapping[DealType, Deal], left_out: Mapping[LeftOut, int]) -> bool:
    """Returns whether Roadster gives no price. A price that could not be read may be there."""
    unread_prices = {f"deals.{name}.terms.price" for name in deals} & {kind.path for kind in left_out}
    return bool(deals) and not unread_prices and not any(deal.terms.price for deal in deals.values())


def _unread_deals(quote: Quote, left_out: Mapping[LeftOut, int], errors: Mapping[DealType, ClientError]) -> list[str]:
    """Returns the names of the deals of which no figure could be read."""
    if quote.deals is None or not quote.deals.model_fields_set:
        return [*Deals.model_fields]
    paths = {kind.path for kind in left_out}
    deals = deals_of(quote)
    names: list[str] = []
    for name in _DEALS:
        deal = deals.get(name)
        is_there = deal is not None or f"deals.{name}" in paths
        if name in errors or (is_there and (deal is None or not _has_figures(deal.terms))):
            names.append(name)
    return names


def _has_figures(terms: Received) -> bool:
    # A lender's name or a flag is no figure.
    return any(value not in (None, ()) and not isinstance(value, str | bool) for _, value in terms)


def _quote_hint(
    quote: Quote,
    unread: Sequence[str],
    errors: Mapping[DealType, ClientError],
    details: QuoteDetails | None,
) -> str | None:
    hints = [_presence_hint(quote, unread, errors)]
    if details is not None and any(is_odd_rate(row.apr_percent) for row in details.finance_programs):
        hints.append(f"An apr_percent of finance_programs {ODD_RATE}.")
    if details is not None and details.rows_cut:
        rows = ", ".join(f"{count} of {name}" for name, count in details.rows_cut.items())
        hints.append(
            f"Left out to keep the answer short: {rows}. The programs nearest to term_months come first: give it."
        )
    return " ".join(filter(None, hints)) or None


def _presence_hint(quote: Quote, unread: Sequence[str], errors: Mapping[DealType, ClientError]) -> str:
    """Returns what is said of the deals that are not there."""
    offers = deals_of(quote).keys()
    if errors and offers:
        reasons = ", ".join(f"{deal_type} ({error.reason})" for deal_type, error in errors.items())
        return f"Not quoted, so the dealer may offer it: {reasons}."
    if unread and offers <= {*unread}:
        return "Roadster's answer has no deals that can be read; the server's operator can find out why."
    if unread:
        return f"Could not be read, so the dealer may offer it: {', '.join(unread)}."
    return (
        "" if offers else "The dealer offers no deal on this vehicle with these terms; try others, or another vehicle."
    )
