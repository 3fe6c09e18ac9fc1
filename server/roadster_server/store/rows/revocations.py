"""The tokens and people that were revoked. Every function needs a transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from roadster_server.store.records import AuditRecord, RevokedSubjects
from roadster_server.store.tables import revocations

from . import sessions
from .audit import audit
from .expiry import milliseconds
from .marks import add_one

_NEW = select(revocations.c.number, revocations.c.subject, revocations.c.revoked).where(
    revocations.c.number > bindparam("after")
)


def add(connection: Connection, subjects: Collection[str], now: datetime, record: AuditRecord) -> None:
    # A transaction that takes the mark at the same time waits, so a number is visible only after those before it.
    number = add_one(connection, "revocations")
    connection.execute(delete(revocations).where(revocations.c.subject.in_(sorted(subjects))))
    row = {"revoked": milliseconds(now), "number": number}
    connection.execute(insert(revocations), [{"subject": subject, **row} for subject in sorted(subjects)])
    sessions.end_all_of(connection, subjects)
    audit.append(connection, record)


def newer(connection: Connection, after: int) -> RevokedSubjects:
    """Returns those with a higher number than `after`."""
    rows = connection.execute(_NEW, {"after": after}).all()
    number = max((row.number for row in rows), default=after)
    return RevokedSubjects(number, {row.subject: row.revoked for row in rows})
