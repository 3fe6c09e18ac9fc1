"""The events that one dealer's customers and deliveries have caused, as they were received and kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from roadster_client.models.events import CustomerEvent


@dataclass(frozen=True)
class EventPlace:
    """Where an event stands in the order of events: by when it happened, then by when it came.

    Times are milliseconds since 1970; `key` tells apart what came at once.
    """

    happened_at: int
    received_at: int
    key: str


@dataclass(frozen=True)
class EventQuery:
    """Which events; what is None restricts nothing. `since` is within, `until` without."""

    customer_id: int | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ReceivedEvent:
    """One event, once however often it was sent. `event` is Roadster's, None for a delivery's."""

    place: EventPlace
    event_id: str
    event_type: str
    happened_at: datetime
    customer_id: str | None
    order_id: str | None
    delivery_id: str | None
    event: CustomerEvent | None


class EventsInbox(Protocol):
    """One dealer's events, read for one caller: personal data are masked, text is cleaned."""

    async def newest(self, query: EventQuery, *, before: EventPlace | None = None, most: int) -> list[ReceivedEvent]:
        """The newest first, from those before `before` on. Raises Unavailable."""
