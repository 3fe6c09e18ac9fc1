"""Adds to the audit in a SQLite file: one turn of a worker thread for a whole transaction."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy.dialects import sqlite

from .appends import Append
from .records import ClaimLost, StoreError
from .rows.chain_end import ChainEnd
from .waiting import seconds_left


class SqliteAppender:
    """An `Appender`. `turn` is that of the transactions of this process: the file has one writer at a time.

    `connect` opens the file for durable commits, and `check` raises StoreError where it is another one by now.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        check: Callable[[], None],
        explain: Callable[[Exception], StoreError],
        turn: anyio.Lock,
        wait_seconds: float,
    ) -> None:
        self._connect = connect
        self._check = check
        self._explain = explain
        self._turn = turn
        self._wait_seconds = wait_seconds
        self._thread = CapacityLimiter(1)  # its own, so that it waits for no other work in threads
        self._connection: sqlite3.Connection | None = None
        self._in_use = threading.Lock()  # also while the task that waits for the thread is ended by force
        self._end = ChainEnd(sqlite.dialect())

    async def write(self, appends: Sequence[Append], wait_so_far: float) -> Sequence[ClaimLost | None]:
        seconds = seconds_left(self._wait_seconds, wait_so_far)
        end_time = time.monotonic() + seconds
        try:
            with anyio.fail_after(seconds):
                await self._turn.acquire()
            try:
                return await to_thread.run_sync(self._write, appends, end_time, limiter=self._thread)
            finally:
                self._turn.release()
        except (sqlite3.Error, OSError) as error:
            raise self._explain(error) from None

    async def close(self) -> None:
        await to_thread.run_sync(self._close, limiter=self._thread)

    def _close(self) -> None:
        with self._in_use:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _write(self, appends: Sequence[Append], end_time: float) -> list[ClaimLost | None]:
        with self._in_use:
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            milliseconds = math.ceil(seconds_left(end_time, time.monotonic()) * 1000)
            connection.execute(f"PRAGMA busy_timeout = {milliseconds}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._check()
                return self._write_here(connection, appends)
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def _write_here(self, connection: sqlite3.Connection, appends: Sequence[Append]) -> list[ClaimLost | None]:
        end = self._end
        newest = connection.execute(end.newest.text, end.newest.values({})).fetchall()
        outcomes = [self._mark_sent(connection, append) for append in appends]
        rows = end.rows(newest, [append for append, outcome in zip(appends, outcomes, strict=True) if outcome is None])
        connection.executemany(end.insert.text, [end.insert.values(row) for row in rows])
        connection.execute("COMMIT")
        end.remember(newest, rows)
        return outcomes

    def _mark_sent(self, connection: sqlite3.Connection, append: Append) -> ClaimLost | None:
        if append.claim is None:
            return None
        marked = connection.execute(self._end.mark_sent.text, self._end.claim_values(append.claim)).rowcount
        return None if marked else self._end.claim_lost()
