"""Marks: single numbers that the store remembers, by their names. Every function needs a write transaction."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.tables import marks

Mark = Literal["probes", "nonces"]
"""The number of probes, and the newest time of expiry, in milliseconds, among the nonces that were deleted."""


async def take(connection: AsyncConnection, name: Mark) -> int:
    """Returns the mark, 0 where it was never set. Other transactions wait for it until this one ends."""
    await connection.execute(insert_new(connection, marks).values(name=name, value=0))
    locked = select(marks.c.value).where(marks.c.name == name).with_for_update()
    return int((await connection.execute(locked)).scalar_one())


async def put(connection: AsyncConnection, name: Mark, value: int) -> None:
    """Sets a mark that the transaction has taken."""
    await connection.execute(update(marks).where(marks.c.name == name).values(value=value))
