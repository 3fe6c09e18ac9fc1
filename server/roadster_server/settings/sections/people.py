"""The sections of the pages for people: `[people]` and `[approvals]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, field_validator

from .callers import duration
from .section import NO_REPETITION, Section


class PeopleSettings(Section):
    """`[people]`: the pages for people, at `/people/` of the HTTP server. Over stdio they have a loopback port."""

    local_caller: str | None = None
    """The caller as which a link of `roadster-mcp people open` signs in, only while the server listens on loopback.
    Without it there are no such links."""


class ApprovalSettings(Section):
    """`[approvals]`: writes that wait for a person's yes on a page."""

    lifetime: Annotated[timedelta, BeforeValidator(duration)] = timedelta(hours=4)
    """How long a write waits. A number with its unit, from `"1m"` to `"7d"`."""
    two_person: Annotated[list[str], NO_REPETITION] = []
    """Toolsets and tools whose writes nobody approves who asked for them."""

    @field_validator("lifetime")
    @classmethod
    def _is_no_accident(cls, lifetime: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= lifetime <= timedelta(days=7):
            raise ValueError('expected a time from "1m" to "7d"')
        return lifetime
