"""What belongs to a dealer, kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
from pydantic_core import from_json

from roadster_client import NotStored, OwnedByAnother, OwnedKind, PersonalData, Unavailable
from roadster_client.models.events import CustomerEvent
from roadster_tools.gate.inbox import EventPlace, EventQuery, ReceivedEvent

from .store import EventSearch, KeptEvent, StoreError
from .store.lazy import LazyStore
from .telemetry.logs import log

_PAUSES: Sequence[float] = (0.1, 0.5)
"""Seconds before the second and the third try."""


@dataclass(frozen=True)
class StoredOwnership:
    """Implements `roadster_client.Ownership` for one dealer. Raises StoreError, but for `add` and `note`."""

    store: LazyStore
    dealer: str

    async def has(self, kind: OwnedKind, id_: str) -> bool:
        return await (await self.store.get()).belongs(self.dealer, kind, id_)

    async def add(self, kind: OwnedKind, id_: str) -> None:
        # What it is about exists: neither one failure nor a caller that has gone may leave it without its dealer.
        with anyio.CancelScope(shield=True):
            if not await self._add(kind, id_):
                log.error("belongs to another dealer", extra={"kind": kind})
                raise OwnedByAnother

    async def _add(self, kind: OwnedKind, id_: str) -> bool:
        for pause in _PAUSES:
            try:
                return await self._add_once(kind, id_)
            except StoreError:
                await anyio.sleep(pause)
        try:
            return await self._add_once(kind, id_)
        except StoreError as error:
            log.error("belonging not kept", extra={"kind": kind, "reason": str(error)})
            raise NotStored(str(error)) from None

    async def _add_once(self, kind: OwnedKind, id_: str) -> bool:
        return await (await self.store.get()).add_owned(self.dealer, kind, id_)

    async def note(self, kind: OwnedKind, id_: str) -> None:
        try:
            with anyio.CancelScope(shield=True):  # the write before it is done, and ends as done
                await self._add_once(kind, id_)
        except StoreError as error:
            log.warning("not kept for completion", extra={"kind": kind, "reason": str(error)})

    async def ids(self, kind: OwnedKind, prefix: str, most: int) -> list[str]:
        return await (await self.store.get()).owned_ids(self.dealer, kind, prefix, most)


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
        place = None if before is None else (before.happened_at, before.received_at, before.key)
        try:
            store = await self.store.get()
            kept = await store.events(self.dealer, search, before=place, most=most)
        except StoreError as error:
            raise Unavailable("events", f"the events cannot be read: {error}") from None
        return [self._received(event) for event in kept]

    def _received(self, kept: KeptEvent) -> ReceivedEvent:
        return ReceivedEvent(
            place=EventPlace(*kept.place),
            event_id=kept.event_id,
            event_type=kept.event_type,
            happened_at=datetime.fromtimestamp(kept.place[0] / 1000, UTC),
            customer_id=kept.customer,
            order_id=kept.order,
            delivery_id=kept.delivery,
            event=CustomerEvent.model_validate(from_json(kept.body), context=self.personal_data)
            if kept.source == "roadster"
            else None,
        )
