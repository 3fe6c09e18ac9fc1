"""Access levels, the callers of the configuration, and the verdict on a tool or a dealer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from roadster_client import PersonalData, Reader
from roadster_tools.choices import MOST_CHOICES, name_choices, near_names, some_of
from roadster_tools.stored_tools import TOOLS
from roadster_tools.tool import Tool


class Access(IntEnum):
    """How much a caller may do with a tool. Each level includes those before it."""

    OFF = 0
    READ = 1
    PREVIEW = 2
    CONFIRM = 3
    WRITE = 4


ConfirmWay = Literal["form", "page", "card"]
"""A way to ask a person for a yes: a form in the client, a page in a browser, or a card that the host shows."""


@dataclass(frozen=True)
class Caller:
    """A caller as `[callers.NAME]` of the configuration describes it, or a person as a role does."""

    name: str
    """The caller's name in the configuration. For a person, the identity provider's and the role's."""
    dealers: tuple[str, ...] = ()
    access: Mapping[str, Access] = field(default_factory=dict)
    personal_data: PersonalData = "masked"
    dealer_figures: bool = False
    missing_settings: Mapping[str, str] = field(default_factory=dict)
    """The [section] or key that a toolset needs and the configuration does not have, by toolset."""
    calls_per_minute: int | None = None
    writes_per_hour: int | None = None
    sessions: int = 1
    streams: int = 1
    links: bool = True
    """False leaves links to resources out of answers."""
    person: str | None = None
    """The identity provider's name and the person's id there, with a colon between them. Set for a person only."""
    confirm_by: Sequence[ConfirmWay] = ("form", "page")
    """The ways in which a person is asked about the caller's writes. The first one that is possible is taken."""
    approves: frozenset[str] = frozenset()
    """The toolsets and tools whose writes of others the caller may approve."""
    console: bool = False
    """True shows the console of the pages for people."""
    places: Mapping[str, str] = field(default_factory=dict)
    """The full names of the settings that stand elsewhere than in `[callers.NAME]`, by their keys. A setting with a key
    below it may have a place of its own."""
    dealers_claim: str | None = None
    """The claim of a person's token that names the dealers, where the configuration leaves them to it."""
    narrowed_by: frozenset[str] = frozenset()
    """The places in which the client itself gave up rights for this connection. They stand in `places`."""
    dealer_set: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """The same as `dealers`, for a quick look. Callers with the same dealers share it. By default it is made here."""

    def __post_init__(self) -> None:
        if len(self.dealer_set) != len(self.dealers):
            object.__setattr__(self, "dealer_set", frozenset(self.dealers))

    @property
    def principal(self) -> str:
        """The name on record, for which limits and seals are. Two people of one role have two of them."""
        return self.person or self.name

    @property
    def reader(self) -> Reader:
        """The caller as the reader of an answer."""
        return Reader(self.personal_data, self.dealer_figures)

    @property
    def sees_contact_data(self) -> bool:
        return self.reader.sees_contact_data

    @property
    def may_list_dealers(self) -> bool:
        return self.access.get("list_dealers", self.access.get("dealers", Access.OFF)) >= Access.READ

    @property
    def reason_for_no_dealer(self) -> str:
        if self.dealers_claim is None:
            return "this caller has no dealer"
        return f"the claim {self.dealers_claim} of the token names no dealer of the configuration"

    def mend(self, setting: str) -> str | None:
        """Returns what the client can do about a refusal by the setting, None where only the operator can do it."""
        return "the client narrowed this connection; connect without that" if setting in self.narrowed_by else None

    def setting(self, key: str) -> str:
        """Returns the full name of one of the caller's settings. `key` is the name, or the name and a key below it."""
        if key in self.places:
            return self.places[key]
        name, dot, rest = key.partition(".")
        return f"{self.places.get(name, f'callers.{self.name}.{name}')}{dot}{rest}"


@dataclass(frozen=True)
class Verdict:
    """The answer to "may this caller?", the setting that decided, and the reason of a refusal.

    `level` is in force. `configured_level` is set where the configuration has a higher one. `mend` is set where the
    caller itself can mend the call.
    """

    is_allowed: bool
    level: Access
    setting: str
    reason: str = ""
    configured_level: Access | None = None
    mend: str | None = None

    @property
    def description(self) -> str:
        """The setting with its value, and the reason where less than that is in force."""
        if self.configured_level is None:
            return f'{self.setting} is "{self.level.name.lower()}"'
        level = self.configured_level.name.lower()
        return f'{self.setting} is "{level}", but a destructive tool wants a confirmation anyway'


