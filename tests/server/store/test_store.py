"""The store, on SQLite and on PostgreSQL. Time is what a test says it is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event, text

from roadster_server.store import (
    AuditRecord,
    Claim,
    ClaimLost,
    Conflict,
    InProgress,
    Replay,
    StoreError,
    Unknown,
    default_url,
    open_store,
)
from roadster_server.store.sql import SqlStore, open_sql_store
from roadster_server.store.sqlite import open_sqlite
from roadster_server.store.tables import SCHEMA, VERSION_TABLE, audit, metadata

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORD = AuditRecord(
    call_id="c-1",
    phase="ended",
    time=NOON,
    caller="sales-bot",
    client="claude/1.0",
    protocol="2026-07-28",
    tool="create_customer",
    dealer="umazda",
    verdict="allowed",
    setting="callers.sales-bot.access.customers",
    outcome="done",
    upstream_request_id="req-7",
    latency_ms=120,
    arguments={"vin": "ab12", "customer": "cd34"},
)
REFUSED = replace(
    RECORD, call_id="c-2", dealer=None, verdict="refused", upstream_request_id=None, latency_ms=None, arguments={}
)


# Databases


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path.as_posix()}/state/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> str:
    """A database without tables, of either kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgresql_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty store, of either kind."""
    url: str = request.getfixturevalue("store_url" if request.param == "sqlite" else "postgresql_url")
    return url


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    async with open_store(url) as opened_store:
        yield opened_store


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


async def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What someone does who has the database and not this program."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(path_of(url), isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def lift_protection(url: str) -> None:
    if url.startswith("sqlite"):
        for kind in ("update", "delete", "replace"):
            await execute(url, f"DROP TRIGGER roadster_audit_{kind}")
    else:
        await execute(url, "ALTER TABLE roadster_audit DISABLE TRIGGER ALL")


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def fill(store: SqlStore, count: int) -> None:
    for number in range(1, count + 1):
        await store.append(replace(RECORD, call_id=f"c-{number}", time=NOON + timedelta(minutes=number)))


# Opening


def test_importing_the_store_does_not_import_sqlalchemy() -> None:
    """The start of a stdio server stays lean; nor does opening bring the other kind's driver, or alembic twice."""
    code = "import sys, roadster_server.store; print([m for m in ('sqlalchemy', 'alembic') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_opening_an_up_to_date_store_does_without_alembic_and_the_other_driver(sqlite_url: str) -> None:
    code = """
import sys, anyio
from roadster_server.store import open_store
async def main():
    async with open_store(sys.argv[1]):
        print([m for m in ("alembic", "asyncpg") if m in sys.modules])
anyio.run(main)
"""
    run = [sys.executable, "-c", code, sqlite_url]
    subprocess.run(run, capture_output=True, check=True)
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_the_migrations_make_what_the_tables_say(new_url: str) -> None:
    async with open_sql_store(new_url) as store, store.database.reading() as connection:

        def differences(sync: Any) -> list[Any]:
            return compare_metadata(MigrationContext.configure(sync, opts={"version_table": VERSION_TABLE}), metadata)

        assert await connection.run_sync(differences) == []
        assert await connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == SCHEMA


async def test_what_is_stored_is_there_after_reopening(url: str) -> None:
    async with open_store(url) as store:
        await store.append(RECORD)
    async with open_store(url) as store:
        assert [stored.record async for stored in store.records()] == [RECORD]


async def test_a_delivery_is_one_dealers_and_an_order_and_a_customer_may_be_of_several(store: SqlStore) -> None:
    """Of deliveries claimed at once, too: exactly one dealer has it, and may say so again."""
    told: dict[str, bool] = {}

    async def claim(dealer: str) -> None:
        told[dealer] = await store.add_owned(dealer, "delivery", "7")

    async with anyio.create_task_group() as tasks:
        for dealer in "abcdef":
            tasks.start_soon(claim, dealer)
    (owner,) = [dealer for dealer, has in told.items() if has]
    assert await store.add_owned(owner, "delivery", "7")
    assert [dealer for dealer in "abcdef" if await store.belongs(dealer, "delivery", "7")] == [owner]
    for kind in ("order", "customer"):
        assert await store.add_owned("a", kind, "7")
        assert await store.add_owned("b", kind, "7")


