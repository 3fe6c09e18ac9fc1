"""The store in a SQLite file, for a laptop, or for one server and its workers on one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from anyio import to_thread
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from roadster_server.store.errors import StoreBusy, StoreError, UnreadableText

from .database import Database
from .sqlite_driver import SqliteDriver

_WAIT_SECONDS = 20.0
"""How long to wait for another process's transaction. Each takes milliseconds."""


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
    driver = SqliteDriver(partial(_connect, path, wait_seconds), partial(_require_same, path, identity))
    return Database(driver, explain, wait_seconds)


def _connect(path: Path, wait_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # otherwise a deleted customer's data stay in free pages
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


def _is_unreadable_text(error: Exception) -> bool:
    """Returns whether sqlite3 failed to decode a text. This error has no code of its own."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.OperationalError) and "decode to UTF-8" in str(cause)


def _is_busy(error: Exception) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    is_locked = _primary_code(cause) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return is_locked or isinstance(error, TimeoutError)


def _primary_code(error: object) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _explain(path: Path, error: Exception, wait_seconds: float) -> str:
    if isinstance(error, TimeoutError):
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
