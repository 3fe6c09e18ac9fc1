"""The store in a SQLite file: durability, locks, and a file that cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from roadster_server.store import StoreError, open_store
from roadster_server.store.databases.sqlite import open_sqlite
from roadster_server.store.sql import SqlStore, open_sql_store

from .databases import RECORD, fill, path_of, refusal, scalar

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_sqlite_file_is_private_to_its_user(sqlite_url: str) -> None:
    before = os.umask(0)
    try:
        async with open_store(sqlite_url) as store:
            await store.append(RECORD)
            folder = path_of(sqlite_url).parent
            assert {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == {
                "store.db": "0o600",
                "store.db-shm": "0o600",
                "store.db-wal": "0o600",
            }
            assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


async def test_sqlite_commit_is_on_the_disk_when_it_returns(sqlite_url: str) -> None:
    async with open_sql_store(sqlite_url) as store:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = {name: await store.database.write(scalar, f"PRAGMA {name}") for name in pragmas}
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 20_000}


async def test_sqlite_write_transaction_locks_from_its_beginning(sqlite_url: str) -> None:
    """It does so before the first statement, and for DDL. By default the driver would not begin a transaction."""
    async with open_sql_store(sqlite_url) as store:

        def begin_another(_connection: Connection) -> None:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                _begin_immediate(path_of(sqlite_url))

        def make_half(connection: Connection) -> None:
            connection.execute(text("CREATE TABLE half_made (x)"))
            raise RuntimeError

        await store.database.write(begin_another)
        with pytest.raises(RuntimeError):
            await store.database.write(make_half)
        assert not await store.database.read(scalar, "SELECT count(*) FROM sqlite_schema WHERE name = 'half_made'")


async def test_sqlite_open_waits_for_the_write_ahead_log(sqlite_url: str) -> None:
    """The first process switches a new file to its write-ahead log. SQLite does not make the second one wait."""
    path = path_of(sqlite_url)
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as first:
        first.execute("CREATE TABLE x (y)")
        first.execute("BEGIN IMMEDIATE")
        end_transaction = threading.Timer(0.1, first.execute, ["ROLLBACK"])
        end_transaction.start()
        async with open_store(sqlite_url) as store:
            await store.append(RECORD)
        end_transaction.join()


def _begin_immediate(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_sqlite_corrupt_file_is_refused(sqlite_url: str, content: bytes) -> None:
    path = path_of(sqlite_url)
    path.parent.mkdir()
    path.write_bytes(content)
    assert await refusal(sqlite_url) == (
        f"{path} is not a sound SQLite file; move it away to start anew, or put a backup in its place"
    )
    assert path.read_bytes() == content


async def test_sqlite_damaged_file_is_refused(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        await fill(store, 100)
    path = path_of(sqlite_url)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert "is not a sound SQLite file" in await refusal(sqlite_url)


async def test_sqlite_path_through_a_file_is_refused(sqlite_url: str) -> None:
    path = path_of(sqlite_url)
    path.parent.write_text("in the way")
    assert await refusal(sqlite_url) == f"{path} cannot be used (File exists); name another file with [store] url"


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder whose modes have an effect, even if the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def set_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_sqlite_unwritable_folder_or_file_is_refused(unprivileged_folder: Path) -> None:
    path = unprivileged_folder / "store.db"
    url = f"sqlite:///{path}"
    set_mode(path.parent, 0o500)
    assert await refusal(url) == f"{path} cannot be used (Permission denied); name another file with [store] url"
    set_mode(path.parent, 0o700)
    async with open_store(url):
        pass
    set_mode(path, 0o400)
    unwritable = f"{path} cannot be written; make the file and its folder writable for this user"
    assert await refusal(url) == unwritable
    set_mode(path, 0o600)
    set_mode(path.parent, 0o500)
    assert await refusal(url) == unwritable


async def test_sqlite_full_disk_leaves_the_chain_whole(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_store(sqlite_url) as store:
        await store.append(RECORD)

    def connect_to_full_disk(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size as the least
        return connection

    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect_to_full_disk)
        async with open_store(sqlite_url) as store:
            with pytest.raises(StoreError, match=r"the disk that holds .*store\.db is full; make room"):
                await fill(store, 100)
    async with open_store(sqlite_url) as store:
        assert (await store.verify()).first_broken is None
        await store.append(RECORD)


async def test_sqlite_locked_store_is_not_healthy(sqlite_url: str) -> None:
    async with open_store(sqlite_url):
        pass
    database = await open_sqlite(path_of(sqlite_url), wait_seconds=0.1)
    store = SqlStore(database)
    try:
        with closing(sqlite3.connect(path_of(sqlite_url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="was locked by another process"):
                await store.probe()
            with pytest.raises(StoreError, match="was locked by another process"):
                await store.append(RECORD)
        await store.probe()
    finally:
        await database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX's")
@pytest.mark.reliability("a disk that is full, at a probe", "`/readyz` says that the store takes no writes")
async def test_sqlite_probe_writes_so_a_full_disk_shows(sqlite_url: str) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    async with open_store(sqlite_url) as store:
        await store.probe()
        await store.append(RECORD)
        size = path_of(sqlite_url).with_name("store.db-wal").stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(StoreError):
                await store.probe()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await store.probe()


async def test_sqlite_probes_do_not_grow_the_store(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        await store.probe()
        pages = [await _page_count(store)]
        for _ in range(300):
            await store.probe()
        pages.append(await _page_count(store))
    assert pages[0] == pages[1]


async def _page_count(store: SqlStore) -> Any:
    return await store.database.read(scalar, "PRAGMA page_count")
