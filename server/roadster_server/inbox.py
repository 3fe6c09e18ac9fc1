"""The inbox of events: kept in the store, read for one dealer, and tidied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
from pydantic_core import from_json

from roadster_client import EventPlace, EventQuery, PersonalData, ReceivedEvent, Unavailable
from roadster_client.models.events import CustomerEvent

from .live import LiveSettings
from .logs import log
from .opening import LazyStore
from .store import EventSearch, Keeping, KeptEvent, NewEvent, StoreError

_MOST_AT_ONCE = 100

_TIDY_EVERY = 3600.0
"""Seconds. Once a day would do for retention; what waits in quarantine for its delivery should not wait a day."""


@dataclass
class _Waiting:
    event: NewEvent
    became: Keeping | None = None
    failed: str | None = None


class EventWriter:
    """Stores events, those that come at the same time in one transaction: making one durable is what takes long."""

    def __init__(self, live: LiveSettings, store: LazyStore) -> None:
        self._live = live
        self._store = store
        self._turn = anyio.Lock()
        self._waiting: list[_Waiting] = []

    async def keep(self, event: NewEvent) -> Keeping:
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
            store = await self._store.get()
            became = await store.keep_events(
                [waiting.event for waiting in batch], dealers=self._live.current.dealers, now=datetime.now(UTC)
            )
            for waiting, outcome in zip(batch, became, strict=True):
                waiting.became = outcome
        except StoreError as error:
            failed = str(error)
        finally:
            for waiting in batch:
                waiting.failed = failed


@dataclass(frozen=True)
class StoredEvents:
    """Implements `roadster_client.EventsInbox` for one dealer, and for who may see `personal_data`."""

    store: LazyStore
    dealer: str
    personal_data: PersonalData

    async def newest(self, query: EventQuery, *, before: EventPlace | None = None, most: int) -> list[ReceivedEvent]:
        search = EventSearch(
            customer=None if query.customer_id is None else str(query.customer_id),
            event_type=query.event_type,
            since=query.since,
            until=query.until,
        )
        place = None if before is None else (before.happened, before.received, before.key)
        try:
            store = await self.store.get()
            kept = await store.events(self.dealer, search, before=place, most=most)
        except StoreError as error:
            raise Unavailable(f"the events cannot be read: {error}", operation="events") from None
        return [self._received(event) for event in kept]

    def _received(self, kept: KeptEvent) -> ReceivedEvent:
        return ReceivedEvent(
            place=EventPlace(*kept.place),
            event_id=kept.event_id,
            event_type=kept.event_type,
            happened=datetime.fromtimestamp(kept.place[0] / 1000, UTC),
            customer_id=kept.customer,
            order_id=kept.order,
            delivery_id=kept.delivery,
            event=CustomerEvent.model_validate(from_json(kept.body), context=self.personal_data)
            if kept.source == "roadster"
            else None,
        )


async def keep_tidy(live: LiveSettings, store: LazyStore) -> None:
    """Deletes what is too old, and looks through the quarantine, at once and each hour. Runs until it is cancelled."""
    while True:
        await _tidy(live, store)
        await anyio.sleep(_TIDY_EVERY)


async def _tidy(live: LiveSettings, store: LazyStore) -> None:
    now = datetime.now(UTC)
    settings = live.current
    try:
        tidied = await (await store.get()).tidy_events(
            received_before=now - timedelta(days=settings.webhooks.retention_days), dealers=settings.dealers, now=now
        )
    except StoreError as error:
        log.error("old events not deleted", extra={"reason": str(error)})
        return
    if tidied.released or tidied.quarantined:
        log.warning("events of unknown dealers", extra={"released": tidied.released, "left": tidied.quarantined})
