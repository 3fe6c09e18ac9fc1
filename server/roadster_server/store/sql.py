"""The store over SQLAlchemy: one transaction a method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anyio
from sqlalchemy import select

from . import audit, claims, events, nonces, ownership
from .database import Database, Turn, take_turn
from .records import (
    AuditRecord,
    Claim,
    Conflict,
    EventSearch,
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
from .schema import migrate

_MIGRATING = anyio.Lock()
"""Alembic's context is the whole process's: of several stores, one is migrated at a time."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStore]:
    database = await _database(url)
    try:
        async with _MIGRATING, database.writing() as connection:
            await take_turn(connection, Turn.MIGRATE)
            await connection.run_sync(migrate)
        yield SqlStore(database)
    finally:
        with anyio.CancelScope(shield=True):
            await database.engine.dispose()


async def _database(url: str) -> Database:
    scheme, _, rest = url.partition("://")
    # Each kind's driver is imported where it is used.
    if scheme == "sqlite" and rest.startswith("/") and rest not in ("/", "/:memory:"):
        from .sqlite import open_sqlite  # noqa: PLC0415

        return await open_sqlite(Path(rest[1:]))
    if scheme == "postgresql":
        from .postgresql import open_postgresql  # noqa: PLC0415

        return open_postgresql(url)
    raise StoreError(
        "the store's URL is neither sqlite:///PATH nor postgresql://USER:PASSWORD@HOST/DATABASE; correct [store] url"
    )


@dataclass(frozen=True)
class SqlStore:
    """Implements `Store`, which says what each method does."""

    database: Database

    async def append(self, record: AuditRecord) -> None:
        async with self.database.writing() as connection:
            await audit.append(connection, record)

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        async with self.database.writing() as connection:
            if claim:
                await claims.mark_sent(connection, claim)
            await audit.append(connection, record)

    async def claim(
        self, scope: str, arguments: str, *, now: datetime
    ) -> Claim | Replay | Conflict | InProgress | Unknown:
        # A look first: who waits for another's call must not hold up those who write.
        async with self.database.reading() as connection:
            held = await claims.held(connection, scope, arguments, now)
        if held:
            return held
        async with self.database.writing() as connection:
            return await claims.claim(connection, scope, arguments, now)

    async def finish(self, claim: Claim, result: bytes) -> None:
        async with self.database.writing() as connection:
            await claims.finish(connection, claim, result)

    async def release(self, claim: Claim) -> None:
        async with self.database.writing() as connection:
            await claims.release(connection, claim)

    async def leave_unknown(self, claim: Claim) -> None:
        async with self.database.writing() as connection:
            await claims.leave_unknown(connection, claim)

    async def use_once(self, nonce: str, *, expires_at: datetime, now: datetime) -> bool:
        async with self.database.writing() as connection:
            return await nonces.use_once(connection, nonce, expires_at, now)

    async def belongs(self, dealer: str, kind: str, id_: str) -> bool:
        async with self.database.reading() as connection:
            return await ownership.has(connection, dealer, kind, id_)

    async def add_owned(self, dealer: str, kind: str, id_: str) -> bool:
        async with self.database.writing() as connection:
            return await ownership.add(connection, dealer, kind, id_)

    async def owned_ids(self, dealer: str, kind: str, prefix: str, most: int) -> list[str]:
        async with self.database.reading() as connection:
            return await ownership.ids(connection, dealer, kind, prefix, most)

    async def keep_events(self, new: Sequence[NewEvent], *, dealers: Collection[str], now: datetime) -> list[Keeping]:
        async with self.database.writing() as connection:
            return await events.keep(connection, new, dealers, now)

    async def events(self, dealer: str, search: EventSearch, *, before: Place | None, most: int) -> list[KeptEvent]:
        async with self.database.reading() as connection:
            return await events.newest(connection, dealer, search, before, most)

    async def forget_customer(self, dealer: str, customer: str, record: AuditRecord) -> int:
        async with self.database.writing() as connection:
            await audit.append(connection, record)
            return await events.forget_customer(connection, dealer, customer)

    async def knows_dealer(self, dealer: str) -> bool:
        async with self.database.reading() as connection:
            return await events.knows_dealer(connection, dealer)

    async def tidy_events(self, *, received_before: datetime, dealers: Collection[str], now: datetime) -> Tidied:
        async with self.database.writing() as connection:
            await events.forget_received_before(connection, received_before)
            released = await events.release(connection, dealers, now)
            return Tidied(released, await events.count_quarantined(connection))

    async def healthy(self) -> bool:
        try:
            async with self.database.writing() as connection:
                await connection.execute(select(1))
        except StoreError:
            return False
        return True

    async def verify(self) -> Verification:
        return await audit.verify(self.database)

    def records(self, *, since: datetime | None = None, last: int | None = None) -> AsyncIterator[StoredRecord]:
        return audit.records(self.database, since, last)
