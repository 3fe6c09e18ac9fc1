"""The values that go into the store and come out of it, except those of the mirrors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # for start time: the settings need the errors alone
    from roadster_tools.gate.customers import CustomerPlace
    from roadster_tools.gate.inbox import EventPlace

CLOCKS_DIFFER = timedelta(minutes=1)
"""Between two machines of one deployment."""


@dataclass(frozen=True)
class AuditRecord:
    """One step of a call. It never holds a value of an argument or of an answer."""

    call_id: str
    phase: Literal["sent", "ended", "decided"]
    time: datetime
    caller: str
    """The caller of the configuration. For a person, the identity provider and the role."""
    principal: str | None
    """The person, as provider and subject. Else the caller. None in records that are older than the column."""
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
    """The name of each argument, with a keyed hash of its value. In a sum of refusals, `refusals` is their number."""
    approval: str | None = None
    """The approval that the step belongs to: the call that asks for it, the decision, and the write."""


@dataclass(frozen=True)
class AuditSubject:
    """A customer of a dealer, to search the audit for."""

    dealer: str
    dealer_hash: str
    """The hash that the dealer has as an argument. A call that was refused is on record without a dealer."""
    customer_hashes: tuple[str, ...]
    """The hashes that the customer's id may have among a record's arguments."""


@dataclass(frozen=True)
class AuditQuery:
    """The records to read: those that have all that is set here."""

    since: datetime | None = None
    about: AuditSubject | None = None
    caller: str | None = None
    principal: str | None = None
    approval: str | None = None
    until: datetime | None = None
    tool: str | None = None
    outcome: str | None = None
    dealers: frozenset[str] | None = None
    """Only records of these dealers, and none without a dealer. None reads all."""
    before: int | None = None
    """Only records with a lower number."""


@dataclass(frozen=True)
class StoredRecord:
    """A record in its place in the chain. `seq` counts from 1 without gaps."""

    seq: int
    record: AuditRecord
    hash: str


@dataclass(frozen=True)
class RevokedSubjects:
    """The tokens, by their SHA-256, and the people, as provider and id, whose tokens are refused.

    `number` is that of the newest one. `times` are milliseconds since 1970.
    """

    number: int
    times: Mapping[str, int]


@dataclass(frozen=True)
class NewSession:
    """The session of somebody who signed in to the pages. `digest` is the SHA-256 of its secret.

    `content` is sealed.
    """

    digest: str
    principal: str
    content: str
    expires_at: datetime


@dataclass(frozen=True)
class Verification:
    """The state of the audit chain."""

    count: int
    head: str
    """The hash of the last record, 64 zeros if there is none. In a broken chain, of the last one before the break."""
    breaks: tuple[int, ...] = ()
    """The numbers of the first records that are not as they were written, or that follow such a one."""
    break_count: int = 0

    @property
    def first_broken(self) -> int | None:
        return next(iter(self.breaks), None)


@dataclass(frozen=True)
class Claim:
    """An idempotency key that the caller now holds: it may send, then it must finish, release or leave_unknown."""

    scope: str
    token: str


@dataclass(frozen=True)
class Replay:
    """The write was done within the last day with the same arguments, and had this result."""

    result: bytes


@dataclass(frozen=True)
class AnswerGone:
    """The write was done with the same arguments, and its result is not kept any more."""


@dataclass(frozen=True)
class Conflict:
    """The key was used with these other arguments."""

    arguments: str


@dataclass(frozen=True)
class InProgress:
    """Another call claimed the key a moment ago and has not ended."""


@dataclass(frozen=True)
class Unknown:
    """The write was sent, and nobody knows whether it was done."""


Obstacle = Replay | AnswerGone | Conflict | InProgress | Unknown
"""The reason for which an idempotency key cannot be claimed."""


ApprovalState = Literal["pending", "approved", "declined", "withdrawn", "done", "failed", "unknown"]
"""An approved write is being sent. It ends as done, as failed if nothing was written, or as unknown."""


ApprovalWay = Literal["page", "card"]
"""Where the person says yes or no: on a page of the server, or on a card that the requester's host shows."""


@dataclass(frozen=True)
class Approval:
    """A write that a person is to approve. Times are milliseconds since 1970. The bytes are sealed."""

    id: str
    call: str | None
    """The hash of the call that it answers for. None once a newer approval does."""
    principal: str
    """The requester."""
    dealer: str
    tool: str
    customer: str | None
    created: int
    expires: int
    """Nobody can approve it from then on."""
    question: bytes
    """The text for a person."""
    content: bytes = b""
    """The call and its requester. Only some methods read it, and it is deleted once nothing will be sent."""
    state: ApprovalState = "pending"
    decided: int | None = None
    approver: str | None = None
    """The principal who approved, declined or withdrew it."""
    reason: bytes | None = None
    outcome: bytes | None = None
    way: ApprovalWay = "page"


EventSource = Literal["roadster", "roadie"]

EventOutcome = Literal["kept", "duplicate", "quarantined"]
"""How an event was received: new, stored before, or of a dealer that the configuration lacks. All are durable."""


@dataclass(frozen=True)
class NewEvent:
    """An event as a web hook brought it. `event_id` is unique within its source.

    `dealer` is the dealer that a customer event names. A delivery's event names none: the delivery says whose it is.
    """

    source: EventSource
    event_id: str
    event_type: str
    dealer: str | None
    customer: str | None
    order: str | None
    delivery: str | None
    happened_at: datetime | None
    """None if its own time cannot be read. The store then takes the time of receipt."""
    body: str
    """JSON in ASCII, which every database stores as text."""


@dataclass(frozen=True)
class StoredEvent:
    """An event of one dealer. `body` is the JSON that the web hook brought, personal data included."""

    source: EventSource
    event_id: str
    event_type: str
    customer: str | None
    order: str | None
    delivery: str | None
    body: str
    place: EventPlace


@dataclass(frozen=True)
class StoredCustomer:
    """A customer of one dealer who matches a search, and their newest event, if any is stored."""

    place: CustomerPlace
    newest: StoredEvent | None


ClockDoubt = Literal["behind", "ahead", "unconfirmed"]
"""The clock is behind the newest event that confirms a clock, more than a day ahead of it, or no event confirms one."""


DOWNLOAD = "download"
"""The purpose of a request by which a person takes a file, instead of handing one over."""


@dataclass(frozen=True)
class FileRequest:
    """A request for one file, which a person hands over by a link and a call of the same caller then takes.

    A link to download a file is one, too. It takes none.

    `file` and `link` are keyed hashes of the handle and of the link's secret. `expires` is in milliseconds since 1970:
    the end of the link, and once the file is there, the end of the file.
    """

    file: str
    link: str
    caller: str
    principal: str
    dealer: str
    customer: str | None
    purpose: str
    expires: int

    @property
    def is_download(self) -> bool:
        return self.purpose == DOWNLOAD


@dataclass(frozen=True)
class StoredFileRequest:
    """A request as it stands. `content` names the parts of the file, and is empty while there is none."""

    request: FileRequest
    content: str
    facts: str
    """A text about the file, sealed. Of a download, the file to read and whose right it is."""


@dataclass(frozen=True)
class DeletedCounts:
    """The rows about one customer that were deleted. `ids` are those of the customer and of orders.

    `files` are those that waited for a call, and those that a person was asked for.
    """

    events: int
    ids: int
    search_entries: int
    files: int = 0
    approvals: int = 0


@dataclass(frozen=True)
class TidyCounts:
    """The events that left quarantine, and those that are still in it."""

    released: int
    quarantined: int
    doubt: ClockDoubt | None
    """Why no old event was deleted although there may be some."""
