"""Times as the tables keep them, and the deletion of rows whose time is over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, delete, select, tuple_


def milliseconds(time: datetime) -> int:
    """Returns the milliseconds since 1970."""
    return int(time.timestamp() * 1000)


def forget_expired(connection: Connection, column: Column[int], before: datetime, most: int) -> int:
    """Deletes up to `most` rows older than `before`, and returns how many.

    It skips rows that another transaction has locked, so that no two deadlock.
    """
    keys = column.table.primary_key.columns
    old_keys = select(*keys).where(column < milliseconds(before)).order_by(column).limit(most)
    rows = (connection.execute(old_keys.with_for_update(skip_locked=True))).all()
    if rows:
        connection.execute(delete(column.table).where(tuple_(*keys).in_([tuple(row) for row in rows])))
    return len(rows)
