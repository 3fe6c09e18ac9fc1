"""The server's side of the inbox of events: storing them, deleting old ones, and looking through the quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import anyio

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import INDEX_BATCH, ClockDoubt, EventOutcome, NewEvent, StoreError, TidyCounts
from roadster_server.store.batches import Batches
from roadster_server.store.lazy import LazyStore
from roadster_server.store.waiting import one_wait
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.observer import ServerObserver


def retention_end(settings: Settings, now: datetime) -> datetime:
    """Returns the time of receipt before which an event is old."""
    return now - timedelta(days=settings.webhooks.retention_days)


TIDY_EVERY = 3600.0
"""Seconds. Retention could do with once a day, but a quarantined event should not wait a day for its delivery."""


class EventWriter:
    """Stores events. Those that come at the same time share a transaction."""

    def __init__(self, live: LiveSettings, store: LazyStore) -> None:
        self._live = live
        self._store = store
        self._batches = Batches[NewEvent, EventOutcome](self._write)

    async def write(self, event: NewEvent) -> EventOutcome:
        """Returns the outcome once the event is durable. Raises StoreError."""
        return await self._batches.put(event)

    async def _write(self, batch: Sequence[NewEvent], wait_so_far: float) -> Sequence[EventOutcome]:
        with one_wait() as wait:
            wait.seconds = wait_so_far
            return await self._store.add_events(batch, dealers=self._live.current.dealers, now=datetime.now(UTC))


WHY_NO_RETENTION: Mapping[ClockDoubt, str] = {
    "behind": "this machine's clock is behind the newest event; set it by NTP",
    "ahead": "no event of the last day confirms this machine's clock; if the clock is right, the next event will, or "
    "run roadster-mcp store prune",
    "unconfirmed": "no event confirms this machine's clock; if the clock is right, run roadster-mcp store prune",
}
"""Why no old event is deleted, and what to do."""


async def keep_tidy(
    live: LiveSettings, store: LazyStore, observer: ServerObserver | None = None, *, every: float = TIDY_EVERY
) -> None:
    """Deletes old events and files that waited too long, looks through the quarantine, and indexes an older store.

    It does so now and `every` seconds. It deletes nothing while the clock cannot be believed, and logs that once. Runs
    until it is cancelled.
    """
    observer = observer or ServerObserver()
    doubt: ClockDoubt | None = None
    while True:
        counts = await _tidy(live, store, datetime.now(UTC))
        if counts is not None:
            observer.on_tidied(is_stopped=counts.doubt is not None)
            if counts.doubt not in (None, doubt):
                log.error("old events not deleted", extra={"reason": WHY_NO_RETENTION[counts.doubt]})
            doubt = counts.doubt
        await anyio.sleep(every)


async def _tidy(live: LiveSettings, store: LazyStore, now: datetime) -> TidyCounts | None:
    """Returns None where the store does not work."""
    settings = live.current
    try:
        counts = await store.tidy_events(
            received_before=retention_end(settings, now), dealers=settings.dealers, now=now
        )
        await store.forget_old_approvals(now=now)
        while await store.index_events(settings.dealers, most=INDEX_BATCH):
            pass
        await store.forget_expired_files(now=int(now.timestamp() * 1000))
    except StoreError as error:
        log.error("old events not deleted", extra={"reason": str(error)})
        return None
    if counts.released or counts.quarantined:
        log.warning("events of unknown dealers", extra={"released": counts.released, "left": counts.quarantined})
    return counts
