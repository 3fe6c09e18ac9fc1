"""Single-use nonces, each with the time until which it would be accepted.

A used nonce must be refused for good, also after the clock was set back. So the newest ones are kept, and a mark says
which were deleted: a nonce that expires by then is refused.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from roadster_server.store.databases.database import insert_new
from roadster_server.store.tables import nonces

from . import marks
from .expiry import milliseconds

_KEPT = 10_000
"""Nonces that are kept although they have expired. A clock that was far ahead leaves as many that expire far ahead."""


def is_used(connection: Connection, nonce: str) -> bool:
    return connection.scalar(select(nonces.c.nonce).where(nonces.c.nonce == nonce)) is not None


def use_once(connection: Connection, nonce: str, expires_at: datetime, now: datetime) -> bool:
    expires = milliseconds(expires_at)
    if expires_at <= now or expires <= _forget(connection, now):
        return False
    row = {"nonce": nonce, "expires": expires}
    return connection.execute(insert_new(connection, nonces), row).first() is not None


def _forget(connection: Connection, now: datetime) -> int:
    """Deletes expired nonces that many others outlive. Returns the newest time of expiry of all that were deleted."""
    mark = marks.take(connection, "nonces")
    surplus = select(nonces.c.expires).order_by(nonces.c.expires.desc()).offset(_KEPT).limit(1)
    newest_surplus = connection.scalar(surplus)
    end = min(newest_surplus or 0, milliseconds(now))
    if end <= mark:
        return mark
    marks.put(connection, "nonces", end)
    connection.execute(delete(nonces).where(nonces.c.expires <= end))
    return end
