"""Single-use nonces. A nonce is kept until it would be refused for its age anyway."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.tables import nonces

from .expiry import forget_expired, milliseconds


async def use_once(connection: AsyncConnection, nonce: str, expires_at: datetime, now: datetime) -> bool:
    if expires_at <= now:  # it may have been used and then deleted
        return False
    await forget_expired(connection, nonces.c.expires, now)
    insert = insert_new(connection, nonces).values(nonce=nonce, expires=milliseconds(expires_at))
    return (await connection.execute(insert)).first() is not None
