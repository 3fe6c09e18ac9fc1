"""An online backup of the store in a SQLite file. A plain copy lacks what is still in the write-ahead log."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

from .errors import StoreError

_SQLITE = "sqlite:///"
_WAIT_SECONDS = 20.0
"""Seconds to wait for another process's lock. In WAL mode a reader waits only while a file is recovered."""


def back_up_store(url: str, target: Path, *, overwrite: bool = False) -> None:
    """Writes the store at `url`, as it is at one moment, to the file `target`. Others may write to the store meanwhile.

    The file is written whole or not at all, and only its owner can read it. Raises StoreError, also where `target`
    exists and is not to be overwritten.
    """
    if not url.startswith(_SQLITE):
        raise StoreError(
            "the store is a PostgreSQL database, which has its own tool; back it up with "
            f"pg_dump --format=custom --table='roadster_*' --file={target} DATABASE_URL"
        )
    source = Path(url.removeprefix(_SQLITE))
    if not source.is_file():
        raise StoreError(f"there is no store at {source}; correct [store] url")
    try:
        _refuse_to_replace(target, source, overwrite=overwrite)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # with mode 0600
        os.close(descriptor)
        copy = Path(name)
        try:
            _copy(source, copy)
            _refuse_to_replace(target, source, overwrite=overwrite)  # it may have come meanwhile
            copy.replace(target)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
    except sqlite3.Error as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StoreError(f"{source} could not be backed up to {target} ({reason}); nothing was written") from None
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({type(error).__name__}); name another file") from None


def _refuse_to_replace(target: Path, source: Path, *, overwrite: bool) -> None:
    if target.exists() and target.samefile(source):
        raise StoreError(f"{target} is the store itself; name another file")
    for log in (Path(f"{target}-wal"), Path(f"{target}-journal")):
        if log.exists():
            # SQLite would read it as a part of the new file.
            raise StoreError(f"{log} exists, so a program uses {target} or was killed; name another file")
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise StoreError(f"{target} exists already; name another file, or overwrite it with --force")
    if not stat.S_ISREG(target.lstat().st_mode):
        raise StoreError(f"{target} is not a plain file, so it is not replaced; name another file")


def _copy(source: Path, copy: Path) -> None:
    # Not read-only: SQLite may have to recover the write-ahead log of a server that was killed.
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS)) as store,
        closing(sqlite3.connect(copy)) as backup,
    ):
        if not store.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'roadster_audit'").fetchone()[0]:
            raise StoreError(f"{source} holds no store; correct [store] url")
        store.backup(backup)  # in one step: a write in between would make several steps begin anew
    with copy.open("rb+") as file:  # Windows only flushes a file that is open for writing
        os.fsync(file.fileno())
