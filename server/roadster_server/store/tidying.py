"""Work on many rows: old events, one customer's data, and the quarantine.

It goes in small transactions with pauses, so that calls and web hooks get in between, and the log of a SQLite file
stays short. Work that was interrupted goes on the next time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import anyio
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .records import AuditRecord, DeletedCounts
from .rows import audit, events

_LEAST_PAUSE = 0.002
"""Seconds. A process that waits for a SQLite file looks again after some milliseconds."""


@asynccontextmanager
async def _batch(database: Database) -> AsyncIterator[AsyncConnection]:
    """Opens a transaction, and pauses after it as long as it took: others have half of the time."""
    async with database.writing() as connection:
        start = time.monotonic()
        yield connection
    await anyio.sleep(max(time.monotonic() - start, _LEAST_PAUSE))


async def forget_events(database: Database, before: datetime, most: int) -> None:
    """Deletes the events that are older, up to `most` in one transaction."""
    count = most
    while count:
        async with _batch(database) as connection:
            count = await events.forget_received_before(connection, before, most)


async def forget_customer(
    database: Database, dealer: str, customer: str, record: AuditRecord, most: int
) -> DeletedCounts:
    """Deletes the customer's data, up to `most` rows of a table in one transaction, and adds `record` with the last.

    Where one transaction is not enough, a record before the first deletion says that it begins, as with a write.
    """
    total, has_begun = DeletedCounts(0, 0, 0), False
    while True:
        async with _batch(database) as connection:
            counts = await events.forget_some_of_customer(connection, dealer, customer, most)
            is_last = counts.events < most and counts.search_entries < most
            if is_last:
                await audit.append(connection, record)
            elif not has_begun:
                await audit.append(connection, replace(record, phase="sent", outcome="sent"))
                has_begun = True
        total = DeletedCounts(
            total.events + counts.events, total.ids + counts.ids, total.search_entries + counts.search_entries
        )
        if is_last:
            return total


async def release(database: Database, dealers: Collection[str], now: datetime, most: int) -> int:
    """Takes the events of the dealers out of quarantine. Returns how many they were."""
    count = 0
    place: str | None = ""
    while place is not None:
        # A read comes first: hardly any event leaves the quarantine, and those that stay may be many.
        async with database.reading() as connection:
            keys, place = await events.releasable(connection, dealers, place, most)
        if keys:
            async with _batch(database) as connection:
                count += await events.release(connection, keys, dealers, now)
    return count
