"""A check of this machine's clock before old events are deleted. Every function needs a transaction.

An event brings the time of its sender's clock. Where that time and the time of receipt agree, two clocks agree. So the
newest such event says how late it is at least, and a clock that jumped since then is not believed until an event
confirms it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, text

from roadster_server.store.records import CLOCKS_DIFFER, ClockDoubt
from roadster_server.store.tables import CONFIRMED, events

from .expiry import milliseconds

_DAY = 86_400_000

_NEWEST_CONFIRMED = select(events.c.received).where(text(CONFIRMED)).order_by(events.c.received.desc()).limit(1)


def doubt(connection: Connection, now: datetime) -> ClockDoubt | None:
    """Returns why the clock cannot be believed, or None."""
    newest = newest_confirmed(connection)
    if newest is None:
        return "unconfirmed"
    ahead = milliseconds(now) - newest
    if ahead < -CLOCKS_DIFFER / timedelta(milliseconds=1):
        return "behind"
    return "ahead" if ahead > _DAY else None


def newest_confirmed(connection: Connection) -> int | None:
    """Returns the newest time of receipt, in milliseconds, that is within a day of the event's own time."""
    newest: int | None = connection.scalar(_NEWEST_CONFIRMED)
    return newest
