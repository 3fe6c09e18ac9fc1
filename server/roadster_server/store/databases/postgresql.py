"""The store in PostgreSQL, for servers on several machines.

No error's own text is passed on: messages quote parts of a mistyped URL, and the password can be among them.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
import asyncpg  # type: ignore[import-untyped] # it ships annotations without saying so
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from roadster_server.store.errors import ClaimLost, StoreBusy, StoreError
from roadster_server.store.waiting import seconds_left

from .database import Database
from .driver import Append
from .postgresql_appends import PostgresqlAppender

_ResultT = TypeVar("_ResultT")

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 30
"""A statement that takes longer, waits for locks included, fails."""
_CONNECTIONS = 9
"""One more adds to the audit."""
_LOCKED = ("57014", "55P03")
"""The states of a statement that took too long."""

_UNREACHABLE = "the store's PostgreSQL server cannot be reached; start it, or correct its address in [store] url"
_UNUSABLE = (
    "the store's URL cannot be used; write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, "
    "special characters as %XX"
)
_BY_STATE = {  # SQLSTATE, or the two digits of its class
    "08": _UNREACHABLE,
    "28": "the store's PostgreSQL server refused the user or the password; correct them in [store] url",
    "3D000": "the store's PostgreSQL server has no such database; create it, or correct [store] url",
    "42501": "the store's PostgreSQL user may not create or write its tables; grant it CREATE on its schema",
    "25006": "the store's PostgreSQL server is read-only; name the primary in [store] url",
    "53100": "the store's PostgreSQL server has a full disk; make room",
    "53300": "the store's PostgreSQL server has too many connections; raise max_connections",
    "57014": "the store's PostgreSQL server does not answer in time; see what holds it up, or correct [store] url",
    "57P01": _UNREACHABLE,
    "57P02": _UNREACHABLE,
    "57P03": _UNREACHABLE,
}


def open_postgresql(url: str) -> Database:
    """Returns the database. It connects later, when a transaction needs a connection."""

    async def connect(**_options: Any) -> asyncpg.Connection:
        # asyncpg reads the URL itself, because it knows all options of libpq's URLs, above all sslmode.
        try:
            return await asyncpg.connect(url, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS)
        except (asyncpg.PostgresError, OSError, ValueError, asyncpg.InterfaceError) as error:
            raise _error(error) from None

    return Database(_PostgresqlDriver(connect), _error, _STATEMENT_SECONDS)


class _PostgresqlDriver:
    """A `Driver` with a pool of connections, and one more that adds to the audit."""

    errors: tuple[type[Exception], ...] = (asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, connect: Callable[..., Awaitable[asyncpg.Connection]]) -> None:
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            # Appending to the chain reads the head after waiting for its turn, and must see what was committed
            # during the wait. A server's default level may not show that.
            isolation_level="READ COMMITTED",
            pool_size=_CONNECTIONS,
            max_overflow=0,
            hide_parameters=True,
        )
        self.engine = self._engine.sync_engine
        self._appender = PostgresqlAppender(connect)
        # Transactions queue here instead of in the pool, which would not wait less for a call that has waited before.
        self._places = anyio.Semaphore(_CONNECTIONS, fast_acquire=True)

    async def write(self, function: Callable[[Connection], _ResultT], seconds: float, *, is_durable: bool) -> _ResultT:
        return await self._run(function, seconds, is_durable=is_durable)

    async def read(self, function: Callable[[Connection], _ResultT], seconds: float) -> _ResultT:
        return await self._run(function, seconds, is_durable=True)

    async def _run(self, function: Callable[[Connection], _ResultT], seconds: float, *, is_durable: bool) -> _ResultT:
        end_time = time.monotonic() + seconds
        with anyio.fail_after(seconds):
            await self._places.acquire()
        try:
            try:
                return await self._attempt(function, end_time, is_durable)
            except _ConnectionLost:
                # The server may have been started anew since the last transaction. The pool has a new connection now.
                return await self._attempt(function, end_time, is_durable)
        except _ConnectionLost:
            raise StoreError(_UNREACHABLE) from None
        finally:
            self._places.release()

    async def _attempt(self, function: Callable[[Connection], _ResultT], end_time: float, is_durable: bool) -> _ResultT:
        async with self._engine.begin() as connection:
            return await connection.run_sync(_run, function, end_time, is_durable)

    async def append(self, appends: Sequence[Append], seconds: float) -> Sequence[ClaimLost | None]:
        return await self._appender.write(appends, seconds)

    async def close(self) -> None:
        await self._appender.close()
        await self._engine.dispose()


class _ConnectionLost(Exception):
    """The connection was lost before the commit, so nothing was done."""


def _run(
    connection: Connection, function: Callable[[Connection], _ResultT], end_time: float, is_durable: bool
) -> _ResultT:
    try:
        if not is_durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        # Only a call that has waited before pays for another statement.
        seconds = seconds_left(end_time, time.monotonic())
        if seconds < _STATEMENT_SECONDS - 1:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
        return function(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _ConnectionLost from None
        raise


def _error(error: Exception) -> StoreError:
    # The other errors of time may come after the commit.
    busy = _state(error) in _LOCKED
    return StoreBusy(_explain(error), _STATEMENT_SECONDS) if busy else StoreError(_explain(error))


def _state(error: Exception) -> str | None:
    state: str | None = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)
    return state


def _explain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the store's PostgreSQL server does not answer in time; see what holds it up, or correct [store] url"
    if isinstance(error, ssl.SSLError):
        return "TLS with the store's PostgreSQL server failed; correct sslmode or sslrootcert in [store] url"
    if isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return _UNREACHABLE
    state = _state(error)
    if state is None:
        return _UNUSABLE
    return (
        _BY_STATE.get(state)
        or _BY_STATE.get(state[:2])
        or (f"the store's PostgreSQL server failed with SQLSTATE {state}; see its log")
    )