async def test_a_delivery_that_an_older_store_has_twice_stays_with_the_first_dealer(url: str) -> None:
    async with open_store(url) as store:
        await store.add_owned("a", "delivery", "8")
    await execute(url, "DROP INDEX roadster_belongings_delivery")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0003'")
    for row in (
        "'b', 'delivery', '7', 2",
        "'a', 'delivery', '7', 3",
        "'c', 'delivery', '7', 2",
        "'z', 'order', '7', 1",
    ):
        await execute(url, f"INSERT INTO roadster_belongings (dealer, kind, id, added) VALUES ({row})")
    async with open_store(url) as store:
        owners = [dealer for dealer in "abc" if await store.belongs(dealer, "delivery", "7")]
        assert owners == ["b"]
        assert await store.belongs("a", "delivery", "8")
        assert await store.belongs("z", "order", "7")
        assert not await store.add_owned("a", "delivery", "7")


OPEN_AND_APPEND = """
import sys, anyio
from dataclasses import replace
from datetime import datetime, UTC
from roadster_server.store import AuditRecord, open_store
async def main(url, name, count):
    async with open_store(url) as store:
        for number in range(int(count)):
            await store.append(AuditRecord(f"{name}-{number}", "ended", datetime.now(UTC), "sales-bot", "", "", "t",
                                           None, "allowed", "", "done", None, None, {}))
anyio.run(main, *sys.argv[1:])
"""


async def test_a_new_store_may_be_opened_many_times_at_once(new_url: str) -> None:
    async def open_and_append() -> None:
        async with open_store(new_url) as store:
            await store.append(RECORD)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(open_and_append)
    async with open_store(new_url) as store:
        assert (await store.verify()).count == 8


async def test_several_new_stores_may_be_opened_at_once(tmp_path: Path) -> None:
    """Each gets its own tables, although what makes them is one for the whole process."""

    async def open_and_append(number: int) -> None:
        async with open_store(f"sqlite:///{tmp_path / f'{number}.db'}") as store:
            await store.append(RECORD)
            assert (await store.verify()).count == 1

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(open_and_append, number)


async def test_several_processes_may_open_a_new_store_at_once_and_keep_one_chain(new_url: str) -> None:
    processes = [start(OPEN_AND_APPEND, new_url, name, "25") for name in "abc"]
    stderr = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], stderr
    async with open_store(new_url) as store:
        found = await store.verify()
        assert (found.count, found.first_broken) == (75, None)
        names = [stored.record.call_id async for stored in store.records()]
    assert {name: [n for n in names if n.startswith(name)] for name in "abc"} == {
        name: [f"{name}-{number}" for number in range(25)] for name in "abc"
    }


async def test_a_newer_schema_is_refused(url: str) -> None:
    async with open_store(url):
        pass
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match="made by a newer roadster-mcp; install that version"):
        async with open_store(url):
            pass


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "store.db",
        "mysql://root:hunter2@h/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "postgresql:/u:hunter2@h",
        "hunter2",
    ],
)
async def test_a_url_of_another_kind_is_refused(wrong: str) -> None:
    with pytest.raises(StoreError, match="neither sqlite:///PATH nor postgresql://") as refused:
        async with open_store(wrong):
            pass
    assert "hunter2" not in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="platformdirs knows the folders of the other systems")
def test_default_url_is_in_the_folder_for_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/steve")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_url() == "sqlite:////home/steve/.local/state/roadster-mcp/store.db"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_url() == "sqlite:////state/roadster-mcp/store.db"


@pytest.mark.skipif(sys.platform != "linux", reason="platformdirs knows the folders of the other systems")
def test_default_url_without_a_home_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user is a bare number."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(StoreError, match=r"no home folder .* name a place with \[store\] url"):
        default_url()


# SQLite's file


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_the_file_is_its_users_alone(sqlite_url: str) -> None:
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


async def test_a_commit_is_on_the_disk_before_it_is_acknowledged(sqlite_url: str) -> None:
    async with open_sql_store(sqlite_url) as store, store.database.reading() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: await connection.scalar(text(f"PRAGMA {name}")) for name in pragmas}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 20_000}


