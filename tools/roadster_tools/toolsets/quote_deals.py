"""The deals of a quote as Roadster answers them, made into the rows that a caller sees."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from roadster_client.models.dealer_figures import is_for_customer
from roadster_client.models.payments import DealType
from roadster_client.models.quotes import (
    CashDeal,
    CashProgram,
    Deals,
    FinanceDeal,
    FinanceProgram,
    FinanceTerms,
    LeaseDeal,
    LeaseProgram,
    LeaseTerms,
    Programs,
    Quote,
    Terms,
)

from .quote_rows import (
    AppliedDiscountRow,
    CashQuote,
    DueAtSigningParts,
    FinanceQuote,
    LeaseQuote,
    QuotedPlanRow,
)

Deal = CashDeal | FinanceDeal | LeaseDeal
Program = CashProgram | FinanceProgram | LeaseProgram

_SAME = 1e-6
"""The difference up to which two rates, as fractions, are the same."""
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})T00:00(:00(\.0+)?)?(Z|[+-]00:?00)?")

_ProgramT = TypeVar("_ProgramT", FinanceProgram, LeaseProgram)


@dataclass(frozen=True)
class ProgramMatch(Generic[_ProgramT]):
    """The programs that a deal may come from. Roadster does not say which one it is."""

    programs: Sequence[_ProgramT]

    @property
    def expires(self) -> str | None:
        """The day or time at which they end, None where they differ."""
        return day_of(_common(program.expires_at for program in self.programs))

    @property
    def min_score(self) -> int | None:
        """The credit score from which they count, None where they differ."""
        return _common(program.min_score for program in self.programs)


_ValueT = TypeVar("_ValueT")


def _common(values: Iterable[_ValueT | None]) -> _ValueT | None:
    """Returns the value that all have, None where they differ."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def day_of(time: str | None) -> str | None:
    """Returns the day of a time at midnight, any other text unchanged, and None for a blank one."""
    match = _DAY.fullmatch(time or "")
    return match[1] if match else (time or "").strip() or None


def deals_of(quote: Quote) -> dict[DealType, Deal]:
    """Returns the deals that are on offer, by their type."""
    deals = quote.deals or Deals()
    offers: dict[DealType, Deal | None] = {"cash": deals.cash, "finance": deals.finance, "lease": deals.lease}
    return {deal_type: deal for deal_type, deal in offers.items() if deal is not None}


def finance_match(quote: Quote) -> ProgramMatch[FinanceProgram]:
    """Returns the programs with the rate of the finance deal, for its term if there are any."""
    deal, programs = (quote.deals or Deals()).finance, (quote.programs or Programs()).finance
    rate = deal.terms.interest_rate if deal else None
    if deal is None or rate is None:
        return ProgramMatch(())
    same = [each for each in programs if each.interest_rate is not None and _is_same(each.interest_rate / 100, rate)]
    return ProgramMatch(_of_term(same, deal.terms.term))


def lease_match(quote: Quote) -> ProgramMatch[LeaseProgram]:
    """Returns the programs with the name and the money factor of the lease, for its term if there are any."""
    deal, programs = (quote.deals or Deals()).lease, (quote.programs or Programs()).lease
    factor = deal.terms.money_factor if deal else None
    if deal is None or factor is None:
        return ProgramMatch(())
    candidates = [each for each in programs if each.name == deal.terms.program_name] or programs
    same = [each for each in candidates if (own := each.money_factor_fraction) is not None and _is_same(own, factor)]
    return ProgramMatch(_of_term(same, deal.terms.term))


def _is_same(rate: float, other: float) -> bool:
    return abs(rate - other) < _SAME


def _of_term(programs: Sequence[_ProgramT], term: int | None) -> Sequence[_ProgramT]:
    return [each for each in programs if each.term == term] or programs


def cash_quote(deal: CashDeal) -> CashQuote:
    terms = deal.terms
    return CashQuote(
        msrp=terms.msrp,
        price=terms.price,
        rebate=terms.rebate,
        total_fees=terms.total_fees,
        sales_tax=terms.sales_tax,
        trade_equity=_trade_equity(deal),
        due_at_signing=terms.due_at_signing,
        due_to_customer=terms.due_to_customer_at_signing or None,
        total_cost=terms.total_cost_of_ownership,
    )


def finance_quote(deal: FinanceDeal, match: ProgramMatch[FinanceProgram]) -> FinanceQuote:
    terms = deal.terms
    return FinanceQuote(
        msrp=terms.msrp,
        price=terms.price,
        rebate=terms.rebate,
        trade_equity=_trade_equity(deal),
        monthly_payment=terms.monthly_payment,
        term_months=terms.term,
        apr_percent=percent(terms.interest_rate),
        down_payment=terms.customer_cash,
        total_fees=terms.total_fees,
        sales_tax=terms.sales_tax,
        due_at_signing=terms.due_at_signing,
        due_to_customer=terms.due_to_customer_at_signing or None,
        total_financed=terms.total_financed,
        total_interest=terms.total_interest,
        total_cost=terms.total_cost_of_ownership,
        lender=terms.lender_name,
        program=_program_name(terms),
        program_expires=match.expires,
    )


