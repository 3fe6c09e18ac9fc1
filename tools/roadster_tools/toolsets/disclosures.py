"""The items that the law asks to stand beside a payment: which figures of an answer they are, and which are missing.

They are those of Regulation Z (12 CFR 1026.24(d)(2)), Regulation M (12 CFR 1013.7(d)(2)), and of California's SB 766
(Civil Code section 1784.41). No figure is computed here: an item is a field of the deal, or it is missing. So is a
figure that can hardly be right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from roadster_client.models.events import CreditDecision, CustomerEvent, Financing
from roadster_tools.answers import ToolAnswer

from .quote_rows import FinanceQuote, LeaseQuote

_FINANCE_ITEMS = ("down_payment", "monthly_payment", "term_months", "apr_percent", "total_cost")
"""Regulation Z asks for the first four, SB 766 for the total that the customer pays."""
_LEASE_ITEMS = ("due_at_signing", "monthly_payment", "term_months", "security_deposit", "total_cost")
"""Regulation M asks for the first four. That it is a lease is said by the deal's name."""

_NEVER_IN_FINANCE = ("rate_changes",)
"""Whether the rate may be increased later. Roadster does not say it."""
_NEVER_IN_LEASE = ("end_of_lease_charge",)
"""Whether a charge may be imposed at the end. Roadster does not say it."""


class PaymentDisclosures(ToolAnswer):
    """Items that must stand beside a payment: fields with a figure, and items without one."""

    say: list[str]
    missing: list[str]

    def text(self) -> str:
        return f"{', '.join(self.say)}; missing: {', '.join(self.missing)}"


def disclose_quote(
    finance: FinanceQuote | None,
    lease: LeaseQuote | None,
    common: Collection[str],
    wording: Sequence[str],
) -> dict[str, Any] | None:
    """Returns the items beside the payments of a quote, and the `wording`. None where it has no payment.

    An item stands once for both deals, because most of them are in both. A missing item that the other deal has names
    its deal behind it. `common` are the figures that stand beside all deals.
    """
    parts: dict[str, PaymentDisclosures] = {}
    if finance is not None:
        equity = ["trade_equity"] if "trade_equity" in {*finance.structured_content(), *common} else []
        names = {*_sound_figures(finance), *equity}
        parts["finance"] = _items(names, [*_FINANCE_ITEMS, *equity], _NEVER_IN_FINANCE)
    if lease is not None:
        due = lease.due_at_signing_parts.structured_content() if lease.due_at_signing_parts else {}
        equity = ["trade_equity"] if "trade_equity" in {*lease.structured_content(), *common} else []
        names = {*_sound_figures(lease), *due, *equity}
        parts["lease"] = _items(names, [*_LEASE_ITEMS, *equity], _NEVER_IN_LEASE)
    if not parts:
        return None
    say = list(dict.fromkeys(name for part in parts.values() for name in part.say))
    missing = [f"{name} ({deal})" if name in say else name for deal, part in parts.items() for name in part.missing]
    disclosures = PaymentDisclosures(say=say, missing=[*dict.fromkeys(missing)])
    return _with_wording(disclosures.structured_content(), wording)


def _sound_figures(deal: FinanceQuote | LeaseQuote) -> set[str]:
    """Returns the names of the deal's figures, without those that can hardly be right: nobody may say them."""
    return deal.structured_content().keys() - (deal.doubts or {}).keys()


def disclosure_lines(disclosures: Mapping[str, Any]) -> list[str]:
    """Returns the lines of a text that say the disclosures of a quote."""
    items = PaymentDisclosures(say=disclosures["say"], missing=disclosures["missing"])
    return [f"Say with each payment: {items.text()}", *disclosures.get("wording", ())]


def disclose_event(event: CustomerEvent | None, wording: Sequence[str]) -> dict[str, Any] | None:
    """Returns the items beside the payments of an event, None where it names no payment."""
    if event is None:
        return None
    financing = event.order.financing if event.order else None
    return disclose_deal(financing, event.credit_decision, wording)


def disclose_deal(
    financing: Financing | None, decision: CreditDecision | None, wording: Sequence[str]
) -> dict[str, Any] | None:
    """Returns the items beside the payments of an order and of a lender's decision, None where there is none."""
    order_items = decision_items = None
    if financing is not None and financing.monthly_payment is not None:
        names = {"down_payment": financing.down_payment, "term": financing.term}
        present = {"monthly_payment", *(name for name, value in names.items() if value is not None)}
        order_items = _items(present, *_items_of_type(financing.type))
    if decision is not None and decision.payment is not None:
        names = {"rate_percent": decision.rate, "term": decision.term}
        present = {"payment", *(name for name, value in names.items() if value is not None)}
        decision_items = _items(present, *_items_of_type(None))
    if order_items is None and decision_items is None:
        return None
    return _by_part({"order": order_items, "credit_decision": decision_items}, wording)


def _by_part(parts: Mapping[str, PaymentDisclosures | None], wording: Sequence[str]) -> dict[str, Any]:
    return _with_wording({name: part.structured_content() for name, part in parts.items() if part is not None}, wording)


def _with_wording(items: Mapping[str, Any], wording: Sequence[str]) -> dict[str, Any]:
    return {**items, "wording": [*wording]} if wording else {**items}


_NAMES_IN_EVENTS = {"monthly_payment": "payment", "term_months": "term", "apr_percent": "rate_percent"}
"""Other names that an item has in events."""


def _items_of_type(deal_type: str | None) -> tuple[Sequence[str], Sequence[str]]:
    """Returns the items of a deal of this type, and those that Roadster never says. An unknown type has all of them."""
    match (deal_type or "").strip().casefold():
        case "finance":
            return _FINANCE_ITEMS, _NEVER_IN_FINANCE
        case "lease":
            return _LEASE_ITEMS, _NEVER_IN_LEASE
        case _:
            items = tuple(dict.fromkeys([*_FINANCE_ITEMS, *_LEASE_ITEMS]))
            return items, (*_NEVER_IN_FINANCE, *_NEVER_IN_LEASE)


def _items(present: Collection[str], items: Sequence[str], never: Sequence[str]) -> PaymentDisclosures:
    say, missing = [], []
    for item in items:
        name = next((each for each in (item, _NAMES_IN_EVENTS.get(item)) if each in present), None)
        if name is None:
            missing.append(item)
        else:
            say.append(name)
    return PaymentDisclosures(say=say, missing=[*missing, *never])
