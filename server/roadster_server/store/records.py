"""What the store takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


class StoreError(Exception):
    """The store cannot do its work. The text is one sentence with the mend, and holds no secret and no value."""


class ClaimLost(StoreError):
    """Another call holds the idempotency key by now: what was to be sent must not be sent."""


@dataclass(frozen=True)
class AuditRecord:
    """One step of a call. Never holds a value of an argument or of an answer."""

    call_id: str
    phase: Literal["sent", "ended"]
    time: datetime
    caller: str
    client: str
    protocol: str
    tool: str
    dealer: str | None
    verdict: Literal["allowed", "refused"]
    setting: str
    outcome: str
    upstream_request_id: str | None
    latency_ms: int | None
    arguments: Mapping[str, str]
    """The name of each argument, with a keyed hash of its value."""


@dataclass(frozen=True)
class StoredRecord:
    """A record in its place in the chain; `seq` counts from 1 without gaps."""

    seq: int
    record: AuditRecord
    hash: str


@dataclass(frozen=True)
class Verification:
    """`head` is the hash of the last record (64 zeros for none); `broken` the first number that is not as it was."""

    count: int
    head: str
    broken: int | None


@dataclass(frozen=True)
class Claim:
    """The key is the caller's: it may send, and must finish, release or leave_unknown."""

    scope: str
    token: str


@dataclass(frozen=True)
class Replay:
    """Done within the last day with the same arguments: this was the result."""

    result: bytes


@dataclass(frozen=True)
class Conflict:
    """The key was used within the last day with other arguments: these."""

    arguments: str


@dataclass(frozen=True)
class InProgress:
    """Claimed a moment ago, and not ended."""


@dataclass(frozen=True)
class Unknown:
    """Sent within the last day, and nobody knows whether it was done."""


EventSource = Literal["roadster", "roadie"]
Keeping = Literal["kept", "duplicate", "quarantined"]
"""What became of an event: new, known already, or of nobody whom the configuration has, and durable in each case."""

Place = tuple[int, int, str]
"""Where an event stands: when it happened and when it came, in milliseconds since 1970, and what tells it apart."""


@dataclass(frozen=True)
class NewEvent:
    """An event as a web hook brought it. `event_id` is unique within its source.

    `dealer` is the one that a customer event names; whose a delivery's event is, its delivery says.
    """

    source: EventSource
    event_id: str
    event_type: str
    dealer: str | None
    customer: str | None
    order: str | None
    delivery: str | None
    happened: datetime
    body: str
    """JSON in ASCII, which every database stores as text."""


@dataclass(frozen=True)
class EventSearch:
    """What is None restricts nothing. `since` is within, `until` without."""

    customer: str | None
    event_type: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class KeptEvent:
    source: EventSource
    event_id: str
    event_type: str
    customer: str | None
    order: str | None
    delivery: str | None
    body: str
    place: Place


@dataclass(frozen=True)
class Tidied:
    """How many events were released from quarantine, and how many are still in it."""

    released: int
    quarantined: int
