"""Idempotency keys. A claim goes pending → sent → done, or sent → unknown; released, it is gone.

Each function but `held` is part of a write transaction. Two claims of one key at the same moment meet at the
table's primary key, where one of them waits for the other's transaction.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import insert_new
from .expiry import forget_expired, milliseconds
from .records import Claim, ClaimLost, Conflict, InProgress, Replay, Unknown
from .tables import claims

_REMEMBERED = timedelta(hours=24)
_PATIENCE = timedelta(seconds=120)
"""For a call to come to an end; after that its process is taken for dead."""


async def held(
    connection: AsyncConnection, scope: str, arguments: str, now: datetime
) -> Replay | Conflict | InProgress | Unknown | None:
    """What keeps a key from being claimed, by a look alone; None where it may be claimed."""
    remembered = claims.c.claimed >= milliseconds(now - _REMEMBERED)
    row = (await connection.execute(select(claims).where(claims.c.scope == scope, remembered))).first()
    return _held(row, arguments, now) if row else None


async def claim(
    connection: AsyncConnection, scope: str, arguments: str, now: datetime
) -> Claim | Replay | Conflict | InProgress | Unknown:
    await forget_expired(connection, claims.c.claimed, now - _REMEMBERED)
    made = Claim(scope, secrets.token_hex(16))
    pending = {"arguments": arguments, "token": made.token, "claimed": milliseconds(now), "state": "pending"}
    while True:
        inserted = await connection.execute(insert_new(connection, claims).values(scope=scope, **pending))
        if inserted.first():
            return made
        row = (await connection.execute(select(claims).where(claims.c.scope == scope).with_for_update())).first()
        if row:  # else it was released between the two statements
            break
    kept = _held(row, arguments, now)
    if kept is None:
        await connection.execute(update(claims).where(claims.c.scope == scope).values(pending))
        return made
    return kept


def _held(row: Row[Any], arguments: str, now: datetime) -> Replay | Conflict | InProgress | Unknown | None:
    """What keeps a key from being claimed; None for a claim that was abandoned before anything was sent."""
    fresh = row.claimed >= milliseconds(now - _PATIENCE)
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
    """Raises ClaimLost."""
    sent = update(claims).where(_own(claim), claims.c.state.in_(("pending", "sent"))).values(state="sent")
    if (await connection.execute(sent)).rowcount == 0:
        raise ClaimLost("another call holds this idempotency key by now, so nothing was sent; ask again with the key")


async def finish(connection: AsyncConnection, claim: Claim, result: bytes) -> None:
    await connection.execute(_unfinished(claim).values(state="done", result=result))


async def leave_unknown(connection: AsyncConnection, claim: Claim) -> None:
    await connection.execute(_unfinished(claim).values(state="unknown"))


async def release(connection: AsyncConnection, claim: Claim) -> None:
    await connection.execute(delete(claims).where(_own(claim), claims.c.state != "done"))


def _unfinished(claim: Claim) -> Update:
    return update(claims).where(_own(claim), claims.c.state != "done")


def _own(claim: Claim) -> ColumnElement[bool]:
    return and_(claims.c.scope == claim.scope, claims.c.token == claim.token)
