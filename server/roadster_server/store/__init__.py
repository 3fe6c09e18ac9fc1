"""The durable store: the audit chain, idempotency keys, nonces that count once, and the events of web hooks.

A SQLite file or a PostgreSQL database, shared by as many processes as open it. What those look like
inside is no business of anyone who uses the store: this module is its whole surface, and costs
nothing to import, because the start of a stdio server must stay lean.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from .records import (
    AuditRecord,
    Claim,
    ClaimLost,
    Conflict,
    EventSearch,
    EventSource,
    InProgress,
    Keeping,
    KeptEvent,
    NewEvent,
    Place,
    Replay,
    StoredRecord,
    StoreError,
    Tidied,
    Unknown,
    Verification,
)

__all__ = [
    "AuditRecord",
    "Claim",
    "ClaimLost",
    "Conflict",
    "EventSearch",
    "EventSource",
    "InProgress",
    "Keeping",
    "KeptEvent",
    "NewEvent",
    "Place",
    "Replay",
    "Store",
    "StoreError",
    "StoredRecord",
    "Tidied",
    "Unknown",
    "Verification",
    "default_url",
    "open_store",
]


class Store(Protocol):
    """What `open_store` opens. Every method raises StoreError when the database fails.

    A write is durable when its method returns, and is finished even where the caller's task has been
    cancelled: neither an audit record nor a claim is left half made.
    """

    async def append(self, record: AuditRecord) -> None:
        """Adds one record to the audit chain."""

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        """Adds the record that a write is about to be sent, and marks its claim, in one transaction.

        Raises ClaimLost, and records nothing, where another call has taken the claim over.
        """

    async def claim(
        self, scope: str, arguments: str, *, now: datetime
    ) -> Claim | Replay | Conflict | InProgress | Unknown:
        """Claims an idempotency key, or says what became of it: see the types."""

    async def finish(self, claim: Claim, result: bytes) -> None:
        """The write is done; its result is kept for replay. Nothing happens if the claim is no longer held."""

    async def release(self, claim: Claim) -> None:
        """Nothing was sent: the key is free again. Nothing happens if the claim is no longer held."""

    async def leave_unknown(self, claim: Claim) -> None:
        """Sent, and the answer lost. Nothing happens if the claim is no longer held."""

    async def use_once(self, nonce: str, *, expires_at: datetime, now: datetime) -> bool:
        """True for the first use of a nonce, False for any later one and for one that has expired."""

    async def belongs(self, dealer: str, kind: str, id_: str) -> bool:
        """Whether `add_owned` ever kept so."""

    async def add_owned(self, dealer: str, kind: str, id_: str) -> bool:
        """Keeps that the delivery, order or customer `id_` is the dealer's. Told again, it changes nothing.

        False, and nothing kept, for a delivery that is another dealer's: it has one dealer, the first.
        """

    async def owned_ids(self, dealer: str, kind: str, prefix: str, most: int) -> list[str]:
        """The newest ids of the kind at the dealer that start with `prefix`."""

    async def keep_events(self, new: Sequence[NewEvent], *, dealers: Collection[str], now: datetime) -> list[Keeping]:
        """Keeps each event once, and that its customer and order are its dealer's. All of them, or none.

        `dealers` are those of the configuration: an event of nobody among them is kept in quarantine,
        where no one reads it.
        """

    async def events(self, dealer: str, search: EventSearch, *, before: Place | None, most: int) -> list[KeptEvent]:
        """The newest `most` of the dealer's events, of those before a place, by when they happened."""

    async def forget_customer(self, dealer: str, customer: str, record: AuditRecord) -> int:
        """Deletes all that events brought of one customer, says so in the audit, and returns how many they were."""

    async def knows_dealer(self, dealer: str) -> bool:
        """Whether there is an event of the dealer, also in quarantine, or anything that belongs to it."""

    async def tidy_events(self, *, received_before: datetime, dealers: Collection[str], now: datetime) -> Tidied:
        """Deletes old events, and takes out of quarantine what belongs to one of `dealers` by now."""

    async def healthy(self) -> bool:
        """Whether the database begins a write transaction. Where it hangs, False takes as long as any write would."""

    async def verify(self) -> Verification:
        """Reads the whole audit chain.

        Finds a record that was changed, inserted, moved, or removed from the middle. A tail that was
        cut off leaves a sound, shorter chain: only a head hash noted elsewhere tells, so it is
        reported here to be noted.
        """

    def records(self, *, since: datetime | None = None, last: int | None = None) -> AsyncIterator[StoredRecord]:
        """The audit records in order: of the newest `last`, those not older than `since`."""


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Opens `sqlite:///PATH` or `postgresql://…`, making or migrating its tables. Raises StoreError."""
    from .sql import opened  # noqa: PLC0415 - SQLAlchemy takes longer to import than this server takes to start

    async with opened(url) as store:
        yield store


def default_url() -> str:
    """A SQLite file in the folder where this system keeps a user's state."""
    try:
        match sys.platform:
            case "win32":
                folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
            case "darwin":
                folder = Path.home() / "Library" / "Application Support"
            case _:
                folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    except RuntimeError:  # a container's user may have no home
        raise StoreError("there is no home folder to keep the store in; name a place with [store] url") from None
    return f"sqlite:///{(folder / 'roadster-mcp' / 'store.db').as_posix()}"
