"""Figures of a quote that can hardly be right. They are told and not corrected, because they are Roadster's."""

from __future__ import annotations

from .quote_rows import CENT, CashQuote, FinanceQuote, LeaseQuote, QuotedDeal

_LEAST_RATE, _MOST_RATE = 0.2, 36.0
"""Percent. Lenders' rates for cars are 0, or lie between these. A rate in another unit is a hundred times as low or as
high, such as 0.0449 for 4.49 %."""

ODD_RATE = "may be in another unit and must be confirmed by the dealer"


def doubts_about(deal: QuotedDeal) -> dict[str, str]:
    """Returns the figures of the deal that can hardly be right, each with what is odd about it."""
    doubts: dict[str, str] = {}
    least = _least_total(deal)
    if deal.total_cost is not None and least is not None and deal.total_cost < least:
        paid = "due_at_signing is" if isinstance(deal, CashQuote) else "due_at_signing and the payments are"
        doubts["total_cost"] = f"is not the total because {paid} more"
    name = "apr_percent" if isinstance(deal, FinanceQuote) else "rate_percent"
    if is_odd_rate(getattr(deal, name, None)):
        doubts[name] = ODD_RATE
    return doubts


def is_odd_rate(percent: float | None) -> bool:
    return percent is not None and percent != 0 and not _LEAST_RATE <= percent <= _MOST_RATE


def _least_total(deal: QuotedDeal) -> float | None:
    """Returns what is paid at the least, None where that is not known. Each amount may be rounded by a cent."""
    if deal.due_at_signing is None:
        return None
    due = deal.due_at_signing - (deal.due_to_customer or 0) - CENT
    if isinstance(deal, CashQuote):
        return due
    if deal.monthly_payment is None or deal.term_months is None:
        return None
    # The first payment of a lease is due at signing, or it comes later as those of a loan do. Nothing says which.
    later = deal.term_months - (1 if isinstance(deal, LeaseQuote) else 0)
    return due + later * (deal.monthly_payment - CENT)
