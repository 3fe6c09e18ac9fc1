"""Work on many rows: old events, one customer's data, and the quarantine.

It goes in small transactions with pauses, so that calls and web hooks get in between, and the log of a SQLite file
stays short. Work that was interrupted goes on the next time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

import anyio
from sqlalchemy import Connection

from .databases.database import Database
from .records import AuditRecord, DeletedCounts
from .rows import approvals, events, files
from .rows.audit import audit

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")

_LEAST_PAUSE = 0.002
"""Seconds. A process that waits for a SQLite file looks again after some milliseconds."""


async def _batch(
    database: Database, function: Callable[Concatenate[Connection, _P], _ResultT], *args: _P.args, **kwargs: _P.kwargs
) -> _ResultT:
    """Runs a function in a transaction, and pauses after it as long as it took: others have half of the time."""
    start = time.monotonic()
    result = await database.write(function, *args, **kwargs)
    await anyio.sleep(max(time.monotonic() - start, _LEAST_PAUSE))
    return result


async def forget_events(database: Database, before: datetime, most: int) -> None:
    """Deletes the events that are older, up to `most` in one transaction."""
    while await _batch(database, events.forget_received_before, before, most):
        pass


async def forget_customer(
    database: Database, dealer: str, customer: str, record: AuditRecord, most: int
) -> DeletedCounts:
    """Deletes the customer's data, up to `most` rows of a table in one transaction, and adds `record` with the last.

    Where one transaction is not enough, a record before the first deletion says that it begins, as with a write.
    """
    total, is_first, is_last = DeletedCounts(0, 0, 0), True, False

    def forget(connection: Connection) -> tuple[DeletedCounts, bool]:
        counts = events.forget_some_of_customer(connection, dealer, customer, most)
        counts = replace(counts, files=files.forget_of_customer(connection, dealer, customer))
        is_last = counts.events < most and counts.search_entries < most
        if is_last:
            counts = replace(counts, approvals=approvals.forget_customer(connection, dealer, customer))
            audit.append(connection, record)
        elif is_first:
            audit.append(connection, replace(record, phase="sent", outcome="sent"))
        return counts, is_last

    while not is_last:
        counts, is_last = await _batch(database, forget)
        is_first = False
        total = DeletedCounts(
            total.events + counts.events,
            total.ids + counts.ids,
            total.search_entries + counts.search_entries,
            total.files + counts.files,
            total.approvals + counts.approvals,
        )
    return total


async def release(database: Database, dealers: Collection[str], now: datetime, most: int) -> int:
    """Takes the events of the dealers out of quarantine. Returns how many they were."""
    count = 0
    place: str | None = ""
    while place is not None:
        # A read comes first: hardly any event leaves the quarantine, and those that stay may be many.
        keys, place = await database.read(events.releasable, dealers, place, most)
        if keys:
            count += await _batch(database, events.release, keys, dealers, now)
    return count