def lease_quote(deal: LeaseDeal, match: ProgramMatch[LeaseProgram]) -> LeaseQuote:
    terms = deal.terms
    return LeaseQuote(
        msrp=terms.msrp,
        price=terms.price,
        rebate=terms.rebate,
        trade_equity=_trade_equity(deal),
        monthly_payment=terms.monthly_payment,
        monthly_tax=terms.monthly_tax,
        term_months=terms.term,
        annual_miles=terms.annual_mileage,
        money_factor=terms.money_factor,
        rate_percent=None if terms.money_factor is None else round(terms.money_factor * 2400, 4),
        down_payment=lease_down_payment(terms),
        due_at_signing=terms.due_at_signing,
        due_at_signing_parts=_due_at_signing_parts(terms),
        due_to_customer=terms.due_to_customer_at_signing or None,
        acquisition_fee=terms.fees.acquisition if terms.fees else None,
        overage_per_mile=terms.overage_charge,
        cap_cost=terms.cap_cost,
        residual_value=terms.residual_value,
        residual_percent=_residual_percent(terms),
        total_cost=terms.total_cost_of_ownership,
        lender=terms.lender_name,
        program=_program_name(terms),
        program_expires=match.expires,
    )


def _program_name(terms: FinanceTerms | LeaseTerms) -> str | None:
    """Returns the name of the deal's program, without the lender's name at its beginning."""
    name, lender = terms.program_name, terms.lender_name
    return name.removeprefix(lender).lstrip() or name if name and lender else name


def percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(fraction * 100, 4)


def lease_down_payment(terms: LeaseTerms) -> float | None:
    """Returns the part of the customer's cash that lowers the price. The rest of it pays the other parts."""
    return terms.customer_cash if terms.down_from_customer_cash is None else terms.down_from_customer_cash


def _trade_equity(deal: Deal) -> float | None:
    """Returns the equity of a trade-in. Without one it is 0, which says nothing."""
    return deal.terms.trade_equity if has_trade_in(deal) else deal.terms.trade_equity or None


def has_trade_in(deal: Deal) -> bool:
    return deal.data is not None and deal.data.trade is not None


def _due_at_signing_parts(terms: LeaseTerms) -> DueAtSigningParts | None:
    parts = DueAtSigningParts(
        first_payment=terms.first_payment,
        first_payment_waiver=terms.first_payment_waiver or None,
        fees=terms.total_fees_due_at_signing,
        taxes=terms.tax_due_at_signing,
        security_deposit=terms.security_deposit_due_at_signing,
    )
    return parts if parts.structured_content() else None


def _residual_percent(terms: LeaseTerms) -> float | None:
    """Returns the part of the MSRP that the residual value is.

    The documents have the base percent only, and the miles of a deal change it.
    """
    if terms.residual_value is None or not terms.residual_msrp:
        return None
    return round(terms.residual_value / terms.residual_msrp * 100, 2)


def plan_rows(deals: Mapping[DealType, Deal]) -> list[QuotedPlanRow]:
    """Returns the plans in the deals, each once. A plan that is not in all deals names those that have it."""
    places: dict[tuple[str | None, str | None, float | None], dict[str, None]] = {}
    for deal_type, deal in deals.items():
        for plan in deal.data.plans if deal.data else ():
            places.setdefault((plan.title, plan.tier_code, plan.price), {})[deal_type] = None
    return [
        QuotedPlanRow(title=title, tier=tier, price=price, deals=_unless_all(names, deals))
        for (title, tier, price), names in places.items()
    ]


def discount_rows(quote: Quote, deals: Mapping[DealType, Deal], incentives: Sequence[str]) -> list[AppliedDiscountRow]:
    """Returns the rebates and the wanted incentives in the deals, each once, if they add up to the deal's rebate.

    Roadster says only that sum, so otherwise nobody knows which of them are in it.
    """
    places: dict[tuple[str | None, float | None, str | None], dict[str, None]] = {}
    for deal_type, deal in deals.items():
        program = program_of(quote, deal_type)
        rows = program_discounts(program, incentives) if program else []
        if rows and deal.terms.rebate is not None and abs(sum(row[1] for row in rows) - deal.terms.rebate) < 0.01:  # noqa: PLR2004 - a cent
            for row in rows:
                places.setdefault(row, {})[deal_type] = None
    return [
        AppliedDiscountRow(name=name, amount=amount, expires=expires, deals=_unless_all(names, deals))
        for (name, amount, expires), names in places.items()
    ]


def programs_by_deal(quote: Quote) -> dict[DealType, Sequence[Program]]:
    programs = quote.programs or Programs()
    return {"cash": [programs.cash] if programs.cash else [], "finance": programs.finance, "lease": programs.lease}


def program_of(quote: Quote, deal_type: DealType) -> Program | None:
    """Returns a program of the deal, whose rebates and incentives are the deal's."""
    programs = quote.programs or Programs()
    match deal_type:
        case "cash":
            return programs.cash
        case "finance":
            return next(iter(finance_match(quote).programs or programs.finance), None)
        case "lease":
            return next(iter(lease_match(quote).programs or programs.lease), None)


def says_incentives(program: Program) -> bool:
    """Tells whether Roadster says the incentives of a program. None at all are said too."""
    return "incentives" in program.model_fields_set


def program_discounts(program: Program, incentives: Collection[str]) -> list[tuple[str | None, float, str | None]]:
    """Returns name, amount and last day of the customer's rebates of a program, and of those incentives."""
    rebates = [
        (each.name, each.cash or 0.0, day_of(each.expires_at))
        for each in program.rebates
        if is_for_customer("rebates", each.recipient)
    ]
    own = [each for each in program.incentives if each.name in incentives]
    return [*rebates, *((each.name, each.cash or 0.0, day_of(each.expires_at)) for each in own)]


def _unless_all(names: Collection[str], deals: Mapping[DealType, Deal]) -> list[str] | None:
    return None if len(names) == len(deals) else [*names]


def discounts_in(terms: Terms) -> float | None:
    """Returns everything that may hold an incentive, None where Roadster does not say the rebate."""
    if terms.rebate is None:
        return None
    return terms.rebate + (terms.total_bonus or 0) + (terms.total_coupon or 0)
