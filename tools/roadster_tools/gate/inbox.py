"""The port to a dealer's events: what its customers and deliveries did, as it was received and stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from roadster_client.models.events import CustomerEvent


@dataclass(frozen=True)
class EventPlace:
    """The place of an event in the order of events: by the time it happened, then by the time it was received.

    Times are milliseconds since 1970. `key` orders events with equal times.
    """

    happened_at: int
    received_at: int
    key: str


@dataclass(frozen=True)
class EventQuery:
    """A filter of events. None restricts nothing. `since` is inclusive, `until` exclusive."""

    customer_id: int | str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ReceivedEvent:
    """One event, which is stored once even if it was sent several times."""

    place: EventPlace
    event_id: str
    event_type: str
    happened_at: datetime
    customer_id: str | None
    order_id: str | None
    delivery_id: str | None
    read: Callable[[], CustomerEvent | None]

    @cached_property
    def event(self) -> CustomerEvent | None:
        """The event's content, None for a delivery's. It is read only when a row needs it, and counts only then."""
        return self.read()

    @property
    def is_time_of_receipt(self) -> bool:
        """Says that the store took the time of receipt, because the event's own could not be read."""
        return self.place.happened_at == self.place.received_at


class EventsInbox(Protocol):
    """The events of one dealer for one caller. Personal data are masked, and invisible characters are removed."""

    async def newest(self, query: EventQuery, *, before: EventPlace | None = None, most: int) -> list[ReceivedEvent]:
        """Returns the newest events before the place `before`, the newest first. Raises Unavailable."""
