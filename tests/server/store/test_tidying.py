"""Deletions of many rows go in small transactions, and leave nothing behind that a record does not tell of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import event

from roadster_server.store import NewEvent, open_store
from roadster_server.store.sql import SqlStore

from .databases import NOON, RECORD, execute

pytestmark = pytest.mark.anyio

BATCH, COUNT = 5, 32
DAY = timedelta(days=1)


@pytest.fixture
async def full_store(url: str) -> AsyncIterator[SqlStore]:
    """A store with old events of one customer, each of an order and an email address of its own."""
    async with open_store(url) as new_store:
        store = replace(new_store, contact_key=b"key", batch_rows=BATCH)
        events = [new_event(number) for number in range(COUNT)]
        await store.add_events(events, dealers=["umazda"], now=NOON)
        yield store


def new_event(number: int, **values: Any) -> NewEvent:
    event = NewEvent(
        source="roadster",
        event_id=f"e-{number}",
        event_type="message",
        dealer="umazda",
        customer="7",
        order=f"o-{number}",
        delivery=None,
        happened_at=None,
        body=f'{{"customer":{{"id":7,"email":"c{number}@example.com"}}}}',
    )
    return replace(event, **values)


async def count_rows(url: str) -> dict[str, int]:
    tables = ("events", "belongings", "contacts")
    return {table: (await execute(url, f"SELECT count(*) FROM roadster_{table}"))[0][0] for table in tables}


def watch_batches(store: SqlStore) -> list[int]:
    """Returns a list that gets the number of rows of each DELETE."""
    sizes: list[int] = []

    def note(_connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if text.startswith("DELETE"):
            sizes.append(cursor.rowcount)

    event.listen(store.database.driver.engine, "after_cursor_execute", note)
    return sizes


async def test_old_events_are_deleted_in_batches(url: str, full_store: SqlStore) -> None:
    sizes = watch_batches(full_store)
    await full_store.add_events([new_event(99)], dealers=["umazda"], now=NOON + DAY)
    await full_store.forget_events(received_before=NOON + DAY)
    assert await count_rows(url) == {"events": 1, "belongings": COUNT + 2, "contacts": 1}
    assert max(sizes) == BATCH
    assert sum(sizes) == 2 * COUNT


async def test_a_customers_data_are_deleted_in_batches_between_two_records(url: str, full_store: SqlStore) -> None:
    sizes = watch_batches(full_store)
    counts = await full_store.forget_customer("umazda", "7", RECORD)
    assert (counts.events, counts.ids, counts.search_entries) == (COUNT, COUNT + 1, COUNT)
    assert await count_rows(url) == {"events": 0, "belongings": 0, "contacts": 0}
    assert max(sizes) == BATCH
    assert [(row.record.phase, row.record.outcome) async for row in full_store.records()] == [
        ("sent", "sent"),
        ("ended", "done"),
    ]


async def test_a_deletion_that_was_cut_off_is_on_record_and_goes_on(url: str, full_store: SqlStore) -> None:
    """The first batch and its record are one transaction. What the rest deletes is complete the next time."""
    batches = 0

    loop = asyncio.get_running_loop()

    def cut_off(_connection: Any) -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            loop.call_soon_threadsafe(scope.cancel)

    event.listen(full_store.database.driver.engine, "commit", cut_off)
    with anyio.CancelScope() as scope:
        await full_store.forget_customer("umazda", "7", RECORD)
    assert scope.cancelled_caught
    assert 0 < (await count_rows(url))["events"] < COUNT
    assert [row.record.phase async for row in full_store.records()] == ["sent"]
    await full_store.forget_customer("umazda", "7", RECORD)
    assert await count_rows(url) == {"events": 0, "belongings": 0, "contacts": 0}


async def test_events_leave_a_long_quarantine_page_by_page(full_store: SqlStore) -> None:
    strange = [new_event(100 + number, dealer=f"dealer-{number % 2}") for number in range(3 * BATCH)]
    await full_store.add_events(strange, dealers=["umazda"], now=NOON)
    counts = await full_store.tidy_events(received_before=NOON, dealers=["umazda", "dealer-1"], now=NOON)
    assert (counts.released, counts.quarantined) == (7, 8)
