"""Narrowings: a client may give up rights of its caller for a connection. No narrowing gives a right.

Limits, audit and seals are for the principal, who stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce

from roadster_server.settings.rights import Rights
from roadster_tools import TOOLS, TOOLSETS, Access, Caller, dealer_verdict, name_choices

_TOOLSET_OF = {toolset: toolset for toolset in TOOLSETS} | {name: tool.toolset for name, tool in TOOLS.items()}
"""The toolset of each key that `access` may have: a toolset, or a tool."""


@dataclass(frozen=True)
class Narrowing:
    """One wish of a client to do less. `place` names it in refusals."""

    place: str
    dealers: tuple[str, ...] | None = None
    """The dealers that are left. None leaves all of them."""
    toolsets: tuple[str, ...] | None = None
    """The toolsets that are left. None leaves all of them."""
    is_readonly: bool = False


def problem_of(narrowing: Narrowing, caller: Caller) -> str | None:
    """Returns why the narrowing is a mistake: it names what there is not, or what the caller does not have."""
    for number, name in enumerate(narrowing.toolsets or (), 1):
        if name not in TOOLSETS:
            return f"{narrowing.place}, name {number}: there is no such toolset; {name_choices(TOOLSETS, name)}"
    for number, name in enumerate(narrowing.dealers or (), 1):
        verdict = dealer_verdict(caller, name)
        if not verdict.is_allowed:
            return f"{narrowing.place}, name {number}: {verdict.reason}"
    return None


def narrow(rights: Rights, caller: Caller, narrowings: Iterable[Narrowing]) -> Caller:
    """Returns the caller with what all of `narrowings` leave."""
    return reduce(lambda narrower, narrowing: _narrow(rights, narrower, narrowing), narrowings, caller)


def _narrow(rights: Rights, caller: Caller, narrowing: Narrowing) -> Caller:
    dealers, toolsets = narrowing.dealers, narrowing.toolsets
    caller = replace(caller, narrowed_by=caller.narrowed_by | {narrowing.place})
    if dealers is not None:
        narrower = rights.at(caller, (dealer for dealer in dealers if dealer in caller.dealer_set))
        caller = replace(
            narrower,
            missing_settings={**caller.missing_settings, **narrower.missing_settings},
            places={**caller.places, "dealers": narrowing.place},
        )
    if toolsets is not None:
        caller = _lower(caller, narrowing.place, Access.OFF, lambda key: _TOOLSET_OF.get(key) not in toolsets)
    if narrowing.is_readonly:
        caller = _lower(caller, narrowing.place, Access.READ, lambda _key: True)
    return caller


def _lower(caller: Caller, place: str, most: Access, is_meant: Callable[[str], bool]) -> Caller:
    """Returns the caller with at most the level `most` for the keys of `access` that are meant."""
    lowered = {key: most for key, level in caller.access.items() if level > most and is_meant(key)}
    places = {f"access.{key}": place for key in lowered}
    return replace(caller, access={**caller.access, **lowered}, places={**caller.places, **places})
