"""The terms of a quote: what was asked and is not in a deal, and what was not asked and had to be assumed.

A sentence begins with the deal or the argument that it is about.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadster_client import strip_invisible
from roadster_client.models.customers import PlanChoice
from roadster_client.models.payments import DealType, PaymentTerms, TradeIn
from roadster_client.models.quotes import (
    CashTerms,
    FinanceProgram,
    FinanceTerms,
    LeaseProgram,
    LeaseTerms,
    Programs,
    Quote,
    Terms,
)
from roadster_tools.answers import cell, money, number_text, shorten

from .quote_deals import (
    Deal,
    discounts_in,
    finance_match,
    has_trade_in,
    lease_down_payment,
    lease_match,
    program_discounts,
    program_of,
    programs_by_deal,
    says_incentives,
)

_MOST_NAMES = 10
"""Names of incentives, and terms of programs, that a sentence lists."""
_LONGEST_NAME = 60
"""Characters of an incentive that a sentence repeats."""

_PLACES: Mapping[DealType, Collection[str]] = {
    "cash": {"no_taxes_or_fees"},
    "finance": {"customer_cash", "term_months", "no_taxes_or_fees"},
    "lease": {"customer_cash", "term_months", "annual_miles", "no_taxes_or_fees"},
}
"""The terms that a deal can have."""

_TAXES_AND_FEES: Mapping[type[Terms], Sequence[str]] = {
    CashTerms: ("total_fees", "sales_tax", "tax_surcharge"),
    FinanceTerms: ("total_fees", "sales_tax", "tax_surcharge", "stamp_tax"),
    LeaseTerms: (
        "total_fees_due_at_signing",
        "total_fees_capitalized",
        "monthly_tax",
        "tax_due_at_signing",
        "total_tax_capitalized",
        "tax_surcharge",
    ),
}
"""The figures that are all zero in a deal without taxes and fees."""

_UNCONFIRMED = "not confirmed by Roadster"
_CENT = 0.01
_ROUNDING = 0.006
"""What rounding to a cent changes at the most, with what a float loses."""


@dataclass(frozen=True)
class Wishes:
    """What a caller asked for. `incentives` are names, as the programs spell them."""

    terms: PaymentTerms
    incentives: Sequence[str]
    plans: Sequence[PlanChoice]
    credit_score: int | None
    zip_code: str | None
    trade_in: TradeIn | None

    @property
    def names(self) -> list[str]:
        """The arguments with terms, as the tool names them."""
        terms = self.terms
        values = {
            "customer_cash": terms.customer_cash,
            "term_months": terms.term,
            "annual_miles": terms.annual_mileage,
            "no_taxes_or_fees": terms.no_taxes_or_fees,
        }
        return [name for name, value in values.items() if value is not None]


def describe_unapplied(wishes: Wishes, quote: Quote, deals: Mapping[DealType, Deal]) -> list[str]:
    """Returns a sentence for each wish that one of the deals does not carry, or that Roadster does not confirm."""
    return [
        *(text for deal_type, deal in deals.items() for text in _terms_not_applied(wishes, quote, deal_type, deal)),
        *_trade_in_not_applied(wishes.trade_in, deals),
        *_credit_not_applied(wishes.credit_score, quote),
        *_incentives_not_applied(wishes, quote, deals),
        *_plans_not_applied(wishes.plans, deals),
    ]


def _terms_not_applied(wishes: Wishes, quote: Quote, deal_type: DealType, deal: Deal) -> Iterator[str]:
    own = wishes.terms.deal_type
    if own is not None and own != deal_type:
        names = [name for name in wishes.names if name in _PLACES[deal_type] and not _has(wishes.terms, deal, name)]
        if names:
            yield f"{deal_type}: no {', '.join(names)}, asked for {own} only; to compare, leave deal_type out"
        return
    without_place = [name for name in wishes.names if name not in _PLACES[deal_type]]
    if not wishes.terms.customer_cash:
        # A deal that has no place for cash carries none of it too.
        without_place = [name for name in without_place if name != "customer_cash"]
    if without_place:
        yield f"{deal_type}: no {', '.join(without_place)}"
    for name in wishes.names:
        reason = _reason(wishes.terms, quote, deal, name) if name in _PLACES[deal_type] else None
        if reason is not None:
            yield f"{deal_type}: {name} {reason}"


def _has(terms: PaymentTerms, deal: Deal, name: str) -> bool:
    """Tells whether a deal has a term, whoever asked for it."""
    own = deal.terms
    match name:
        case "customer_cash":
            return not isinstance(own, CashTerms) and _is_amount(own.customer_cash, terms.customer_cash or 0)
        case "term_months":
            return not isinstance(own, CashTerms) and own.term == terms.term
        case "annual_miles":
            return isinstance(own, LeaseTerms) and own.annual_mileage == terms.annual_mileage
        case _:
            return _taxes_reason(terms, deal) is None


def _reason(terms: PaymentTerms, quote: Quote, deal: Deal, name: str) -> str | None:
    """Returns why a deal does not have a term, None where it has it."""
    own = deal.terms
    if isinstance(own, CashTerms) or name == "no_taxes_or_fees":
        return _taxes_reason(terms, deal)
    match name:
        case "customer_cash":
            return _cash_reason(own, terms.customer_cash or 0)
        case "term_months":
            return _term_reason(quote, own, terms.term)
        case _:
            miles = own.annual_mileage if isinstance(own, LeaseTerms) else None
            return _difference(miles, terms.annual_mileage)


def _taxes_reason(terms: PaymentTerms, deal: Deal) -> str | None:
    if not terms.no_taxes_or_fees:
        return None
    amounts = [getattr(deal.terms, name) for name in _TAXES_AND_FEES[type(deal.terms)]]
    if any(amounts):
        return "has no effect: it has taxes or fees"
    return _UNCONFIRMED if None in amounts else None


def _cash_reason(own: FinanceTerms | LeaseTerms, wish: float) -> str | None:
    if own.customer_cash is None:
        return _UNCONFIRMED
    if _is_amount(own.customer_cash, wish):
        return _down_payment_reason(own, own.customer_cash)
    if own.customer_cash < wish:
        limit = ", the most it takes" if own.customer_cash == own.maximum_customer_cash else ""
        return f"cut to {money(own.customer_cash)}{limit}"
    limit = ", the least it takes" if own.customer_cash == own.minimum_customer_cash else ""
    return f"raised to {money(own.customer_cash)}{limit}"


def _is_amount(amount: float | None, wish: float) -> bool:
    """Tells whether an amount is the one that was wished for. A deal is computed in whole cents."""
    return amount is not None and abs(amount - wish) < _ROUNDING


def _down_payment_reason(own: FinanceTerms | LeaseTerms, customer_cash: float) -> str | None:
    down = lease_down_payment(own) if isinstance(own, LeaseTerms) else customer_cash
    if down is None or down == customer_cash:
        return None
    return f"also pays the other parts of what is due at signing, so {money(down)} is the down payment"


def _difference(value: float | None, wish: float | None) -> str | None:
    if value is None:
        return _UNCONFIRMED
    return None if value == wish else f"computed with {number_text(value)}"


def _term_reason(quote: Quote, own: FinanceTerms | LeaseTerms, wish: int | None) -> str | None:
    terms = program_terms(quote, "lease" if isinstance(own, LeaseTerms) else "finance")
    difference = _difference(own.term, wish)
    if not terms or wish in terms:
        return difference
    there = f"no program of its own, only {', '.join(map(str, terms))} have one"
    return f"has {there}" if difference is None else f"{difference}; it has {there}"


def program_terms(quote: Quote, deal_type: DealType) -> list[int]:
    """Returns the terms that programs of the deal have, the shortest first, and at most ten."""
    programs = quote.programs or Programs()
    rows: Sequence[FinanceProgram | LeaseProgram] = programs.lease if deal_type == "lease" else programs.finance
    return sorted({row.term for row in rows if row.term is not None})[:_MOST_NAMES]


def _trade_in_not_applied(trade_in: TradeIn | None, deals: Mapping[DealType, Deal]) -> Iterator[str]:
    if trade_in is None:
        return
    deals_by_reason: dict[str, list[DealType]] = {}
    for deal_type, deal in deals.items():
        reason = _trade_in_reason(trade_in.value - (trade_in.payoff or 0), deal)
        if reason is not None:
            deals_by_reason.setdefault(reason, []).append(deal_type)
    for reason, deal_types in deals_by_reason.items():
        yield f"{', '.join(deal_types)}: trade_in {reason}"


def _trade_in_reason(wish: float, deal: Deal) -> str | None:
    equity = deal.terms.trade_equity
    if equity is None:
        return _UNCONFIRMED
    if abs(equity - wish) >= _CENT:
        return f"computed with an equity of {money(equity)}"
    # A deal without any trade-in has an equity of zero too.
    return None if equity or has_trade_in(deal) else _UNCONFIRMED


def _credit_not_applied(score: int | None, quote: Quote) -> Iterator[str]:
    for deal_type, least in _least_scores(quote).items():
        if score is not None and score < least:
            yield f"{deal_type}: credit_score, the program is for {least} or more"


def _least_scores(quote: Quote) -> dict[str, int]:
    """Returns the credit scores from which the programs of the deals count."""
    scores = {"finance": finance_match(quote).min_score, "lease": lease_match(quote).min_score}
    return {deal_type: score for deal_type, score in scores.items() if score is not None}


def _incentives_not_applied(wishes: Wishes, quote: Quote, deals: Mapping[DealType, Deal]) -> Iterator[str]:
    names, own = incentive_names(quote), dict.fromkeys(wishes.incentives)
    unknown = [name for name in own if name not in names]
    if unknown:
        text = f"incentives {', '.join(map(_quotation, unknown))}"
        if names:
            yield f"{text}: unknown; there are {', '.join(map(cell, names[:_MOST_NAMES]))}"
        elif _has_program_of_each(quote, deals):
            yield f"{text}: unknown; the programs have none"
        else:
            yield f"{text}: {_UNCONFIRMED}"
    for name in own:
        if name in unknown:
            continue
        text = f"incentives {_quotation(name)}"
        deals_by_reason: dict[str, list[DealType]] = {}
        for deal_type, deal in deals.items():
            reason = _incentive_reason(quote, deal_type, deal, name, wishes.incentives)
            if reason is not None:
                deals_by_reason.setdefault(reason, []).append(deal_type)
        for reason, deal_types in deals_by_reason.items():
            yield f"{', '.join(deal_types)}: {text}, {reason}"


def _has_program_of_each(quote: Quote, deals: Iterable[DealType]) -> bool:
    """Tells whether Roadster says which incentives there are for each of the deals."""
    programs = [program_of(quote, deal_type) for deal_type in deals]
    return all(program is not None and says_incentives(program) for program in programs)


def _quotation(name: str) -> str:
    """Returns the caller's own text as one part of a sentence, whatever it holds."""
    return json.dumps(shorten(strip_invisible(name), _LONGEST_NAME), ensure_ascii=False)


