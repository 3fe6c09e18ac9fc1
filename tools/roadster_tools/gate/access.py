"""Who may do what: the access levels, a caller of the configuration, and the verdict on a tool or a dealer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from roadster_client import PersonalData
from roadster_tools.tool import Tool


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
    personal_data: PersonalData = "masked"
    missing_settings: Mapping[str, str] = field(default_factory=dict)
    """The toolsets that nothing is configured for, with what is missing: a [section] or a key."""
    calls_per_minute: int | None = None
    writes_per_hour: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether something is allowed, the setting that decided, and what to do about a refusal.

    `level` is what holds, `written` what the setting says where that is more.
    """

    is_allowed: bool
    level: Access
    setting: str
    reason: str = ""
    written: Access | None = None

    @property
    def description(self) -> str:
        """The setting as it is written, and that less holds where it does."""
        if self.written is None:
            return f'{self.setting} is "{self.level.name.lower()}"'
        return f'{self.setting} is "{self.written.name.lower()}", but a destructive tool wants a confirmation anyway'


def verdict(caller: Caller, tool: Tool) -> Verdict:
    """What the caller's access settings say of `tool`: its own setting wins over its toolset's."""
    if tool.toolset in caller.missing_settings:
        missing = caller.missing_settings[tool.toolset]
        return Verdict(False, Access.OFF, missing.strip("[]"), f"{missing} is not set, and {tool.name} needs it")
    if tool.name in caller.access:
        level, setting = caller.access[tool.name], f"callers.{caller.name}.access.{tool.name}"
    elif tool.toolset in caller.access:
        level, setting = caller.access[tool.toolset], f"callers.{caller.name}.access.{tool.toolset}"
        if tool.destructive and level > Access.CONFIRM:
            # Who opens a whole toolset has not said that anything in it may vanish unasked.
            return Verdict(True, Access.CONFIRM, setting, written=level)
    else:
        level, setting = Access.OFF, f"callers.{caller.name}.access"
    needed = Access.PREVIEW if tool.writes else Access.READ
    if level >= needed:
        return Verdict(True, level, setting)
    return Verdict(
        False,
        level,
        setting,
        f'{setting} gives "{level.name.lower()}"; {tool.name} needs at least "{needed.name.lower()}"',
    )


def dealer_verdict(caller: Caller, dealer: str | None) -> Verdict:
    """Whether `dealer`, exactly as given, is one of the caller's."""
    setting = f"callers.{caller.name}.dealers"
    if dealer is not None and dealer in caller.dealers:
        return Verdict(True, Access.READ, setting)
    # The refused name is not repeated: it may hold anything, and a model reads this.
    return Verdict(False, Access.OFF, setting, f"{setting} does not name this dealer; {dealer_choices(caller)}")


def dealer_choices(caller: Caller) -> str:
    return f"one of {', '.join(caller.dealers)}" if caller.dealers else "this caller has no dealer"
