"""Adds to the audit in PostgreSQL, with four messages to the server for a whole transaction."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import asyncpg  # type: ignore[import-untyped] # it ships annotations without saying so
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from roadster_server.store.errors import ClaimLost
from roadster_server.store.rows.audit.chain_end import ChainEnd
from roadster_server.store.waiting import seconds_left

from .database import Turn
from .driver import Append

_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class PostgresqlAppender:
    """Has a connection of its own. `connect` raises StoreError."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._turn = anyio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._end = ChainEnd(dialect())  # type: ignore[no-untyped-call]

    async def write(self, appends: Sequence[Append], seconds: float) -> Sequence[ClaimLost | None]:
        end_time = time.monotonic() + seconds
        async with self._turn:
            try:
                return await self._write(await self._begin(end_time), appends)
            except BaseException:
                # Whatever state the connection is in, a new one has none.
                connection, self._connection = self._connection, None
                if connection is not None:
                    connection.terminate()
                raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1)
            except _ERRORS:
                connection.terminate()

    async def _begin(self, end_time: float) -> asyncpg.Connection:
        """Returns a connection in a transaction that has the turn to append."""
        if self._connection is not None:
            try:
                await self._take_turn(self._connection, end_time)
            except (
                asyncpg.PostgresConnectionError,
                asyncpg.OperatorInterventionError,
                asyncpg.InterfaceError,
                OSError,
            ):
                # The server may have been started anew since. Nothing was done yet.
                if not self._connection.is_closed():
                    raise
            else:
                return self._connection
        self._connection = None
        self._connection = await self._connect()
        await self._take_turn(self._connection, end_time)
        return self._connection

    async def _take_turn(self, connection: asyncpg.Connection, end_time: float) -> None:
        milliseconds = round(seconds_left(end_time, time.monotonic()) * 1000)
        # Each statement sees what was committed while it waited for the lock: a server's default level may not.
        await connection.execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED; "
            f"SET LOCAL statement_timeout = {milliseconds}; "
            f"SELECT pg_advisory_xact_lock({Turn.APPEND.value})"
        )

    async def _write(self, connection: asyncpg.Connection, appends: Sequence[Append]) -> list[ClaimLost | None]:
        end = self._end
        newest = [tuple(row) for row in await connection.fetch(end.newest.text, *end.newest.values({}))]
        outcomes = [await self._mark_sent(connection, append) for append in appends]
        rows = end.rows(newest, [append for append, outcome in zip(appends, outcomes, strict=True) if outcome is None])
        if rows:
            await connection.executemany(end.insert.text, [end.insert.values(row) for row in rows])
        await connection.execute("COMMIT")
        end.remember(newest, rows)
        return outcomes

    async def _mark_sent(self, connection: asyncpg.Connection, append: Append) -> ClaimLost | None:
        if append.claim is None:
            return None
        status: Any = await connection.execute(self._end.mark_sent.text, *self._end.claim_values(append.claim))
        return self._end.claim_lost() if status == "UPDATE 0" else None
