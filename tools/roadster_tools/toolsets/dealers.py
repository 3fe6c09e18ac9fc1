"""The dealers that a caller may work with, and the fees and markups of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from roadster_client import LeftOut, ListedDealers
from roadster_client.models.dealers import Dealer, DealerConfiguration, FinanceMarkup, Markup, MarkupScope
from roadster_tools.answers import ToolAnswer, UnreadRows, list_text, table
from roadster_tools.arguments.parameters import Cursor, Limit
from roadster_tools.catalogue import account_tool, tool
from roadster_tools.choices import some_of
from roadster_tools.cursors import Page
from roadster_tools.gate.gate import AccountGrant, Grant
from roadster_tools.words import plain_words


class DealerRow(ToolAnswer):
    dpid: str
    name: str | None = None
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    phone: str | None = None
    status: str | None = None


class DealerList(ToolAnswer):
    dealers: list[DealerRow]
    truncated: bool
    next_cursor: str | None = None
    hint: str | None = None

    def text(self) -> str:
        return list_text(table("Dealers", self.dealers), next_cursor=self.next_cursor, hint=self.hint)


@account_tool("List dealers")
async def list_dealers(
    grant: AccountGrant,
    query: str | None = None,
    limit: Limit = 20,
    cursor: Cursor | None = None,
) -> DealerList:
    """Your dealers: name, address, and dpid, other tools' `dealer`. `query`: words of name, city, dpid."""
    page = Page.at(cursor, limit, grant.cursors, "list_dealers", query)
    result = await grant.account.list_dealers()
    dealers = result.dealers
    words = [] if query is None else plain_words(query)
    matching = [dealer for dealer in dealers if _has_words(dealer, words)] if words else dealers
    rows, next_cursor = await page.select(matching, _dealer_row)
    return DealerList(
        dealers=rows,
        truncated=next_cursor is not None,
        next_cursor=next_cursor,
        hint=_list_hint(grant, result, matching, rows),
    )


def _has_words(dealer: Dealer, words: Sequence[str]) -> bool:
    """Tells whether each of the words, or a longer word that it is a part of, stands in name, city or dpid."""
    text = " ".join(plain_words(f"{dealer.name or ''} {dealer.city or ''} {dealer.dpid}"))
    return all(word in text for word in words)


def _dealer_row(dealer: Dealer) -> DealerRow:
    return DealerRow.model_validate(dealer.model_dump(exclude={"partner_id"}))


def _list_hint(
    grant: AccountGrant, result: ListedDealers, matching: Sequence[Dealer], rows: Sequence[DealerRow]
) -> str | None:
    dealers = result.dealers
    own, unread = grant.caller.dealers, UnreadRows.of_list(grant.left_out, "")
    if not own and grant.caller.dealers_claim is not None:
        return f"No dealer: {grant.caller.reason_for_no_dealer}; the operator of the identity provider can change this."
    if not own:
        return "Your configuration names no dealer; only the server's operator can change this."
    hints: list[str] = []
    unread_fields = sum(grant.left_out[LeftOut("list_dealers", f"*.{name}")] for name in ("name", "city"))
    if dealers and not matching and unread_fields:
        hints.append(UnreadRows(0, unread_fields).hint("the dealer"))
    elif dealers and not matching and not unread and not result.errors:
        hints.append("No dealer of yours has these words in its name, city or dpid; try fewer words.")
    if len(rows) < len(matching):
        hints.append(f"{len(rows)} of {len(matching)} dealers; query finds a dealer by its name, city or dpid.")
    provisioned = {dealer.dpid for dealer in dealers}
    if result.errors:
        silent = [dpid for dpid in own if dpid in result.errors]
        reasons = ", ".join(dict.fromkeys(str(error) for error in result.errors.values()))
        hints.append(
            f"Not in this list, because Roadster did not answer for their own API keys: {some_of(silent)} "
            f"({reasons}). Try again later, or tell the server's operator."
        )
    missing = [dpid for dpid in own if dpid not in provisioned and dpid not in result.errors]
    if missing and unread:
        hints.append(unread.hint(some_of(missing)))
    elif missing:
        hints.append(
            f"Roadster has not provisioned for this API key: {some_of(missing)}. The server's operator must ask "
            "Roadster for them, or correct their spelling in the configuration."
        )
    return " ".join(hints) or None


class DealerFeesRow(ToolAnswer):
    doc_fee: float | None = None
    filing_fee: float | None = None
    handling_fee: float | None = None
    lease_acquisition_fee: float | None = None


class MarkupRow(ToolAnswer):
    make: str | None = None
    vehicles: Literal["new", "used"]
    standard: float | None = None
    special: float | None = None


class DealerAnswer(DealerRow):
    price_unlock_mode: str | None = None
    fees: DealerFeesRow | None = Field(default=None, description="in the currency's units")
    markups: list[MarkupRow] | None = Field(default=None, description="in an unknown unit")


@tool("A dealer's fees and markups")
async def get_dealer(grant: Grant) -> DealerAnswer:
    """A dealer's address, fees, price lock, perhaps finance markups (not for customers). For what a deal costs use
    quote_payments."""
    dealer = await grant.roadster.get_dealer()
    configuration = dealer.configuration or DealerConfiguration()
    return DealerAnswer(
        **dealer.model_dump(exclude={"partner_id", "configuration"}),
        price_unlock_mode=configuration.price_unlock_mode,
        fees=DealerFeesRow.model_validate(configuration.fees.model_dump()) if configuration.fees else None,
        markups=[row for markup in configuration.markups for row in _markup_rows(markup)]
        if grant.caller.dealer_figures
        else None,
    )


def _markup_rows(markup: Markup) -> Iterator[MarkupRow]:
    finance = markup.finance or FinanceMarkup()
    scopes: tuple[tuple[Literal["new", "used"], MarkupScope | None], ...] = (
        ("new", finance.new),
        ("used", finance.used),
    )
    for vehicles, scope in scopes:
        rates = scope.global_ if scope is not None else None
        if rates is not None and (rates.standard, rates.special) != (None, None):
            yield MarkupRow(make=markup.make, vehicles=vehicles, standard=rates.standard, special=rates.special)
