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

from .store import StoredEvent, StoreError
from .store.lazy import LazyStore
from .telemetry.logs import log


@dataclass(frozen=True)
class StoredOwnership:
    """Implements `roadster_client.Ownership` for one dealer. Raises StoreError, but for `add` and `note`."""

    store: LazyStore
    dealer: str
    retry_pauses: Sequence[float]
    """Seconds before each further attempt to add an id."""

    async def has(self, kind: OwnedKind, id_: str) -> bool:
        return await self.store.belongs(self.dealer, kind, id_)

    async def add(self, kind: OwnedKind, id_: str) -> None:
        # What it is about exists: neither one failure nor a caller that has gone may leave it without its dealer.
        with anyio.CancelScope(shield=True):
            if not await self._add(kind, id_):
                log.error("belongs to another dealer", extra={"kind": kind})
                raise OwnedByAnother

    async def _add(self, kind: OwnedKind, id_: str) -> bool:
        for pause in self.retry_pauses:
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
        return await self.store.add_owned(self.dealer, kind, id_)

    async def note(self, kind: OwnedKind, id_: str) -> None:
        try:
            with anyio.CancelScope(shield=True):  # the write before it is done, and ends as done
                await self._add_once(kind, id_)
        except StoreError as error:
            log.warning("not kept for completion", extra={"kind": kind, "reason": str(error)})

    async def ids(self, kind: OwnedKind, prefix: str, most: int) -> list[str]:
        return await self.store.owned_ids(self.dealer, kind, prefix, most)


@dataclass(frozen=True)
class StoredEvents:
    """Implements `roadster_client.EventsInbox` for one dealer, and for who may see `personal_data`."""

    store: LazyStore
    dealer: str
    personal_data: PersonalData

    async def newest(self, query: EventQuery, *, before: EventPlace | None = None, most: int) -> list[ReceivedEvent]:
        try:
            events = await self.store.events(self.dealer, query, before=before, most=most)
        except StoreError as error:
            raise Unavailable("events", f"the events cannot be read: {error}") from None
        return [self._received(event) for event in events]

    def _received(self, stored: StoredEvent) -> ReceivedEvent:
        return ReceivedEvent(
            place=stored.place,
            event_id=stored.event_id,
            event_type=stored.event_type,
            happened_at=datetime.fromtimestamp(stored.place.happened_at / 1000, UTC),
            customer_id=stored.customer,
            order_id=stored.order,
            delivery_id=stored.delivery,
            event=CustomerEvent.model_validate(from_json(stored.body), context=self.personal_data)
            if stored.source == "roadster"
            else None,
        )