def _incentive_reason(
    quote: Quote, deal_type: DealType, deal: Deal, incentive: str, wishes: Collection[str]
) -> str | None:
    """Returns why the incentive, which is one of the wishes, may not be in a deal, None where it can be."""
    program, discounts = program_of(quote, deal_type), discounts_in(deal.terms)
    if program is None or not says_incentives(program):
        return _UNCONFIRMED
    amounts = [each.cash for each in program.incentives if each.name == incentive]
    if not amounts:
        return "not in its program"
    if discounts is None or amounts[0] is None:
        return _UNCONFIRMED
    if discounts < amounts[0]:
        return "more than the rebate"
    # Roadster says only the sum of all discounts. Nobody knows which of them are in a smaller one.
    total = sum(amount for _, amount, _ in program_discounts(program, wishes))
    if discounts < total - _CENT:
        return "not confirmed: the rebate is less than the program's rebates and the incentives together"
    return None


def incentive_names(quote: Quote) -> list[str]:
    """Returns the names that the argument `incentives` takes for this vehicle."""
    rows = (
        each for programs in programs_by_deal(quote).values() for program in programs for each in program.incentives
    )
    return list(dict.fromkeys(each.name for each in rows if each.name is not None))


def _plans_not_applied(plans: Sequence[PlanChoice], deals: Mapping[DealType, Deal]) -> Iterator[str]:
    for place, plan in enumerate(plans):
        without: list[str] = []
        for deal_type, deal in deals.items():
            rows = [row for row in (deal.data.plans if deal.data else ()) if plan.id == row.retail_add_on_id]
            tiers = [row.tier_code for row in rows]
            if not rows:
                without.append(deal_type)
            elif plan.tier is not None and plan.tier not in tiers:
                tier = ", ".join(cell(tier) for tier in tiers if tier)
                yield f"{deal_type}: plans.{place}.tier, it has {tier or 'another one'}"
        if without:
            yield f"{', '.join(without)}: plans.{place}, not named among its plans"


def has_unnamed_plans(wishes: Wishes, deals: Mapping[DealType, Deal]) -> bool:
    """Tells whether a deal lacks a plan that was wished for, or has it in another tier."""
    return any(_plans_not_applied(wishes.plans, deals))


def describe_assumptions(wishes: Wishes, quote: Quote) -> list[str]:
    """Returns a sentence for each thing that a quote depends on and that the caller did not give."""
    sentences = []
    if wishes.credit_score is None:
        sentences.append(f"credit_score: {_score_text(quote)}")
    if wishes.zip_code is None:
        sentences.append("zip_code: as Roadster assumes")
    if not wishes.incentives:
        sentences.append("incentives: none")
    trade_in = wishes.trade_in
    if trade_in is not None and trade_in.payoff is None and trade_in.ownership != "owned":
        sentences.append("trade_in.payoff: 0, nothing owed")
    return sentences


def _score_text(quote: Quote) -> str:
    scores = _least_scores(quote)
    if not scores:
        return "as Roadster assumes"
    if len(set(scores.values())) == 1:
        return f"{next(iter(scores.values()))} or more"
    return ", ".join(f"{score} or more for {deal_type}" for deal_type, score in scores.items())
