"""The visitors who may use the console, and the part of the server that they see there: that of their own dealers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from roadster_server.people.context import People
from roadster_server.people.visitors import Visitor
from roadster_tools import Caller


@dataclass(frozen=True)
class Operator:
    """A visitor with the console. `dealers` are theirs, None for one who has all dealers of the configuration."""

    visitor: Visitor
    dealers: frozenset[str] | None

    @property
    def sees_everything(self) -> bool:
        """Also what belongs to no dealer: the configuration, refusals before a dealer was known, the quarantine."""
        return self.dealers is None

    def has(self, caller: Caller) -> bool:
        """Returns whether the caller works for dealers of the operator only."""
        return self.dealers is None or bool(caller.dealers and caller.dealer_set <= self.dealers)

    def sees(self, dealer: str) -> bool:
        return self.dealers is None or dealer in self.dealers


async def enter(
    people: People,
    request: Request,
    view: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    dealer: str | None = None,
    needs_everything: bool = False,
) -> Operator:
    """Returns the operator in front of a view, and puts the view on record.

    Raises SignInRequired, StoreError, and HTTPException for somebody who may not see it. That is on record, too.
    """
    operator = await require_operator(people, request, view, needs_everything=needs_everything)
    caller = operator.visitor.caller
    await people.record(
        operator.visitor,
        f"console {view}",
        setting=caller.setting("console"),
        dealer=dealer if dealer is not None and operator.sees(dealer) else None,
        arguments=arguments,
    )
    return operator


async def require_operator(people: People, request: Request, view: str, *, needs_everything: bool = False) -> Operator:
    """Returns the operator, for an action that puts itself on record. Raises as `enter` does."""
    visitor = await people.visitors.require(request)
    caller = visitor.caller
    has_all = bool(caller.dealers) and caller.dealer_set >= people.settings.dealers.keys()
    operator = Operator(visitor, None if has_all else caller.dealer_set)
    if not caller.console or (needs_everything and not operator.sees_everything):
        setting = caller.setting("dealers" if caller.console else "console")
        await people.record(visitor, f"console {view}", outcome="refused", setting=setting)
        raise HTTPException(403)
    return operator
