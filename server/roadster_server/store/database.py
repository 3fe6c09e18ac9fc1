"""A database of either kind, and the two places where the kinds differ inside a transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum

import anyio
from sqlalchemy import Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .records import StoreError

WRITING = "roadster_writing"
"""The execution option of a connection that is going to write."""


class Turn(IntEnum):
    """What one transaction at a time may do, of all processes: the keys of PostgreSQL's advisory locks."""

    MIGRATE = 0x526F6164737401
    APPEND = 0x526F6164737402


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    explain: Callable[[Exception], str]
    """The sentence for an error of the driver or of SQLAlchemy."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block, whatever becomes of the caller's task meanwhile."""
        with anyio.CancelScope(shield=True), self._explained():
            async with self.engine.execution_options(**{WRITING: True}).begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        # SQLAlchemy with aiosqlite hangs for good where a statement is cancelled (sqlalchemy #13039, aiosqlite #259).
        with anyio.CancelScope(shield=True), self._explained():
            async with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:  # a time limit of asyncpg is an OSError
            raise StoreError(self.explain(error)) from None


async def take_turn(connection: AsyncConnection, turn: Turn) -> None:
    """Waits until no other transaction has this turn. On SQLite a write transaction is alone as it is."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(turn.value)))


def insert_new(connection: AsyncConnection, table: Table) -> Insert:
    """An INSERT that does nothing where the primary key is taken, and returns the key where it was not."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
