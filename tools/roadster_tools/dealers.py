"""The dealers that a caller may work with."""

from __future__ import annotations

from pydantic import Field

from .access import AccountGrant
from .answers import ToolAnswer
from .catalogue import tool


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
    hint: str | None = Field(default=None, description="said where a dealer is missing")


@tool("List dealers")
async def list_dealers(grant: AccountGrant) -> DealerList:
    """The dealers you may work with: name, address, and the dpid that other tools take as `dealer`.
    Call it first when you do not know a dpid; a dealer that is not in it is refused everywhere."""
    found = await grant.account.list_dealers()
    missing = [dpid for dpid in grant.caller.dealers if dpid not in {dealer.dpid for dealer in found}]
    return DealerList(
        dealers=[DealerRow.model_validate(dealer.model_dump(exclude={"partner_id"})) for dealer in found],
        hint=f"Roadster has not provisioned for this API key: {', '.join(missing)}" if missing else None,
    )
