"""Times as the tables keep them, and rows whose time is over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


async def forget_expired(connection: AsyncConnection, column: Column[int], before: datetime) -> None:
    """Deletes what is older. Rows that another transaction works on are left to it, so that no two deadlock."""
    (key,) = column.table.primary_key
    expired = select(key).where(column < milliseconds(before)).with_for_update(skip_locked=True)
    await connection.execute(delete(column.table).where(key.in_(expired)))
