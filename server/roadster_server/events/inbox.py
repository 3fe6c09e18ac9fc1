"""The inbox of events: kept in the store, read for one dealer, and tidied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

from roadster_server.settings.live import LiveSettings
from roadster_server.store import EventOutcome, NewEvent, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log

_MOST_AT_ONCE = 100

_TIDY_EVERY = 3600.0
"""Seconds. Once a day would do for retention; what waits in quarantine for its delivery should not wait a day."""


@dataclass
class _Waiting:
    event: NewEvent
    became: EventOutcome | None = None
    failed: str | None = None


class EventWriter:
    """Stores events, those that come at the same time in one transaction: making one durable is what takes long."""

    def __init__(self, live: LiveSettings, store: LazyStore) -> None:
        self._live = live
        self._store = store
        self._turn = anyio.Lock()
        self._waiting: list[_Waiting] = []

    async def keep(self, event: NewEvent) -> EventOutcome:
        """What became of the event, once it is durable. Raises StoreError."""
        mine = _Waiting(event)
        self._waiting.append(mine)
        async with self._turn:
            # Whoever has the turn writes for all who came meanwhile, and those find it done.
            if mine.became is None and mine.failed is None:
                await self._write()
        if mine.became is None:
            raise StoreError(mine.failed or "")
        return mine.became

    async def _write(self) -> None:
        batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        failed = "the write was given up"
        try:
            became = await self._store.add_events(
                [waiting.event for waiting in batch], dealers=self._live.current.dealers, now=datetime.now(UTC)
            )
            for waiting, outcome in zip(batch, became, strict=True):
                waiting.became = outcome
        except StoreError as error:
            failed = str(error)
        finally:
            for waiting in batch:
                waiting.failed = failed


async def keep_tidy(live: LiveSettings, store: LazyStore) -> None:
    """Deletes what is too old, and looks through the quarantine, at once and each hour. Runs until it is cancelled."""
    while True:
        await _tidy(live, store)
        await anyio.sleep(_TIDY_EVERY)


async def _tidy(live: LiveSettings, store: LazyStore) -> None:
    now = datetime.now(UTC)
    settings = live.current
    try:
        tidied = await store.tidy_events(
            received_before=now - timedelta(days=settings.webhooks.retention_days), dealers=settings.dealers, now=now
        )
    except StoreError as error:
        log.error("old events not deleted", extra={"reason": str(error)})
        return
    if tidied.released or tidied.quarantined:
        log.warning("events of unknown dealers", extra={"released": tidied.released, "left": tidied.quarantined})