async def test_a_write_transaction_holds_the_lock_from_its_beginning(sqlite_url: str) -> None:
    """Also for DDL and before the first statement: the driver left to itself would not begin one."""
    async with open_sql_store(sqlite_url) as store:
        async with store.database.writing():
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await anyio.to_thread.run_sync(_begin_immediate, path_of(sqlite_url))
        with suppress(RuntimeError):
            async with store.database.writing() as connection:
                await connection.execute(text("CREATE TABLE half_made (x)"))
                raise RuntimeError
        async with store.database.reading() as connection:
            assert not await connection.scalar(text("SELECT count(*) FROM sqlite_schema WHERE name = 'half_made'"))


async def test_opening_waits_where_sqlite_does_not(sqlite_url: str) -> None:
    """A new file is switched to its write-ahead log by whoever comes first; SQLite refuses the second at once."""
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


async def refusal(url: str) -> str:
    with pytest.raises(StoreError) as refused:
        async with open_store(url) as store:
            await store.append(RECORD)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_corrupt_file_is_refused(sqlite_url: str, content: bytes) -> None:
    path = path_of(sqlite_url)
    path.parent.mkdir()
    path.write_bytes(content)
    assert await refusal(sqlite_url) == (
        f"{path} is not a sound SQLite file; move it away to start anew, or put a backup in its place"
    )
    assert path.read_bytes() == content


