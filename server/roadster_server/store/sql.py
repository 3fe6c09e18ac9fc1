"""The store over SQLAlchemy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from sqlalchemy import Connection

from roadster_tools.gate.customers import CustomerPlace, CustomerQuery, SearchGap
from roadster_tools.gate.inbox import EventPlace, EventQuery

from . import tidying
from .approvals import SqlApprovals
from .counts import CallCount, EventCount
from .databases.database import Database
from .databases.driver import Append
from .errors import StoreError
from .files import SqlFiles
from .mirrors import SqlMirrors
from .records import (
    AuditQuery,
    AuditRecord,
    Claim,
    ClockDoubt,
    DeletedCounts,
    EventOutcome,
    NewEvent,
    NewSession,
    Obstacle,
    RevokedSubjects,
    StoredCustomer,
    StoredEvent,
    StoredRecord,
    TidyCounts,
    Verification,
)
from .rows import claims, clock, contacts, events, figures, marks, nonces, ownership, revocations, sessions
from .rows.audit import audit, verification
from .rows.audit.audit import OnUnreadable, refuse_unreadable
from .rows.audit.verification import OnProgress
from .rows.contacts import ContactKey
from .rows.expiry import milliseconds
from .schema import migrate

_MIGRATING = anyio.Lock()
"""Alembic has one context for the whole process, so only one store is migrated at a time."""


EVERY_RECORD = AuditQuery()


@asynccontextmanager
async def open_sql_store(url: str) -> AsyncIterator[SqlStore]:
    """Opens the store, and makes or migrates its tables. Raises StoreError."""
    database = await _database(url)
    try:
        async with _MIGRATING:
            await database.write(migrate)
        yield SqlStore(database)
    finally:
        with anyio.CancelScope(shield=True):
            await database.close()


async def _database(url: str) -> Database:
    scheme, _, rest = url.partition("://")
    # Each driver is imported only where it is used.
    if scheme == "sqlite" and rest.startswith("/") and rest not in ("/", "/:memory:"):
        from .databases.sqlite import open_sqlite  # noqa: PLC0415

        return await open_sqlite(Path(rest[1:]))
    if scheme == "postgresql":
        from .databases.postgresql import open_postgresql  # noqa: PLC0415

        return open_postgresql(url)
    raise StoreError(
        "the store's URL is neither sqlite:///PATH nor postgresql://USER:PASSWORD@HOST/DATABASE; correct [store] url"
    )


@dataclass(frozen=True)
class SqlStore:
    """An open store. A method raises StoreError if the database fails. It is one transaction, unless it says more.

    A write is durable when its method returns. Those of idempotency keys and of customers whom calls made are durable
    with the audit record that follows them: before it nothing is sent and nothing answered. A write is finished even if
    the caller's task has been cancelled, so neither an audit record nor a claim is left half made.
    """

    database: Database
    page_rows: int = 5000
    """Audit records that are read in one transaction."""
    batch_rows: int = 100
    """Rows that are deleted in one transaction, which takes some milliseconds."""
    contact_key: bytes = field(default=b"", repr=False)
    """The key of the hashes of contact data. `LazyStore` sets it. Only methods that index or search need it."""

    async def append(self, record: AuditRecord) -> None:
        """Adds one record to the audit chain."""
        await self.database.append(Append(record))

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        """Adds the record that a write is about to be sent, and marks its claim as sent.

        Raises ClaimLost, and records nothing, if another call has taken over the claim.
        """
        await self.database.append(Append(record, claim))

    async def claim(self, scope: str, arguments: str, *, now: datetime, old_scope: str = "") -> Claim | Obstacle:
        """Claims an idempotency key, or returns what an earlier call did with it.

        `old_scope` names the same key as stores of the schema 0001 did. Such a claim may be kept for a day after an
        upgrade, and its arguments conflict with all others.
        """
        # A read comes first: a call that only waits for another call must not queue with those that write.
        obstacle = await self.database.read(claims.find, (scope, old_scope), arguments, now)
        if obstacle:
            return obstacle
        return await self.database.write_before_record(claims.claim, scope, arguments, now)

    async def find_claim(self, scope: str, arguments: str, *, now: datetime) -> Obstacle | None:
        """Returns what an earlier call did with an idempotency key, None if it may be claimed."""
        return await self.database.read(claims.find, [scope], arguments, now)

    async def finish(self, claim: Claim, result: bytes) -> None:
        """Keeps the result of a write that is done, for replay. Does nothing if the claim is no longer held."""
        await self.database.write_before_record(claims.finish, claim, result)

    async def release(self, claim: Claim) -> None:
        """Frees the key of a write that was not sent. Does nothing if the claim is no longer held."""
        await self.database.write_before_record(claims.release, claim)

    async def leave_unknown(self, claim: Claim) -> None:
        """Notes that a write was sent and its answer lost. Does nothing if the claim is no longer held."""
        await self.database.write_before_record(claims.leave_unknown, claim)

    async def use_once(self, nonce: str, *, expires_at: datetime, now: datetime) -> bool:
        """Returns True for the first use of a nonce, False for a later one and for an expired nonce.

        A used one is found by a read, because anybody with a used link may send it again and again.
        """
        if await self.database.read(nonces.is_used, nonce):
            return False
        return await self.database.write(nonces.use_once, nonce, expires_at, now)

    async def revoke(self, subjects: Collection[str], record: AuditRecord, *, now: datetime) -> None:
        """Revokes tokens, by their SHA-256, or people, as provider and id, and adds `record` to the audit."""
        await self.database.write(revocations.add, subjects, now, record)

    async def revocations(self, after: int) -> RevokedSubjects:
        """Returns what was revoked since a call of this returned the number `after`. 0 returns all."""
        return await self.database.read(revocations.newer, after)

    async def add_session(self, session: NewSession, *, now: datetime) -> None:
        """Stores the session of somebody who signed in to the pages."""
        await self.database.write(sessions.add, session, now)

    async def session(self, digest: str, *, now: datetime, idle: timedelta) -> str | None:
        """Returns what a session holds, sealed, and notes that it was used. None where it has ended.

        One that nobody used for as long as `idle` has ended.
        """
        content = await self.database.read(sessions.content, digest, now, idle)
        if content is None:
            return None
        text, is_seen_long_ago = content
        if is_seen_long_ago:
            await self.database.write(sessions.touch, digest, now)
        return text

    async def end_session(self, digest: str) -> None:
        """Ends a session. It is looked up by a read first, because anybody may send a cookie with a made-up one."""
        if not await self.database.read(sessions.has, digest):
            return
        await self.database.write(sessions.end, digest)

    async def belongs(self, dealer: str, kind: str, id_: str) -> bool:
        """Returns whether `add_owned` has ever recorded the id for the dealer."""
        return await self.database.read(ownership.has, dealer, kind, id_)

    async def add_owned(self, dealer: str, kind: str, id_: str) -> bool:
        """Records that the delivery, order or customer is the dealer's. Repeating it changes nothing.

        Returns False, and records nothing, for a delivery of another dealer: a delivery stays with its first dealer.
        """
        return await self.database.write(ownership.add, dealer, kind, id_)

    async def owned_ids(self, dealer: str, kind: str, prefix: str, most: int) -> list[str]:
        """Returns up to `most` ids of the kind at the dealer that start with `prefix`, the newest first."""
        return await self.database.read(ownership.ids, dealer, kind, prefix, most)

    async def add_events(
        self, new: Sequence[NewEvent], *, dealers: Collection[str], now: datetime
    ) -> list[EventOutcome]:
        """Stores each event once, and records its customer and order as its dealer's. Stores all events, or none.

        `dealers` are those of the configuration. An event of any other dealer goes into quarantine, where nobody
        reads it.
        """
        return await self.database.write(events.add, new, dealers, ContactKey(self.contact_key), now)

    async def events(
        self, dealer: str, query: EventQuery, *, before: EventPlace | None, most: int
    ) -> list[StoredEvent]:
        """Returns up to `most` of the dealer's events, the newest first, starting after the place `before`."""
        return await self.database.read(events.newest, dealer, query, before, most)

    async def add_customer(self, dealer: str, customer: str, *, email: str, phone: str | None) -> None:
        """Records that the customer is the dealer's, with hashes by which they are found.

        For a call that made or changed the customer: it is durable with the record of the call's end.
        """
        key = ContactKey(self.contact_key)

        def add(connection: Connection) -> None:
            ownership.add(connection, dealer, "customer", customer)
            now = max(milliseconds(datetime.now(UTC)), clock.newest_confirmed(connection) or 0)
            contacts.add_of_customer(connection, key, dealer, customer, email, phone, now)

        await self.database.write_before_record(add)

    async def customers(
        self, dealer: str, query: CustomerQuery, *, after: CustomerPlace | None, most: int
    ) -> tuple[list[StoredCustomer], SearchGap | None]:
        """Returns up to `most` of the dealer's customers after the place `after`, and why there may be more."""
        key = ContactKey(self.contact_key)

        def search(connection: Connection) -> tuple[list[StoredCustomer], SearchGap | None]:
            matches = []
            for place in contacts.customers(connection, key, dealer, query, after, most):
                own = events.newest(connection, dealer, EventQuery(place.customer_id), None, 1)
                matches.append(StoredCustomer(place, own[0] if own else None))
            return matches, contacts.gap(connection, key, dealer, query.kind)

        return await self.database.read(search)

    async def index_events(self, dealers: Collection[str], *, most: int) -> bool:
        """Indexes up to `most` events of the dealers that are not indexed. Returns False where none are left."""
        key = ContactKey(self.contact_key)
        # A read comes first: hardly any call finds something to do, and it must not queue with those that write.
        if await self.database.read(contacts.is_indexed, key, dealers):
            return False
        return await self.database.write(contacts.index_events, key, dealers, most) == most

    async def forget_customer(self, dealer: str, customer: str, record: AuditRecord) -> DeletedCounts:
        """Deletes the customer's events, contact data, files and ids at the dealer, and adds `record` to the audit.

        It is one transaction for each `batch_rows` events.
        """
        return await tidying.forget_customer(self.database, dealer, customer, record, self.batch_rows)

    async def knows_dealer(self, dealer: str) -> bool:
        """Returns whether anything of the dealer is stored, events in quarantine included."""
        return await self.database.read(events.knows_dealer, dealer)

    async def knows_customer(self, dealer: str, customer: str) -> bool:
        """Returns whether an event of the customer is stored at the dealer, or the customer's id."""
        return await self.database.read(events.knows_customer, dealer, customer)

    async def tidy_events(self, *, received_before: datetime, dealers: Collection[str], now: datetime) -> TidyCounts:
        """Deletes old events, and takes out of quarantine the events of any of `dealers`, in many transactions.

        It deletes none while the clock, which says `now`, cannot be believed.
        """
        doubt = await self.doubt(received_before=received_before, now=now)
        if doubt is None:
            await self.forget_events(received_before=received_before)
        count = await tidying.release(self.database, dealers, now, self.batch_rows)
        return TidyCounts(count, await self.database.read(events.count_quarantined), doubt)

    async def doubt(self, *, received_before: datetime, now: datetime) -> ClockDoubt | None:
        """Returns why `tidy_events` would delete no event, although some are old or the clock is behind."""

        def judge(connection: Connection) -> ClockDoubt | None:
            doubt = clock.doubt(connection, now)
            is_moot = doubt != "behind" and not events.has_old(connection, received_before)
            return None if is_moot else doubt

        return await self.database.read(judge)

    async def count_events(self, *, received_before: datetime) -> int:
        """Returns how many events are that old."""
        return await self.database.read(events.count_received_before, received_before)

    async def forget_events(self, *, received_before: datetime) -> None:
        """Deletes old events, in many transactions, whatever the clock says. For a person who has looked at it."""
        await tidying.forget_events(self.database, received_before, self.batch_rows)

    async def probe(self) -> None:
        """Writes a row, always the same one. Raises StoreError as a write would, also where no record can follow.

        If the database hangs, that takes as long as any write.
        """
        await self.database.write(marks.add_one, "probes")
        await self.database.check_appending()

    @property
    def mirrors(self) -> SqlMirrors:
        return SqlMirrors(self.database)

    @property
    def files(self) -> SqlFiles:
        return SqlFiles(self.database)

    @property
    def approvals(self) -> SqlApprovals:
        return SqlApprovals(self.database)

    async def count_calls(self, since: datetime, width: int, dealers: Collection[str] | None) -> list[CallCount]:
        """Returns the calls that ended since a time, at `dealers` or at all.

        `width` is the number of characters of the time by which they are counted, such as 16 for a minute. It is many
        transactions.
        """
        return await figures.count_calls(self.database, self.page_rows, since, width, dealers)

    async def recent_events(self, since: datetime, dealers: Collection[str] | None) -> list[EventCount]:
        """Returns how many events came in since a time, by source: at `dealers`, or at all of the configuration."""
        return await self.database.read(figures.count_events, since, dealers)

    async def quarantined_events(self) -> list[EventCount]:
        """Returns how many events are in quarantine, by source."""
        return await self.database.read(figures.count_quarantined)

    async def release_events(self, dealers: Collection[str], *, now: datetime) -> int:
        """Takes the events of `dealers` out of quarantine, in many transactions. Returns how many they were."""
        return await tidying.release(self.database, dealers, now, self.batch_rows)

    async def verify(self, on_progress: OnProgress = lambda _count, _total: None) -> Verification:
        """Reads the whole audit chain, and finds a record that was changed, inserted, moved or removed.

        If records were removed from the end, what is left is a sound, shorter chain. Only a head hash that was noted
        elsewhere shows that, so note the head that this returns. `on_progress` gets the records that were checked so
        far, and the number of all.
        """
        return await verification.verify(self.database, self.page_rows, on_progress)

    def records(
        self,
        query: AuditQuery = EVERY_RECORD,
        *,
        last: int | None = None,
        on_unreadable: OnUnreadable = refuse_unreadable,
    ) -> AsyncIterator[StoredRecord]:
        """Yields the audit records in order: those that the query is for, or the newest `last` of them.

        At a record that was changed and cannot be read it calls `on_unreadable`, which by default raises StoreError.
        """
        return audit.records(self.database, self.page_rows, query, last, on_unreadable)
