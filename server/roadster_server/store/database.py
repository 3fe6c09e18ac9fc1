"""A database, SQLite or PostgreSQL, and the two places where they differ inside a transaction."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

import anyio
from sqlalchemy import Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .appends import Append, Appender
from .batches import Batches
from .records import StoreError
from .waiting import current_wait, seconds_left

WRITING = "roadster_writing"
"""The execution option of a connection that will write."""

WAIT_SECONDS = "roadster_wait_seconds"
"""The execution option with the seconds that the connection may wait for a lock."""

DURABLE = "roadster_durable"
"""The execution option that is False if the commit need not wait for the disk."""


class Turn(IntEnum):
    """Work that one transaction at a time may do, in all processes. The values are PostgreSQL's advisory lock keys."""

    MIGRATE = 0x526F6164737401
    APPEND = 0x526F6164737402


@dataclass(frozen=True)
class Database:
    """One store's database, which turns every failure into a StoreError."""

    engine: AsyncEngine
    explain: Callable[[Exception], StoreError]
    """Returns the error that tells an operator about an error of the driver or of SQLAlchemy."""
    wait_seconds: float
    """How long one call waits for the database, in all its transactions."""
    connections: int
    """The size of the engine's pool. Transactions queue here instead of there, with a wait of their own."""
    appender: Appender
    turn: anyio.Lock | None = None
    """That of the transactions of this process that write, if there can be one at a time. The appender shares it."""
    _places: anyio.Semaphore = field(init=False)
    _appends: Batches[Append, None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", anyio.Semaphore(self.connections))
        object.__setattr__(self, "_appends", Batches(self.appender.write))

    async def append(self, append: Append) -> None:
        """Adds a record to the audit. Raises ClaimLost if its claim was lost."""
        await self._appends.put(append)

    async def check_appending(self) -> None:
        """Raises StoreError if no record can be added."""
        with anyio.CancelScope(shield=True):
            await self.appender.write((), current_wait().seconds)

    async def close(self) -> None:
        await self._appends.close()
        await self.appender.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction and commits it at the end of the block, also if the caller's task is cancelled.

        With `durable=False`, a crash of the machine or of the database may undo it, unless a durable one followed.
        """
        async with self._place(self.turn) as seconds:
            engine = self.engine.execution_options(**{WRITING: True, WAIT_SECONDS: seconds, DURABLE: durable})
            async with engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction that only reads."""
        # SQLAlchemy with aiosqlite hangs for good if a statement is cancelled (sqlalchemy #13039, aiosqlite #259).
        async with (
            self._place() as seconds,
            self.engine.execution_options(**{WAIT_SECONDS: seconds}).connect() as connection,
        ):
            yield connection

    @asynccontextmanager
    async def _place(self, turn: anyio.Lock | None = None) -> AsyncIterator[float]:
        """Waits for a free connection, and for the turn. Yields the seconds that the call may still wait for locks."""
        wait, start = current_wait(), time.monotonic()
        end = start + seconds_left(self.wait_seconds, wait.seconds)
        try:
            with anyio.CancelScope(shield=True), self._explaining():
                async with AsyncExitStack() as stack:
                    with anyio.fail_after(end - start):
                        await stack.enter_async_context(self._places)
                        if turn is not None:
                            await stack.enter_async_context(turn)
                    yield seconds_left(end, time.monotonic())
        finally:
            wait.seconds += time.monotonic() - start

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:  # a time limit of asyncpg is an OSError
            raise self.explain(error) from None


async def take_turn(connection: AsyncConnection, turn: Turn) -> None:
    """Waits until no other transaction has this turn. SQLite needs no lock: it allows one writer at a time."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(turn.value)))


def insert_new(connection: AsyncConnection, table: Table) -> Insert:
    """Returns an INSERT that skips a row if its primary key exists, and returns the keys of the rows it inserted."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
