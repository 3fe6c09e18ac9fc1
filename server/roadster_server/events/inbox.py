"""The server's side of the inbox of events: storing them, deleting old ones, and looking through the quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

from roadster_server.settings.live import LiveSettings
from roadster_server.store import INDEX_BATCH, EventOutcome, NewEvent, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log

_BATCH_SIZE = 100
"""Events of one transaction. A larger one would hold up the other writers for long."""

TIDY_EVERY = 3600.0
"""Seconds. Retention could do with once a day, but a quarantined event should not wait a day for its delivery."""


@dataclass
class _Waiting:
    event: NewEvent
    outcome: EventOutcome | None = None
    failure: str | None = None


class EventWriter:
    """Stores events. Those that come at the same time share a transaction: its commit takes most of the time."""

    def __init__(self, live: LiveSettings, store: LazyStore) -> None:
        self._live = live
        self._store = store
        self._turn = anyio.Lock()
        self._waiting: list[_Waiting] = []

    async def write(self, event: NewEvent) -> EventOutcome:
        """Returns the outcome once the event is durable. Raises StoreError."""
        mine = _Waiting(event)
        self._waiting.append(mine)
        async with self._turn:
            # The task that has the turn writes the events of all that came meanwhile. Those have their outcome already.
            if mine.outcome is None and mine.failure is None:
                await self._write_batch()
        if mine.outcome is None:
            raise StoreError(mine.failure or "")
        return mine.outcome

    async def _write_batch(self) -> None:
        batch, self._waiting = self._waiting[:_BATCH_SIZE], self._waiting[_BATCH_SIZE:]
        failure = "the write was given up"
        try:
            outcomes = await self._store.add_events(
                [waiting.event for waiting in batch], dealers=self._live.current.dealers, now=datetime.now(UTC)
            )
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome = outcome
        except StoreError as error:
            failure = str(error)
        finally:
            for waiting in batch:
                waiting.failure = failure


async def keep_tidy(live: LiveSettings, store: LazyStore, *, every: float = TIDY_EVERY) -> None:
    """Deletes old events, looks through the quarantine, and indexes the events of an older store.

    It does so now and `every` seconds. Runs until it is cancelled.
    """
    while True:
        await _tidy(live, store)
        await anyio.sleep(every)


async def _tidy(live: LiveSettings, store: LazyStore) -> None:
    now = datetime.now(UTC)
    settings = live.current
    try:
        counts = await store.tidy_events(
            received_before=now - timedelta(days=settings.webhooks.retention_days), dealers=settings.dealers, now=now
        )
        while await store.index_events(settings.dealers, most=INDEX_BATCH):
            pass
    except StoreError as error:
        log.error("old events not deleted", extra={"reason": str(error)})
        return
    if counts.released or counts.quarantined:
        log.warning("events of unknown dealers", extra={"released": counts.released, "left": counts.quarantined})
