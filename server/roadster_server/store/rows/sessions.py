"""The sessions of people who signed in to the pages. Every function needs a transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from roadster_server.store.records import NewSession
from roadster_server.store.tables import sessions

from .expiry import forget_expired, milliseconds

_TIDIED = 100
"""Sessions whose time is over that a new one deletes. They are never more than the new ones since then."""


def add(connection: Connection, session: NewSession, now: datetime) -> None:
    forget_expired(connection, sessions.c.expires, now, _TIDIED)
    connection.execute(
        insert(sessions),
        {
            "digest": session.digest,
            "principal": session.principal,
            "content": session.content,
            "seen": milliseconds(now),
            "expires": milliseconds(session.expires_at),
        },
    )


def content(connection: Connection, digest: str, now: datetime, idle: timedelta) -> tuple[str, bool] | None:
    """Returns what a session holds, sealed, and whether it was last seen more than a minute ago.

    None for one whose time is over, or that nobody used for as long as `idle`.
    """
    time = milliseconds(now)
    row = connection.execute(
        select(sessions.c.content, sessions.c.seen).where(
            sessions.c.digest == digest, sessions.c.expires > time, sessions.c.seen > milliseconds(now - idle)
        )
    ).first()
    return None if row is None else (row.content, row.seen < milliseconds(now - timedelta(minutes=1)))


def touch(connection: Connection, digest: str, now: datetime) -> None:
    connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen=milliseconds(now)))


def has(connection: Connection, digest: str) -> bool:
    return connection.scalar(select(sessions.c.digest).where(sessions.c.digest == digest)) is not None


def end(connection: Connection, digest: str) -> None:
    connection.execute(delete(sessions).where(sessions.c.digest == digest))


def end_all_of(connection: Connection, principals: Collection[str]) -> None:
    connection.execute(delete(sessions).where(sessions.c.principal.in_(sorted(principals))))
