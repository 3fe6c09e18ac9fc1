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
from .store import EventSearch, KeptEvent, StoreError

_TIDY_EVERY = 3600.0
"""Seconds. Once a day would do for retention; what waits in quarantine for its delivery should not wait a day."""


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
