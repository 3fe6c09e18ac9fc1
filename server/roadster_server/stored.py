"""The ports of the tools to the store: what belongs to a dealer, its events, and its customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
from pydantic_core import from_json

from roadster_client import NotStored, OnLeftOut, OwnedByAnother, OwnedKind, Reader, Unavailable
from roadster_client.models.events import CustomerEvent, read_event
from roadster_tools.gate.customers import CustomerMatch, CustomerMatches, CustomerPlace, CustomerQuery
from roadster_tools.gate.inbox import EventPlace, EventQuery, ReceivedEvent

from .store import INDEX_BATCH, StoredEvent, StoreError
from .store.lazy import LazyStore
from .telemetry.logs import log

_INDEXED_BATCHES = 4
"""Batches of events that one search indexes at most, before it searches. Hardly any search finds one."""


@dataclass(frozen=True)
class StoredOwnership:
    """The `roadster_client.Ownership` of one dealer. `has` and `ids` raise StoreError."""

    store: LazyStore
    dealer: str
    retry_pauses: Sequence[float]
    """Seconds before each further attempt to add an id."""

    async def has(self, kind: OwnedKind, id_: str) -> bool:
        return await self.store.belongs(self.dealer, kind, id_)

    async def add(self, kind: OwnedKind, id_: str) -> None:
        # The delivery or customer exists now. Neither one failure nor a cancelled call may leave it without a dealer.
        with anyio.CancelScope(shield=True):
            if not await self._add_with_retries(kind, id_):
                log.error("belongs to another dealer", extra={"kind": kind})
                raise OwnedByAnother

    async def _add_with_retries(self, kind: OwnedKind, id_: str) -> bool:
        for pause in self.retry_pauses:
            try:
                return await self.store.add_owned(self.dealer, kind, id_)
            except StoreError:
                await anyio.sleep(pause)
        try:
            return await self.store.add_owned(self.dealer, kind, id_)
        except StoreError as error:
            log.error("belonging not kept", extra={"kind": kind, "reason": str(error)})
            raise NotStored from None

    async def ids(self, kind: OwnedKind, prefix: str, most: int) -> list[str]:
        return await self.store.owned_ids(self.dealer, kind, prefix, most)


@dataclass(frozen=True)
class StoredEvents:
    """The `EventsInbox` of one dealer, for a reader with these rights."""

    store: LazyStore
    dealer: str
    reader: Reader
    on_left_out: OnLeftOut

    async def newest(self, query: EventQuery, *, before: EventPlace | None = None, most: int) -> list[ReceivedEvent]:
        try:
            events = await self.store.events(self.dealer, query, before=before, most=most)
        except StoreError as error:
            # The error's text names the store's file or host, which is not for a caller.
            log.error("events not read", extra={"reason": str(error)})
            raise Unavailable("events", "the store of the events does not work") from None
        return [_read(event, self.reader, self.on_left_out) for event in events]


@dataclass(frozen=True)
class StoredCustomers:
    """The `CustomerIndex` of one dealer, for a reader with these rights."""

    store: LazyStore
    dealer: str
    reader: Reader
    on_left_out: OnLeftOut

    async def search(self, query: CustomerQuery, *, after: CustomerPlace | None = None, most: int) -> CustomerMatches:
        try:
            for _ in range(_INDEXED_BATCHES):
                if not await self.store.index_events([self.dealer], most=INDEX_BATCH):
                    break
            matches, gap = await self.store.customers(self.dealer, query, after=after, most=most)
        except StoreError as error:
            log.error("customers not read", extra={"reason": str(error)})
            raise Unavailable("customers", "the store of the customers does not work") from None
        return CustomerMatches(
            [
                CustomerMatch(
                    match.place,
                    _read(match.newest, self.reader, self.on_left_out) if match.newest else None,
                )
                for match in matches
            ],
            gap,
        )

    async def note(self, customer_id: int, *, email: str, phone: str | None = None) -> None:
        try:
            with anyio.CancelScope(shield=True):  # the write before it is done, so the call must end as done
                await self.store.add_customer(self.dealer, str(customer_id), email=email, phone=phone)
        except StoreError as error:
            log.warning("customer not kept for searches", extra={"reason": str(error)})


def _read(event: StoredEvent, reader: Reader, on_left_out: OnLeftOut) -> ReceivedEvent:
    def read() -> CustomerEvent | None:
        return read_event(from_json(event.body), reader, on_left_out) if event.source == "roadster" else None

    return ReceivedEvent(
        place=event.place,
        event_id=event.event_id,
        event_type=event.event_type,
        happened_at=datetime.fromtimestamp(event.place.happened_at / 1000, UTC),
        customer_id=event.customer,
        order_id=event.order,
        delivery_id=event.delivery,
        read=read,
    )
