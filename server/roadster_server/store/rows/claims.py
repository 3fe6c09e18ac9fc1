"""Idempotency keys. A claim goes pending → sent → done, or sent → unknown. Releasing it deletes it.

The clock decides only how long an answer is kept for replay. A clock can be set, and a key that it made free would let
the write be done again. So a key stays used until many newer ones have come.

Every function except `find` needs a write transaction. If two calls claim one key at the same moment, the table's
primary key makes one of them wait for the other's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, or_, select, update

from roadster_server.store.databases.database import insert_new
from roadster_server.store.records import AnswerGone, Claim, Conflict, InProgress, Obstacle, Replay, Unknown
from roadster_server.store.tables import claims

from .expiry import milliseconds

_ANSWER_LIFETIME = timedelta(hours=24)
"""How long the answer of a write is kept."""

_CALL_LIFETIME = timedelta(seconds=120)
"""A call that has not ended by then is taken for dead, with its process."""

_KEPT_KEYS = 10_000
"""The newest keys. They stay used for as long as they are among these, whatever the clock says."""

# SQLAlchemy takes longer to make a statement than SQLite to run it.
_OF_SCOPES = select(claims).where(claims.c.scope.in_(bindparam("scopes", expanding=True)))
_NEWEST_NUMBER = select(func.max(claims.c.number))
# Rows that another transaction has locked are skipped, so that no two deadlock.
_OLD = select(claims.c.scope).where(claims.c.claimed < bindparam("old")).with_for_update(skip_locked=True)
_FORGET_ANSWERS = update(claims).where(claims.c.scope.in_(_OLD.where(claims.c.result.is_not(None)))).values(result=None)
_FORGET_KEYS = delete(claims).where(claims.c.scope.in_(_OLD.where(claims.c.number < bindparam("kept"))))
_UNFINISHED = (
    claims.c.scope == bindparam("of_scope"),
    claims.c.token == bindparam("of_token"),
    claims.c.state != "done",
)
_FINISH = update(claims).where(*_UNFINISHED).values(state="done", result=bindparam("of_result"))
_LEAVE_UNKNOWN = update(claims).where(*_UNFINISHED).values(state="unknown")
_RELEASE = delete(claims).where(*_UNFINISHED)


def find(connection: Connection, scopes: Collection[str], arguments: str, now: datetime) -> Obstacle | None:
    """Returns what keeps the key from being claimed, or None if it may be claimed. Only reads.

    `scopes` are all names that the key may have in the table.
    """
    row = connection.execute(_OF_SCOPES, {"scopes": list(scopes)}).first()
    return _obstacle(row, arguments, now) if row else None


def claim(connection: Connection, scope: str, arguments: str, now: datetime) -> Claim | Obstacle:
    number = (connection.scalar(_NEWEST_NUMBER) or 0) + 1
    times = {"old": milliseconds(now - _ANSWER_LIFETIME), "kept": number - _KEPT_KEYS}
    connection.execute(_FORGET_ANSWERS, times)
    connection.execute(_FORGET_KEYS, times)
    new = Claim(scope, secrets.token_hex(16))
    pending = {
        "arguments": arguments,
        "token": new.token,
        "claimed": milliseconds(now),
        "number": number,
        "state": "pending",
    }
    while True:
        if connection.execute(insert_new(connection, claims), {"scope": scope, **pending}).first():
            return new
        row = connection.execute(select(claims).where(claims.c.scope == scope).with_for_update()).first()
        if row:  # otherwise it was released between the two statements
            break
    obstacle = _obstacle(row, arguments, now)
    if obstacle is None:
        connection.execute(update(claims).where(claims.c.scope == scope).values(pending))
        return new
    return obstacle


def _obstacle(row: Row[Any], arguments: str, now: datetime) -> Obstacle | None:
    """Returns what keeps a key from being claimed, or None if its claim was abandoned before anything was sent."""
    # A claim of the future is not fresh: the clock was set back since.
    fresh = abs(milliseconds(now) - row.claimed) <= _CALL_LIFETIME / timedelta(milliseconds=1)
    has_answer = row.result is not None and row.claimed >= milliseconds(now - _ANSWER_LIFETIME)
    if row.arguments != arguments:
        return Conflict(row.arguments)
    match row.state:
        case "done":
            return Replay(row.result) if has_answer else AnswerGone()
        case "unknown":
            return Unknown()
        case "sent":
            return InProgress() if fresh else Unknown()
    return InProgress() if fresh else None


MARK_SENT = (
    update(claims)
    .where(
        claims.c.scope == bindparam("of_scope"),
        claims.c.token == bindparam("of_token"),
        or_(claims.c.state == "pending", claims.c.state == "sent"),
    )
    .values(state="sent")
)
"""Marks a claim as sent. It changes no row if another call holds the key."""


def finish(connection: Connection, claim: Claim, result: bytes) -> None:
    connection.execute(_FINISH, {**_names_of(claim), "of_result": result})


def leave_unknown(connection: Connection, claim: Claim) -> None:
    connection.execute(_LEAVE_UNKNOWN, _names_of(claim))


def release(connection: Connection, claim: Claim) -> None:
    connection.execute(_RELEASE, _names_of(claim))


def _names_of(claim: Claim) -> dict[str, str]:
    return {"of_scope": claim.scope, "of_token": claim.token}
