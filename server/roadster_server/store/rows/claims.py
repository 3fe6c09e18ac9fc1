"""Idempotency keys. A claim goes pending → sent → done, or sent → unknown. Releasing it deletes it.

Every function except `find` needs a write transaction. If two calls claim one key at the same moment, the table's
primary key makes one of them wait for the other's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.records import Claim, ClaimLost, Conflict, InProgress, Replay, Unknown
from roadster_server.store.tables import claims

from .expiry import forget_expired, milliseconds

_KEY_LIFETIME = timedelta(hours=24)
"""How long a repeated call is recognised."""

_CALL_LIFETIME = timedelta(seconds=120)
"""A call that has not ended by then is taken for dead, with its process."""


async def find(
    connection: AsyncConnection, scopes: Collection[str], arguments: str, now: datetime
) -> Replay | Conflict | InProgress | Unknown | None:
    """Returns what keeps the key from being claimed, or None if it may be claimed. Only reads.

    `scopes` are all names that the key may have in the table.
    """
    recent = claims.c.claimed >= milliseconds(now - _KEY_LIFETIME)
    row = (await connection.execute(select(claims).where(claims.c.scope.in_(scopes), recent))).first()
    return _obstacle(row, arguments, now) if row else None


async def claim(
    connection: AsyncConnection, scope: str, arguments: str, now: datetime
) -> Claim | Replay | Conflict | InProgress | Unknown:
    await forget_expired(connection, claims.c.claimed, now - _KEY_LIFETIME)
    new = Claim(scope, secrets.token_hex(16))
    pending = {"arguments": arguments, "token": new.token, "claimed": milliseconds(now), "state": "pending"}
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


def _obstacle(row: Row[Any], arguments: str, now: datetime) -> Replay | Conflict | InProgress | Unknown | None:
    """Returns what keeps a key from being claimed, or None if its claim was abandoned before anything was sent."""
    fresh = row.claimed >= milliseconds(now - _CALL_LIFETIME)
    if row.arguments != arguments:
        return Conflict(row.arguments)
    match row.state:
        case "done":
            return Replay(row.result)
        case "unknown":
            return Unknown()
        case "sent":
            return InProgress() if fresh else Unknown()
    return InProgress() if fresh else None


async def mark_sent(connection: AsyncConnection, claim: Claim) -> None:
    """Marks the claim as sent. Raises ClaimLost if another call holds the key."""
    marking = update(claims).where(_own(claim), claims.c.state.in_(("pending", "sent"))).values(state="sent")
    if (await connection.execute(marking)).rowcount == 0:
        raise ClaimLost("another call holds this idempotency key by now, so nothing was sent; ask again with the key")


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