async def test_a_file_damaged_in_the_middle_is_noticed(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        await fill(store, 100)
    path = path_of(sqlite_url)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert "is not a sound SQLite file" in await refusal(sqlite_url)


async def test_a_path_through_a_file_is_refused(sqlite_url: str) -> None:
    path = path_of(sqlite_url)
    path.parent.write_text("in the way")
    assert await refusal(sqlite_url) == f"{path} cannot be used (File exists); name another file with [store] url"


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder whose modes count, also where the tests run as root."""
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
async def test_a_folder_or_a_file_that_is_not_writable_is_refused(unprivileged_folder: Path) -> None:
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


async def test_a_full_disk_is_an_error_and_leaves_the_chain_whole(sqlite_url: str) -> None:
    async with open_store(sqlite_url) as store:
        await store.append(RECORD)

    def fill_disk(connection: Any, _record: object) -> None:
        connection.cursor().execute("PRAGMA max_page_count = 1")  # SQLite takes the present size as the least

    event.listen(Engine, "connect", fill_disk)
    try:
        async with open_store(sqlite_url) as store:
            with pytest.raises(StoreError, match=r"the disk that holds .*store\.db is full; make room"):
                await fill(store, 100)
    finally:
        event.remove(Engine, "connect", fill_disk)
    async with open_store(sqlite_url) as store:
        assert (await store.verify()).first_broken is None
        await store.append(RECORD)


async def test_a_store_that_is_locked_is_not_healthy(sqlite_url: str) -> None:
    async with open_store(sqlite_url):
        pass
    database = await open_sqlite(path_of(sqlite_url), wait_seconds=0.1)
    store = SqlStore(database)
    try:
        with closing(sqlite3.connect(path_of(sqlite_url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert not await store.healthy()
            with pytest.raises(StoreError, match="was locked by another process"):
                await store.append(RECORD)
        assert await store.healthy()
    finally:
        await database.engine.dispose()


# PostgreSQL's server


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/db", "cannot be reached"),
        ("postgresql://u:hunter2@no-such-host.invalid/db", "cannot be reached"),
        ("postgresql://u:p@hunter2/w@127.0.0.1:1/db", "cannot be reached"),
        ("postgresql://u:hunter2#@127.0.0.1/db", "cannot be used"),
        ("postgresql://u:x/hunter2@127.0.0.1/db", "cannot be used"),
        ("postgresql://u:[hunter2@127.0.0.1/db", "cannot be used"),
        ("postgresql://u@127.0.0.1:1/db?password=hunter2&sslmode=hunter2", "cannot be used"),
    ],
)
async def test_a_server_that_does_not_answer_is_an_error_without_the_password(wrong: str, message: str) -> None:
    told = await refusal(wrong)
    assert message in told
    assert "[store] url" in told or "write it as" in told
    assert "hunter2" not in told


async def test_a_missing_database_and_a_user_without_rights_are_told(new_postgresql_url: str) -> None:
    url = urlsplit(new_postgresql_url)
    assert "has no such database; create it" in await refusal(url._replace(path=f"{url.path}_missing").geturl())
    role = f"reader_{uuid.uuid4().hex}"
    await execute(new_postgresql_url, f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    try:
        server = url.netloc.rpartition("@")[2]
        told = await refusal(url._replace(netloc=f"{role}:hunter2@{server}").geturl())
        assert told == "the store's PostgreSQL user may not create or write its tables; grant it CREATE on its schema"
    finally:
        await execute(new_postgresql_url, f"DROP ROLE {role}")


async def test_a_server_that_goes_away_is_noticed_and_its_return_too(
    postgresql_url: str, postgresql_server: str
) -> None:
    name = urlsplit(postgresql_url).path.removeprefix("/")
    async with open_store(postgresql_url) as store:
        assert await store.healthy()
        await execute(postgresql_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        await execute(postgresql_server, kill)
        assert not await store.healthy()
        with pytest.raises(StoreError):
            await store.append(RECORD)
        await execute(postgresql_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert await store.healthy()
        await store.append(RECORD)


# Audit


async def test_records_come_back_as_they_were_in_order(store: SqlStore) -> None:
    await store.append(RECORD)
    await store.record_sent(REFUSED, None)
    found = [stored async for stored in store.records()]
    assert [(stored.seq, stored.record) for stored in found] == [(1, RECORD), (2, REFUSED)]
    assert (await store.verify()).head == found[-1].hash


async def test_an_empty_chain_is_sound(store: SqlStore) -> None:
    found = await store.verify()
    assert (found.count, found.head, found.first_broken) == (0, "0" * 64, None)
    assert [stored async for stored in store.records(last=5)] == []


async def test_a_chain_can_be_checked_without_this_program(store: SqlStore, url: str) -> None:
    """As the module's documentation says: each hash over the one before and the row as sorted, compact JSON."""
    await fill(store, 3)
    columns = [column.name for column in audit.columns]
    previous = "0" * 64
    for row in await execute(url, f"SELECT {', '.join(columns)} FROM roadster_audit ORDER BY seq"):
        content = dict(zip(columns, row, strict=True))
        stored = content.pop("hash")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256((previous + canonical).encode()).hexdigest()
        assert stored == previous
    assert (await store.verify()).head == previous


async def test_since_and_last_choose_records_across_pages(store: SqlStore) -> None:
    store = replace(store, page_rows=3)
    await fill(store, 10)

    async def chosen(**choice: Any) -> list[int]:
        return [stored.seq async for stored in store.records(**choice)]

    assert await chosen() == list(range(1, 11))
    assert await chosen(last=4) == [7, 8, 9, 10]
    assert await chosen(last=99) == list(range(1, 11))
    assert await chosen(last=0) == []
    assert await chosen(since=NOON + timedelta(minutes=6)) == [6, 7, 8, 9, 10]
    assert await chosen(since=NOON + timedelta(minutes=6), last=2) == [9, 10]
    found = await store.verify()
    assert (found.count, found.first_broken) == (10, None)


async def test_a_reader_who_stops_early_holds_nothing(store: SqlStore) -> None:
    await fill(store, 3)
    async for _ in store.records():
        await store.append(RECORD)
        break
    await store.append(RECORD)
    assert (await store.verify()).count == 5


async def test_appends_at_once_make_one_chain(url: str) -> None:
    async with open_store(url) as one, open_store(url) as other, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon((one if number % 2 else other).append, RECORD)
    async with open_store(url) as store:
        found = await store.verify()
    assert (found.count, found.first_broken) == (20, None)


async def test_a_change_of_any_column_breaks_the_chain_there(store: SqlStore, url: str) -> None:
    await fill(store, 5)
    await lift_protection(url)
    for column in audit.columns:
        name = column.name
        [(before,)] = await execute(url, f"SELECT {name} FROM roadster_audit WHERE seq = 3")
        after = f"-{before}" if isinstance(before, int) else f"'{before[:-1]}~'"
        key = f"-{before}" if name == "seq" else "3"
        await execute(url, f"UPDATE roadster_audit SET {name} = {after} WHERE seq = 3")
        assert (await store.verify()).first_broken == (1 if name == "seq" else 3), name
        restored = before if isinstance(before, int) else f"'{before}'"
        await execute(url, f"UPDATE roadster_audit SET {name} = {restored} WHERE seq = {key}")
        assert (await store.verify()).first_broken is None, name


async def test_a_column_emptied_breaks_the_chain(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET dealer = NULL WHERE seq = 2")
    assert (await store.verify()).first_broken == 2


async def test_a_record_that_cannot_be_read_any_more_is_an_error(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET time = 'yesterday' WHERE seq = 2")
    with pytest.raises(StoreError, match="audit record 2 was changed and cannot be read"):
        assert [stored async for stored in store.records()]
    assert (await store.verify()).first_broken == 2


def columns_but_seq() -> str:
    return ", ".join(column.name for column in audit.columns if column.name != "seq")


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        (["DELETE FROM roadster_audit WHERE seq = 4"], 4),
        (["DELETE FROM roadster_audit WHERE seq = 1"], 1),
        (
            [
                "DELETE FROM roadster_audit WHERE seq = 4",
                "UPDATE roadster_audit SET seq = 4 WHERE seq = 5",
                "UPDATE roadster_audit SET seq = 5 WHERE seq = 6",
            ],
            4,
        ),
        (
            [
                "UPDATE roadster_audit SET seq = 100 WHERE seq = 2",
                "UPDATE roadster_audit SET seq = 2 WHERE seq = 3",
                "UPDATE roadster_audit SET seq = 3 WHERE seq = 100",
            ],
            2,
        ),
        ([f"INSERT INTO roadster_audit SELECT 7, {columns_but_seq()} FROM roadster_audit WHERE seq = 6"], 7),
        ([f"INSERT INTO roadster_audit SELECT 0, {columns_but_seq()} FROM roadster_audit WHERE seq = 1"], 1),
        ([f"INSERT INTO roadster_audit SELECT 10000000000, {columns_but_seq()} FROM roadster_audit WHERE seq = 6"], 7),
    ],
    ids=["removed", "first removed", "removed and closed up", "reordered", "added", "put before", "put far behind"],
)
async def test_a_record_removed_moved_or_inserted_breaks_the_chain(
    store: SqlStore, url: str, tampering: list[str], broken: int
) -> None:
    store = replace(store, page_rows=3)
    await fill(store, 6)
    await lift_protection(url)
    for statement in tampering:
        await execute(url, statement)
    assert (await store.verify()).first_broken == broken


async def test_a_duplicate_number_cannot_hide_between_two_pages(
    postgresql_url: str,
) -> None:
    async with open_sql_store(postgresql_url) as opened:
        store = replace(opened, page_rows=3)
        await fill(store, 6)
        await execute(postgresql_url, "ALTER TABLE roadster_audit DROP CONSTRAINT roadster_audit_pkey")
        await execute(postgresql_url, "INSERT INTO roadster_audit SELECT * FROM roadster_audit WHERE seq = 3")
        assert (await store.verify()).first_broken == 4


async def test_a_tail_that_was_cut_off_shows_in_the_head_hash(store: SqlStore, url: str) -> None:
    """And in nothing else: that is why the head is reported, to be noted elsewhere."""
    await fill(store, 6)
    noted = await store.verify()
    await lift_protection(url)
    await execute(url, "DELETE FROM roadster_audit WHERE seq > 4")
    found = await store.verify()
    assert (found.count, found.first_broken) == (4, None)
    assert found.head != noted.head


async def test_the_database_itself_refuses_to_change_a_record(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    statements = ["UPDATE roadster_audit SET tool = 'x' WHERE seq = 1", "DELETE FROM roadster_audit WHERE seq = 2"]
    if url.startswith("sqlite"):
        statements.append(f"REPLACE INTO roadster_audit SELECT 1, {columns_but_seq()} FROM roadster_audit")
    else:
        statements.append("TRUNCATE roadster_audit")
    for statement in statements:
        with pytest.raises((sqlite3.IntegrityError, asyncpg.RaiseError), match="append-only"):
            await execute(url, statement)
    assert (await store.verify()).count == 2


async def test_text_that_no_database_stores_does_not_keep_a_call_from_being_recorded(store: SqlStore) -> None:
    await store.append(replace(RECORD, client="evil\0\ud800 ☃", arguments={"a\0": "\ud800"}))
    [stored] = [stored async for stored in store.records()]
    assert stored.record.client == "evil\\x00\\ud800 ☃"
    assert stored.record.arguments == {"a\0": "\ud800"}
    assert (await store.verify()).first_broken is None


async def test_a_cancelled_call_is_recorded_all_the_same(store: SqlStore) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append(RECORD)
        claim = await store.claim("s", "a", now=NOON)
        assert isinstance(claim, Claim)
        await store.release(claim)
    assert [stored.record async for stored in store.records()] == [RECORD]
    assert isinstance(await store.claim("s", "a", now=NOON), Claim)


SEND_UNTIL_KILLED = """
import sys, anyio, itertools
from datetime import datetime, UTC
from roadster_server.store import AuditRecord, open_store
async def main(url, name):
    async with open_store(url) as store:
        for number in itertools.count():
            key, now = f"{name}-{number}", datetime.now(UTC)
            claim = await store.claim(key, "a", now=now)
            await store.record_sent(AuditRecord(key, "sent", now, "sales-bot", "", "", "t",
                                                None, "allowed", "", "", None, None, {}), claim)
            print(key, flush=True)
anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_what_was_acknowledged_survives_the_death_of_the_process(url: str) -> None:
    """With its claim: the next call with the key is told that the outcome is unknown, and does not send again."""
    for name in ("first", "second"):
        process = start(SEND_UNTIL_KILLED, url, name)
        assert process.stdout
        acknowledged = [process.stdout.readline().strip() for _ in range(10)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.communicate()[0].splitlines()
        later = datetime.now(UTC) + timedelta(minutes=3)
        async with open_store(url) as store:
            assert (await store.verify()).first_broken is None
            assert set(acknowledged) <= {stored.record.call_id async for stored in store.records()}
            for key in acknowledged:
                assert await store.claim(key, "a", now=later) == Unknown()


# Idempotency


async def claimed(store: SqlStore, *, scope: str = "s", arguments: str = "a", now: datetime = NOON) -> Claim:
    claim = await store.claim(scope, arguments, now=now)
    assert isinstance(claim, Claim)
    return claim


async def test_a_finished_call_is_replayed_for_a_day(store: SqlStore) -> None:
    claim = await claimed(store)
    await store.record_sent(RECORD, claim)
    await store.finish(claim, b'{"id": "\x00"}')
    day = timedelta(hours=24)
    assert await store.claim("s", "a", now=NOON) == Replay(b'{"id": "\x00"}')
    assert await store.claim("s", "a", now=NOON + day) == Replay(b'{"id": "\x00"}')
    assert await store.claim("other", "a", now=NOON + day) != claim
    await claimed(store, arguments="b", now=NOON + day + timedelta(milliseconds=1))


async def test_other_arguments_conflict_whatever_became_of_the_first_call(store: SqlStore) -> None:
    claim = await claimed(store)
    later = NOON + timedelta(minutes=3)
    assert await store.claim("s", "b", now=NOON) == Conflict("a")
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.record_sent(RECORD, claim)
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.leave_unknown(claim)
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.finish(claim, b"")
    assert await store.claim("s", "b", now=later) == Conflict("a")


async def test_a_call_that_goes_on_is_in_progress_sent_or_not(store: SqlStore) -> None:
    claim = await claimed(store)
    at = NOON + timedelta(seconds=120)
    assert await store.claim("s", "a", now=at) == InProgress()
    await store.record_sent(RECORD, claim)
    assert await store.claim("s", "a", now=at) == InProgress()


async def test_what_became_of_a_call_is_told_while_somebody_writes(url: str) -> None:
    """Who waits for another's call looks often: a look must not stand in the writers' queue, nor take their lock."""
    async with open_store(url) as store:
        done, goes_on = await claimed(store), await claimed(store, scope="t")
        await store.finish(done, b"")
        with anyio.fail_after(10):
            async with AsyncExitStack() as writer:
                if url.startswith("sqlite"):
                    other = writer.enter_context(closing(sqlite3.connect(path_of(url), isolation_level=None)))
                    other.execute("BEGIN IMMEDIATE")
                else:
                    connection = await asyncpg.connect(url)
                    writer.push_async_callback(connection.close)
                    await writer.enter_async_context(connection.transaction())
                    await connection.execute("LOCK TABLE roadster_claims IN EXCLUSIVE MODE")
                assert await store.claim("s", "a", now=NOON) == Replay(b"")
                assert await store.claim("s", "b", now=NOON) == Conflict("a")
                assert await store.claim("t", "a", now=NOON) == InProgress()
        await store.release(goes_on)


async def test_an_abandoned_claim_is_taken_over_and_the_first_can_do_nothing_more(store: SqlStore) -> None:
    first = await claimed(store)
    second = await claimed(store, now=NOON + timedelta(seconds=121))
    assert second.token != first.token
    with pytest.raises(ClaimLost, match="nothing was sent"):
        await store.record_sent(RECORD, first)
    assert (await store.verify()).count == 0
    await store.finish(first, b"first")
    await store.leave_unknown(first)
    await store.release(first)
    assert await store.claim("s", "a", now=NOON + timedelta(seconds=240)) == InProgress()
    await store.record_sent(RECORD, second)
    await store.finish(second, b"second")
    assert await store.claim("s", "a", now=NOON) == Replay(b"second")


async def test_a_call_that_was_sent_and_never_ended_is_unknown_until_a_day_has_passed(store: SqlStore) -> None:
    await store.record_sent(RECORD, await claimed(store))
    assert await store.claim("s", "a", now=NOON + timedelta(seconds=121)) == Unknown()
    assert await store.claim("s", "a", now=NOON + timedelta(hours=24)) == Unknown()
    await claimed(store, now=NOON + timedelta(hours=25))


async def test_a_lost_answer_is_unknown_at_once_and_may_still_come(store: SqlStore) -> None:
    claim = await claimed(store)
    await store.record_sent(RECORD, claim)
    await store.leave_unknown(claim)
    assert await store.claim("s", "a", now=NOON) == Unknown()
    with pytest.raises(ClaimLost):
        await store.record_sent(RECORD, claim)
    await store.finish(claim, b"late")
    assert await store.claim("s", "a", now=NOON) == Replay(b"late")


async def test_a_released_key_is_free(store: SqlStore) -> None:
    await store.release(await claimed(store))
    await claimed(store, arguments="b")


async def test_what_is_done_stays_done(store: SqlStore) -> None:
    claim = await claimed(store)
    await store.finish(claim, b"first")
    await store.finish(claim, b"second")
    await store.leave_unknown(claim)
    await store.release(claim)
    assert await store.claim("s", "a", now=NOON) == Replay(b"first")


async def test_expired_claims_and_nonces_leave_the_tables(store: SqlStore, url: str) -> None:
    for number in range(3):
        await claimed(store, scope=f"s-{number}")
        assert await store.use_once(f"n-{number}", expires_at=NOON + timedelta(minutes=5), now=NOON)
    later = NOON + timedelta(days=2)
    await claimed(store, now=later)
    assert await store.use_once("n", expires_at=later + timedelta(minutes=5), now=later)
    assert await execute(url, "SELECT scope FROM roadster_claims") == [("s",)]
    assert await execute(url, "SELECT nonce FROM roadster_nonces") == [("n",)]


@pytest.mark.parametrize("age", [None, timedelta(minutes=3), timedelta(days=2)], ids=["new", "abandoned", "expired"])
async def test_of_claims_at_once_exactly_one_wins(url: str, age: timedelta | None) -> None:
    results: list[object] = []

    async def compete(store: SqlStore) -> None:
        results.append(await store.claim("s", "a", now=NOON))

    async with open_store(url) as one, open_store(url) as other:
        if age:
            await claimed(one, now=NOON - age)
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(compete, one if number % 2 else other)
    assert sum(isinstance(result, Claim) for result in results) == 1
    assert results.count(InProgress()) == 19


# Nonces


async def test_a_nonce_counts_once(store: SqlStore) -> None:
    expires = NOON + timedelta(minutes=5)
    assert await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=expires - timedelta(milliseconds=1))
    assert await store.use_once("m", expires_at=expires, now=NOON)


async def test_an_expired_nonce_counts_not_at_all(store: SqlStore) -> None:
    """It may have been used, and forgotten since."""
    expires = NOON + timedelta(minutes=5)
    assert await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=expires)
    assert not await store.use_once("n", expires_at=expires, now=expires + timedelta(days=1))


async def test_of_uses_at_once_exactly_one_counts(url: str) -> None:
    results: list[bool] = []

    async def use(store: SqlStore) -> None:
        results.append(await store.use_once("n", expires_at=NOON + timedelta(minutes=5), now=NOON))

    async with open_store(url) as one, open_store(url) as other, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(use, one if number % 2 else other)
    assert sorted(results) == [False] * 19 + [True]


def test_every_field_of_a_record_has_a_column() -> None:
    assert [column.name for column in audit.columns] == ["seq", *(f.name for f in fields(AuditRecord)), "hash"]
