"""One quote from several answers: each deal is taken from the answer to the request that names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadster_client.errors import ClientError, ForeignDealer, MalformedAnswer
from roadster_client.models.payments import DealType
from roadster_client.models.quotes import Deals, Programs, Quote


@dataclass(frozen=True)
class QuotedDeals:
    """The deals that were quoted. `errors` has those of the deals that were not, by deal."""

    quote: Quote
    errors: Mapping[DealType, ClientError]


def only_deal(json: Any, deal_type: DealType) -> Any:
    """Returns the answer's JSON with one of its deals and that deal's programs. What is odd stays as it is."""
    if not isinstance(json, dict):
        return json
    deals, programs = json.get("deals"), json.get("programs")
    # A deal without a key is not on offer if the answer has other deals.
    if isinstance(deals, dict) and deals.keys() & Deals.model_fields.keys():
        deals = {deal_type: deals.get(deal_type)}
    if isinstance(programs, dict):
        programs = {deal_type: programs[deal_type]} if deal_type in programs else {}
    return json | {"deals": deals, "programs": programs}


def combine_deals(results: Mapping[DealType, Quote | ClientError]) -> QuotedDeals:
    """Returns one quote with the deals of several. Raises the first error if there is no quote.

    Raises ForeignDealer if only one of the answers names another dealer.
    """
    quotes = {deal_type: result for deal_type, result in results.items() if isinstance(result, Quote)}
    errors = {deal_type: result for deal_type, result in results.items() if isinstance(result, ClientError)}
    for error in errors.values():
        if isinstance(error, ForeignDealer):
            raise error
    if not quotes:
        raise next(iter(errors.values()))
    deals: dict[str, Any] = {}
    programs: dict[str, Any] = {}
    unreadable = MalformedAnswer("quote_payments", "has no deals that can be read")
    for deal_type, quote in quotes.items():
        if quote.deals is None or not quote.deals.model_fields_set:
            errors[deal_type] = unreadable
        else:
            deals[deal_type] = getattr(quote.deals, deal_type)
        if quote.programs is not None and deal_type in quote.programs.model_fields_set:
            programs[deal_type] = getattr(quote.programs, deal_type)
    return QuotedDeals(Quote(deals=Deals(**deals), programs=Programs(**programs)), errors)
