"""Counts of calls and events, as they come out of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CallCount:
    """The number of calls that ended within one piece of time, all alike in what is here."""

    begin: str
    """The beginning of the time as ISO 8601 in UTC, cut off at the piece: `2026-11-28T16:05` is a minute."""
    tool: str
    outcome: str
    setting: str
    is_refused: bool
    count: int


@dataclass(frozen=True)
class EventCount:
    """The events of one source within a time, or in quarantine. `oldest` and `newest` are their times of receipt."""

    source: str
    count: int
    oldest: datetime
    newest: datetime
