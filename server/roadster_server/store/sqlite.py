"""The store in a SQLite file, for a laptop, or for one server and its workers on one machine."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from .database import DURABLE, WAIT_SECONDS, WRITING, Database
from .records import StoreBusy, StoreError, UnreadableText
from .sqlite_appends import SqliteAppender

_WAIT_SECONDS = 20.0
"""How long to wait for another process's transaction. Each takes milliseconds."""

_SYNCHRONOUS = {True: "PRAGMA synchronous = FULL", False: "PRAGMA synchronous = NORMAL"}
"""For commits that are durable, and for others. In WAL mode, NORMAL can lose the newest commits in a power cut."""


async def open_sqlite(path: Path, *, wait_seconds: float = _WAIT_SECONDS) -> Database:
    """Opens the file, and makes it if it is missing. Raises StoreError."""

    def explain(error: Exception) -> StoreError:
        text = _explain(path, error, wait_seconds)
        if _is_unreadable_text(error):
            return UnreadableText(text)
        return StoreBusy(text, wait_seconds) if _is_busy(error) else StoreError(text)

    try:
        identity = await to_thread.run_sync(_prepare, path, wait_seconds)
    except (sqlite3.Error, OSError) as error:
        raise explain(error) from None
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": wait_seconds},
        # One connection: SQLite has one writer. In a pool's queue writers wait in order, at the file's lock
        # they do not. A read is one page and takes some milliseconds.
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "begin", lambda _connection: _require_same(path, identity))
    turn = anyio.Lock()
    appender = SqliteAppender(
        lambda: _open_to_append(path), lambda: _require_same(path, identity), explain, turn, wait_seconds
    )
    return Database(engine, explain, wait_seconds, connections=1, appender=appender, turn=turn)


def _open_to_append(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    _configure(connection, None)
    return connection


def _prepare(path: Path, wait_seconds: float) -> tuple[int, int]:
    """Makes the file, switches it to a write-ahead log, and returns its `_identity`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Create the file if it is missing, but never open it: closing a second descriptor of the file would drop
    # the locks that SQLite holds on it elsewhere in this process.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    deadline = time.monotonic() + wait_seconds
    with closing(sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)) as connection:
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                # SQLite does not wait for a lock in this one statement.
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                break
    if mode != "wal":
        raise StoreError(f"{path} is where SQLite cannot keep a write-ahead log; name a file on a local disk")
    return _identity(path)


def _identity(path: Path) -> tuple[int, int]:
    """Returns numbers that no other file on this machine has."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _require_same(path: Path, identity: tuple[int, int]) -> None:
    # A file that was removed or replaced stays open here, and takes records that nobody will ever read.
    try:
        same = _identity(path) == identity
    except OSError:
        same = False
    if not same:
        raise StoreError(f"{path} was removed or replaced under the server; restore it and restart")


def _configure(connection: Any, _record: object) -> None:
    # By default the driver begins a transaction only before some statements, and never for DDL or SELECT.
    # This and `_begin` are SQLAlchemy's documented way to have real transactions.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(_SYNCHRONOUS[True])
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # otherwise a deleted customer's data stay in free pages
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and then writes cannot wait for the lock: it fails if another has
    # written meanwhile. So a transaction that will write takes the lock at once.
    options = connection.get_execution_options()
    milliseconds = math.ceil(options[WAIT_SECONDS] * 10) * 100
    if connection.info.get(WAIT_SECONDS) != milliseconds:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")
        connection.info[WAIT_SECONDS] = milliseconds
    durable = options.get(DURABLE, True)
    if connection.info.get(DURABLE, True) != durable:
        connection.exec_driver_sql(_SYNCHRONOUS[durable])
        connection.info[DURABLE] = durable
    writing = options.get(WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _is_unreadable_text(error: Exception) -> bool:
    """Returns whether sqlite3 failed to decode a text. This error has no code of its own."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.OperationalError) and "decode to UTF-8" in str(cause)


def _is_busy(error: Exception) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    is_locked = _primary_code(cause) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return is_locked or isinstance(error, PoolTimeout | TimeoutError)


def _primary_code(error: object) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _explain(path: Path, error: Exception, wait_seconds: float) -> str:
    if isinstance(error, PoolTimeout | TimeoutError):
        return f"{path} was busy for too long; see what else is using it"
    if _is_unreadable_text(error):
        return f"{path} holds a text that no server wrote; keep the file, and put a backup in its place"
    cause = error.orig if isinstance(error, DBAPIError) else error
    match _primary_code(cause):
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return f"{path} is not a sound SQLite file; move it away to start anew, or put a backup in its place"
        case sqlite3.SQLITE_FULL:
            return f"the disk that holds {path} is full; make room"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return f"{path} cannot be written; make the file and its folder writable for this user"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} was locked by another process for {wait_seconds:g} s; end that process"
    if isinstance(cause, OSError):
        return f"{path} cannot be used ({cause.strerror or type(cause).__name__}); name another file with [store] url"
    name = getattr(cause, "sqlite_errorname", type(cause or SQLAlchemyError).__name__)
    return f"{path} cannot be used ({name}); name another file with [store] url"
