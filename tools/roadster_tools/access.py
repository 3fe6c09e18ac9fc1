"""The gate: may this caller use this tool at this dealer?

The only way to an upstream client is a grant, and the gate alone makes grants: for one caller, one
tool and, where the tool concerns a dealer, one dealer. A tool cannot forget the check, because it
has nothing to call with until the check has passed. What is not allowed is refused, and a dealer
must be named exactly as its table in the configuration is: no trimming, no folding of case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from roadster_client import AccountApi, DealerApi, DealerRef, Request, RoadsterApi

from .cursor import CursorKey, Cursors
from .failures import AccessRefused, InvalidArguments
from .files import UploadFolder

if TYPE_CHECKING:
    from .catalogue import Tool


class Access(IntEnum):
    """How much a caller may do with a tool; each level includes the ones before it."""

    OFF = 0
    READ = 1
    PREVIEW = 2
    CONFIRM = 3
    WRITE = 4


@dataclass(frozen=True)
class Caller:
    """Who is calling, as the configuration describes it: `[callers.NAME]`."""

    name: str
    dealers: tuple[str, ...] = ()
    access: Mapping[str, Access] = field(default_factory=dict)
    personal_data: Literal["masked", "contact"] = "masked"


@dataclass(frozen=True)
class Verdict:
    """Whether something is allowed, the setting that decided, and what to do about a refusal."""

    allowed: bool
    level: Access
    setting: str
    reason: str = ""


@dataclass(frozen=True)
class AccountGrant:
    """One caller, one tool that concerns no single dealer."""

    caller: Caller
    account: AccountApi


@dataclass(frozen=True)
class Grant:
    """One caller, one tool, one dealer: the client is bound to it, and so is every cursor."""

    caller: Caller
    roadster: DealerApi
    cursors: Cursors
    uploads: UploadFolder | None


def verdict(caller: Caller, tool: Tool) -> Verdict:
    """What the caller's access settings say of `tool`: its own setting wins over its toolset's."""
    for key in (tool.name, tool.toolset):
        if key in caller.access:
            level, setting = caller.access[key], f"callers.{caller.name}.access.{key}"
            break
    else:
        level, setting = Access.OFF, f"callers.{caller.name}.access"
    # Nothing asks a person or shows a preview yet, so a write below "write" is refused rather than sent.
    needed = Access.WRITE if tool.writes else Access.READ
    if level >= needed:
        return Verdict(True, level, setting)
    return Verdict(
        False, level, setting, f'{setting} gives "{level.name.lower()}"; {tool.name} needs "{needed.name.lower()}"'
    )


def dealer_verdict(caller: Caller, dealer: str | None) -> Verdict:
    """Whether `dealer`, exactly as given, is one of the caller's."""
    setting = f"callers.{caller.name}.dealers"
    if dealer is not None and dealer in caller.dealers:
        return Verdict(True, Access.READ, setting)
    # The refused name is not repeated: it may hold anything, and a model reads this.
    return Verdict(False, Access.OFF, setting, f"{setting} does not name this dealer; {_choices(caller)}")


class Gate:
    """Holds the upstream client and hands it out in grants alone."""

    def __init__(
        self,
        roadster: RoadsterApi,
        dealers: Mapping[str, DealerRef],
        *,
        cursor_key: CursorKey,
        uploads: UploadFolder | None = None,
    ) -> None:
        self._roadster = roadster
        self._dealers = dealers
        self._cursor_key = cursor_key
        self._uploads = uploads

    def admit_to_account(self, caller: Caller, tool: Tool) -> AccountGrant:
        """A grant for a tool without a dealer. Raises AccessRefused."""
        _check(verdict(caller, tool))
        return AccountGrant(caller, self._roadster.for_account(caller.dealers))

    def admit(self, caller: Caller, tool: Tool, dealer: str | None) -> Grant:
        """A grant at `dealer`, or at the caller's only one for None. Raises AccessRefused and InvalidArguments."""
        _check(verdict(caller, tool))
        if dealer is None:
            if len(caller.dealers) != 1:
                raise InvalidArguments({"dealer": f"must be given: {_choices(caller)}"})
            (dealer,) = caller.dealers
        _check(dealer_verdict(caller, dealer))
        return Grant(
            caller,
            self._roadster.for_dealer(self._dealers[dealer], _approved),
            self._cursor_key.bound_to(caller.name, dealer),
            self._uploads,
        )


async def _approved(_request: Request) -> None:
    """The approval of a write at level "write": the verdict was all there was to ask."""


def _check(found: Verdict) -> None:
    if not found.allowed:
        raise AccessRefused(found.reason, setting=found.setting)


def _choices(caller: Caller) -> str:
    return f"one of {', '.join(caller.dealers)}" if caller.dealers else "this caller has no dealer"
