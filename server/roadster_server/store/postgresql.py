"""The store in PostgreSQL: for servers on several machines.

No text of an error is passed on: the parts of a mistyped URL, its password among them, end up in places
that messages quote.
"""

from __future__ import annotations

import ssl
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from .database import Database
from .records import StoreError

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 30
_UNREACHABLE = "the store's PostgreSQL server cannot be reached; start it, or correct its address in [store] url"


def open_postgresql(url: str) -> Database:
    async def connect(**_options: Any) -> asyncpg.Connection:
        # asyncpg reads the URL itself: it knows all that libpq's URLs may say, sslmode above all.
        try:
            return await asyncpg.connect(url, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS)
        except (asyncpg.PostgresError, OSError, ValueError, asyncpg.InterfaceError) as error:
            raise StoreError(_explain(error)) from None

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        # The append of the chain looks for its head after it has waited for its turn, and must see what
        # was committed while it waited: a server's default may be a level that does not.
        isolation_level="READ COMMITTED",
        pool_size=10,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    return Database(engine, _explain)


def _explain(error: Exception) -> str:
    if isinstance(error, PoolTimeout):
        return "the store's PostgreSQL server is too slow for the calls that come; see what holds it up"
    if isinstance(error, ssl.SSLError):
        return "TLS with the store's PostgreSQL server failed; correct sslmode or sslrootcert in [store] url"
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(cause, "sqlstate", None) or "")
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    if isinstance(error, OSError) or invalidated or state.startswith(("08", "57P")):
        return _UNREACHABLE
    if state.startswith("28"):
        return "the store's PostgreSQL server refused the user or the password; correct them in [store] url"
    match state:
        case "":
            return (
                "the store's URL cannot be used; write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, "
                "special characters as %XX"
            )
        case "3D000":
            return "the store's PostgreSQL server has no such database; create it, or correct [store] url"
        case "42501":
            return "the store's PostgreSQL user may not create or write its tables; grant it CREATE on its schema"
        case "25006":
            return "the store's PostgreSQL server is read-only; name the primary in [store] url"
        case "53100":
            return "the store's PostgreSQL server has a full disk; make room"
        case "53300":
            return "the store's PostgreSQL server has too many connections; raise max_connections"
    return f"the store's PostgreSQL server failed with SQLSTATE {state}; see its log"
