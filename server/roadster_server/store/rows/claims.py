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

from sqlalchemy import ColumnElement, Row, Update, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.records import AnswerGone, Claim, Conflict, InProgress, Obstacle, Replay, Unknown
from roadster_server.store.tables import claims

from .expiry import milliseconds

_ANSWER_LIFETIME = timedelta(hours=24)
"""How long the answer of a write is kept."""

_CALL_LIFETIME = timedelta(seconds=120)
"""A call that has not ended by then is taken for dead, with its process."""

_KEPT_KEYS = 10_000
"""The newest keys. They stay used for as long as they are among these, whatever the clock says."""


async def find(connection: AsyncConnection, scopes: Collection[str], arguments: str, now: datetime) -> Obstacle | None:
    """Returns what keeps the key from being claimed, or None if it may be claimed. Only reads.

    `scopes` are all names that the key may have in the table.
    """
    row = (await connection.execute(select(claims).where(claims.c.scope.in_(scopes)))).first()
    return _obstacle(row, arguments, now) if row else None


async def claim(connection: AsyncConnection, scope: str, arguments: str, now: datetime) -> Claim | Obstacle:
    number = (await connection.scalar(select(func.max(claims.c.number))) or 0) + 1
    await _forget(connection, number, now)
    new = Claim(scope, secrets.token_hex(16))
    pending = {
        "arguments": arguments,
        "token": new.token,
        "claimed": milliseconds(now),
        "number": number,
        "state": "pending",
    }
    while True:
        insertion = await connection.execute(insert_new(connection, claims).values(scope=scope, **pending))
        if insertion.first():
            return new
        row = (await connection.execute(select(claims).where(claims.c.scope == scope).with_for_update())).first()
        if row:  # otherwise it was released between the two statements
            break
    obstacle = _obstacle(row, arguments, now)
    if obstacle is None:
        await connection.execute(update(claims).where(claims.c.scope == scope).values(pending))
        return new
    return obstacle


async def _forget(connection: AsyncConnection, number: int, now: datetime) -> None:
    """Deletes old answers, and the keys that many newer ones followed."""
    old = claims.c.claimed < milliseconds(now - _ANSWER_LIFETIME)
    for end, condition in (
        (update(claims).values(result=None), claims.c.result.is_not(None)),
        (delete(claims), claims.c.number < number - _KEPT_KEYS),
    ):
        # Rows that another transaction has locked are skipped, so that no two deadlock.
        scopes = select(claims.c.scope).where(old, condition).with_for_update(skip_locked=True)
        await connection.execute(end.where(claims.c.scope.in_(scopes)))


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


async def finish(connection: AsyncConnection, claim: Claim, result: bytes) -> None:
    await connection.execute(_update_unfinished(claim).values(state="done", result=result))


async def leave_unknown(connection: AsyncConnection, claim: Claim) -> None:
    await connection.execute(_update_unfinished(claim).values(state="unknown"))


async def release(connection: AsyncConnection, claim: Claim) -> None:
    await connection.execute(delete(claims).where(_own(claim), claims.c.state != "done"))


def _update_unfinished(claim: Claim) -> Update:
    return update(claims).where(_own(claim), claims.c.state != "done")


def _own(claim: Claim) -> ColumnElement[bool]:
    return and_(claims.c.scope == claim.scope, claims.c.token == claim.token)
