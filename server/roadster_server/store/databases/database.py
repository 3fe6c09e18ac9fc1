"""A database, SQLite or PostgreSQL, and the two places where they differ inside a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Concatenate, ParamSpec, TypeVar

import anyio
from sqlalchemy import Connection, Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from roadster_server.store.batches import Batches
from roadster_server.store.errors import ClaimLost, StoreError
from roadster_server.store.waiting import Wait, current_wait, seconds_left

from .driver import Append, Driver

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")


class Turn(IntEnum):
    """Work that one transaction at a time may do, in all processes. The values are PostgreSQL's advisory lock keys.

    `ADD` is work that one transaction of each principal at a time may do. Its value is the seed of their keys.
    """

    MIGRATE = 0x526F6164737401
    APPEND = 0x526F6164737402
    ADD = 0x526F6164737403


@dataclass(frozen=True)
class Database:
    """One store's database, which turns every failure into a StoreError.

    A transaction is one function of a connection. It is finished even if the caller's task is cancelled.
    """

    driver: Driver
    explain: Callable[[Exception], StoreError]
    """Returns the error that tells an operator about an error of the driver or of SQLAlchemy."""
    wait_seconds: float
    """How long one call waits for the database, in all its transactions."""
    _appends: Batches[Append, None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_appends", Batches(self._append))

    async def write(
        self, function: Callable[Concatenate[Connection, _P], _ResultT], *args: _P.args, **kwargs: _P.kwargs
    ) -> _ResultT:
        """Runs a function in a transaction, and returns its result when what it did is durable."""
        with self._waiting(current_wait()) as seconds:
            return await self.driver.write(lambda own: function(own, *args, **kwargs), seconds, is_durable=True)

    async def write_before_record(
        self, function: Callable[Concatenate[Connection, _P], _ResultT], *args: _P.args, **kwargs: _P.kwargs
    ) -> _ResultT:
        """Does so without waiting for the disk. A crash of the machine may undo it until a record has followed."""
        with self._waiting(current_wait()) as seconds:
            return await self.driver.write(lambda own: function(own, *args, **kwargs), seconds, is_durable=False)

    async def read(
        self, function: Callable[Concatenate[Connection, _P], _ResultT], *args: _P.args, **kwargs: _P.kwargs
    ) -> _ResultT:
        """Runs a function that only reads in a transaction, and returns its result."""
        with self._waiting(current_wait()) as seconds:
            return await self.driver.read(lambda own: function(own, *args, **kwargs), seconds)

    async def append(self, append: Append) -> None:
        """Adds a record to the audit. Raises ClaimLost if its claim was lost."""
        await self._appends.put(append)

    async def check_appending(self) -> None:
        """Raises StoreError if no record can be added."""
        await self._append((), current_wait().seconds)

    async def close(self) -> None:
        await self._appends.close()
        await self.driver.close()

    async def _append(self, appends: Sequence[Append], wait_so_far: float) -> Sequence[ClaimLost | None]:
        with self._waiting(Wait(wait_so_far)) as seconds:
            return await self.driver.append(appends, seconds)

    @contextmanager
    def _waiting(self, wait: Wait) -> Iterator[float]:
        """Yields the seconds that the call may still wait, and adds the time of the block to its wait."""
        start = time.monotonic()
        # A time limit is an OSError.
        errors: tuple[type[Exception], ...] = (*self.driver.errors, SQLAlchemyError, OSError)
        try:
            with anyio.CancelScope(shield=True):
                yield seconds_left(self.wait_seconds, wait.seconds)
        except errors as error:
            raise self.explain(error) from None
        finally:
            wait.seconds += time.monotonic() - start


def take_turn(connection: Connection, turn: Turn) -> None:
    """Waits until no other transaction has this turn. SQLite needs no lock: it allows one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(turn.value)))


def take_turn_of(connection: Connection, principal: str) -> None:
    """Waits until no other transaction adds to what the principal may have only so many of."""
    if connection.dialect.name == "postgresql":
        key = func.hashtextextended(principal, Turn.ADD.value)
        connection.execute(select(func.pg_advisory_xact_lock(key)))


def insert_new(connection: Connection, table: Table) -> Insert:
    """Returns an INSERT that skips a row if its primary key exists, and returns the keys of the rows it inserted."""
    return _insert_new(connection.dialect.name, table)


@cache  # SQLAlchemy takes longer to make it than SQLite to run it
def _insert_new(dialect: str, table: Table) -> Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