def verdict(caller: Caller, tool: Tool) -> Verdict:
    """Decides whether the caller may use `tool`. A setting of the tool itself wins over that of its toolset."""
    if tool.toolset in caller.missing_settings:
        missing = caller.missing_settings[tool.toolset]
        return Verdict(False, Access.OFF, missing.strip("[]"), f"{missing} is not set, and {tool.name} needs it")
    if tool.follows_writes and caller.access.keys().isdisjoint((tool.name, tool.toolset)):
        return _verdict_on_following(caller)
    if tool.name in caller.access:
        level, setting = caller.access[tool.name], caller.setting(f"access.{tool.name}")
    elif tool.toolset in caller.access:
        level, setting = caller.access[tool.toolset], caller.setting(f"access.{tool.toolset}")
        if tool.destructive and level > Access.CONFIRM:
            # An operator who opens a whole toolset has not agreed that something in it may vanish without a question.
            return Verdict(True, Access.CONFIRM, setting, configured_level=level)
    else:
        level, setting = Access.OFF, caller.setting("access")
    minimum = Access.PREVIEW if tool.writes else Access.READ
    if level >= minimum:
        return Verdict(True, level, setting)
    return Verdict(
        False,
        level,
        setting,
        f'{setting} gives "{level.name.lower()}"; {tool.name} needs at least "{minimum.name.lower()}"',
        mend=caller.mend(setting),
    )


def _verdict_on_following(caller: Caller) -> Verdict:
    """Decides on a tool that only shows what became of a caller's writes. No setting need name it."""
    setting = caller.setting("confirm_by")
    if "page" not in caller.confirm_by and "card" not in caller.confirm_by:
        reason = f'{setting} names neither "page" nor "card", so no write waits'
        return Verdict(False, Access.OFF, setting, reason)
    if any(verdict(caller, write).level == Access.CONFIRM for write in TOOLS.values() if write.writes):
        return Verdict(True, Access.READ, setting)
    setting = caller.setting("access")
    return Verdict(False, Access.OFF, setting, f'{setting} gives no write "confirm", so none waits for a person')


def approval_verdict(caller: Caller, tool: Tool, dealer: str) -> Verdict:
    """Decides whether somebody may approve another caller's write by the tool at the dealer."""
    setting = caller.setting("approves")
    if tool.name not in caller.approves and tool.toolset not in caller.approves:
        return Verdict(False, Access.OFF, setting, f"{setting} names neither {tool.toolset} nor {tool.name}")
    if dealer not in caller.dealer_set:
        setting = caller.setting("dealers")
        return Verdict(False, Access.OFF, setting, f"{setting} does not name this dealer")
    return Verdict(True, Access.CONFIRM, setting)


def dealer_verdict(caller: Caller, dealer: str | None) -> Verdict:
    """Decides whether `dealer` is one of the caller's, spelled exactly as in the configuration."""
    setting = caller.setting("dealers")
    if dealer is not None and dealer in caller.dealer_set:
        return Verdict(True, Access.READ, setting)
    near = None if dealer is None else near_names(caller.dealers, dealer)
    # The refused name is not repeated: it may hold anything, and a model reads this.
    reason = f"{setting} does not name this dealer; {_choices(caller, near)}"
    if not near:
        return Verdict(False, Access.OFF, setting, reason, mend=caller.mend(setting))
    others = caller.mend(setting) or "only the server's operator can allow another"
    mend = f"if you mean {some_of(near)}, call again with that spelling; {others}"
    return Verdict(False, Access.OFF, setting, reason, mend=mend)


def dealer_choices(caller: Caller, typed: str | None = None) -> str:
    """Returns which of the caller's dealers to choose, as `name_choices` does, and the way to the others."""
    return _choices(caller, None if typed is None else near_names(caller.dealers, typed))


def _choices(caller: Caller, near: Sequence[str] | None) -> str:
    """Returns the same by the dealers that are spelled like what was typed. None means that nothing was."""
    if not caller.dealers:
        return caller.reason_for_no_dealer
    is_few = len(caller.dealers) <= MOST_CHOICES
    way = "; list_dealers finds a dealer by query" if caller.may_list_dealers and not is_few else ""
    if is_few or near is None:
        return f"{name_choices(caller.dealers)}{way}"
    proposal = f"; near: {some_of(near)}" if near else ""
    return f"none of your {len(caller.dealers):,} dealers is spelled so{proposal}{way}"
