"""Transactions in a SQLite file: each is one turn of a thread."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, cast

import anyio
from sqlalchemy import Connection, Engine, NullPool, create_engine

from roadster_server.store.errors import ClaimLost
from roadster_server.store.rows.audit.chain_end import ChainEnd
from roadster_server.store.waiting import seconds_left

from .driver import Append

_ResultT = TypeVar("_ResultT")


class SqliteDriver:
    """A `Driver` with one connection that writes, because SQLite has one writer, and one that reads meanwhile.

    `connect` opens the file, and `check` raises StoreError where it is another one by now.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, connect: Callable[[], sqlite3.Connection], check: Callable[[], None]) -> None:
        self.engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
        # A transaction that reads first and then writes cannot wait for the lock: it fails if another has written
        # meanwhile. So a transaction that will write takes the lock at once.
        self._writing = _Lane(self.engine, "BEGIN IMMEDIATE", check)
        self._reading = _Lane(self.engine, "BEGIN", check)
        self._end = ChainEnd(self.engine.dialect)

    async def write(self, function: Callable[[Connection], _ResultT], seconds: float, *, is_durable: bool) -> _ResultT:
        return await self._writing.run(function, seconds, is_durable=is_durable)

    async def read(self, function: Callable[[Connection], _ResultT], seconds: float) -> _ResultT:
        return await self._reading.run(function, seconds)

    async def append(self, appends: Sequence[Append], seconds: float) -> Sequence[ClaimLost | None]:
        outcomes, remember = await self._writing.run(partial(self._append, appends), seconds)
        remember()
        return outcomes

    async def close(self) -> None:
        await self._writing.close()
        await self._reading.close()

    def _append(
        self, appends: Sequence[Append], connection: Connection
    ) -> tuple[list[ClaimLost | None], Callable[[], None]]:
        """Returns the outcomes, and what is to be called once the records are durable."""
        end, plain = self._end, _plain(connection)
        newest = plain.execute(end.newest.text, end.newest.values({})).fetchall()
        outcomes = [self._mark_sent(plain, append) for append in appends]
        rows = end.rows(newest, [append for append, outcome in zip(appends, outcomes, strict=True) if outcome is None])
        plain.executemany(end.insert.text, [end.insert.values(row) for row in rows])
        return outcomes, partial(end.remember, newest, rows)

    def _mark_sent(self, plain: sqlite3.Connection, append: Append) -> ClaimLost | None:
        if append.claim is None:
            return None
        marked = plain.execute(self._end.mark_sent.text, self._end.claim_values(append.claim)).rowcount
        return None if marked else self._end.claim_lost()


class _Lane:
    """One connection, and one thread that uses it. In its queue transactions wait in order, at the file's lock not."""

    def __init__(self, engine: Engine, begin: str, check: Callable[[], None]) -> None:
        self._engine = engine
        self._begin = begin
        self._check = check
        self._turn = anyio.Lock(fast_acquire=True)
        self._thread = ThreadPoolExecutor(1, "store")
        self._connection: Connection | None = None
        self._milliseconds: int | None = None
        self._is_durable: bool | None = None

    async def run(
        self, function: Callable[[Connection], _ResultT], seconds: float, *, is_durable: bool = True
    ) -> _ResultT:
        end_time = time.monotonic() + seconds
        with anyio.fail_after(seconds):
            await self._turn.acquire()
        try:
            return await self._in_thread(partial(self._run, function, end_time, is_durable))
        finally:
            self._turn.release()

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, function: Callable[[], _ResultT]) -> _ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _run(self, function: Callable[[Connection], _ResultT], end_time: float, is_durable: bool) -> _ResultT:
        if self._connection is None:
            self._connection = self._engine.connect()
        plain = _plain(self._connection)
        milliseconds = math.ceil(seconds_left(end_time, time.monotonic()) * 10) * 100
        if self._milliseconds != milliseconds:
            plain.execute(f"PRAGMA busy_timeout = {milliseconds}")
            self._milliseconds = milliseconds
        if self._is_durable != is_durable:
            # In WAL mode, NORMAL can lose the newest commits in a power cut.
            plain.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
            self._is_durable = is_durable
        with self._connection.begin():
            plain.execute(self._begin)  # the driver would begin only before some statements, and not for DDL or SELECT
            self._check()
            return function(self._connection)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _plain(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)
