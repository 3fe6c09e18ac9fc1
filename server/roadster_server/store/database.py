"""A database, SQLite or PostgreSQL, and the two places where they differ inside a transaction."""

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
"""The execution option of a connection that will write."""


class Turn(IntEnum):
    """Work that one transaction at a time may do, in all processes. The values are PostgreSQL's advisory lock keys."""

    MIGRATE = 0x526F6164737401
    APPEND = 0x526F6164737402


@dataclass(frozen=True)
class Database:
    """One store's database, which turns every failure into a StoreError."""

    engine: AsyncEngine
    explain: Callable[[Exception], str]
    """Returns the sentence that tells an operator about an error of the driver or of SQLAlchemy."""

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction and commits it at the end of the block, also if the caller's task is cancelled."""
        with anyio.CancelScope(shield=True), self._explaining():
            async with self.engine.execution_options(**{WRITING: True}).begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction that only reads."""
        # SQLAlchemy with aiosqlite hangs for good if a statement is cancelled (sqlalchemy #13039, aiosqlite #259).
        with anyio.CancelScope(shield=True), self._explaining():
            async with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:  # a time limit of asyncpg is an OSError
            raise StoreError(self.explain(error)) from None


async def take_turn(connection: AsyncConnection, turn: Turn) -> None:
    """Waits until no other transaction has this turn. SQLite needs no lock: it allows one writer at a time."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(turn.value)))


def insert_new(connection: AsyncConnection, table: Table) -> Insert:
    """Returns an INSERT that skips a row if its primary key exists, and returns the keys of the rows it inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
