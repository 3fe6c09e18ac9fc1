"""The dealers that a caller may work with, and the fees and markups of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from roadster_client.models.dealers import DealerConfiguration, FinanceMarkup, Markup, MarkupScope
from roadster_tools.answers import ToolAnswer, list_text, table
from roadster_tools.catalogue import account_tool, tool
from roadster_tools.gate.gate import AccountGrant, Grant


class DealerRow(ToolAnswer):
    dpid: str
    name: str
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None
    phone: str | None = None
    status: str | None = None


class DealerList(ToolAnswer):
    dealers: list[DealerRow]
    hint: str | None = None

    def text(self) -> str:
        return list_text(table("Dealers", self.dealers), hint=self.hint)


@account_tool("List dealers")
async def list_dealers(grant: AccountGrant) -> DealerList:
    """The dealers you may work with: name, address, and the dpid, which other tools take as `dealer`."""
    dealers = await grant.account.list_dealers()
    missing = [dpid for dpid in grant.caller.dealers if dpid not in {dealer.dpid for dealer in dealers}]
    return DealerList(
        dealers=[DealerRow.model_validate(dealer.model_dump(exclude={"partner_id"})) for dealer in dealers],
        hint=_list_hint(grant.caller.dealers, missing),
    )


def _list_hint(dealers: Sequence[str], missing: Sequence[str]) -> str | None:
    if not dealers:
        return "Your configuration names no dealer; only the server's operator can change this."
    return f"Roadster has not provisioned for this API key: {', '.join(missing)}" if missing else None


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
    markups: list[MarkupRow] = Field(description="on lenders' rates, as given: Roadster's reference states no unit")


@tool("A dealer's fees and markups")
async def get_dealer(grant: Grant) -> DealerAnswer:
    """A dealer's address, fees, price lock, and finance markups (not for customers). For what a deal costs use
    quote_payments."""
    dealer = await grant.roadster.get_dealer()
    configuration = dealer.configuration or DealerConfiguration()
    return DealerAnswer(
        **dealer.model_dump(exclude={"partner_id", "configuration"}),
        price_unlock_mode=configuration.price_unlock_mode,
        fees=DealerFeesRow.model_validate(configuration.fees.model_dump()) if configuration.fees else None,
        markups=[row for markup in configuration.markups for row in _markup_rows(markup)],
    )


def _markup_rows(markup: Markup) -> Iterator[MarkupRow]:
    finance = markup.finance or FinanceMarkup()
    scopes: tuple[tuple[Literal["new", "used"], MarkupScope | None], ...] = (
        ("new", finance.new),
        ("used", finance.used),
    )
    for vehicles, scope in scopes:
        if scope is not None and scope.global_ is not None:
            rates = scope.global_
            yield MarkupRow(make=markup.make, vehicles=vehicles, standard=rates.standard, special=rates.special)
