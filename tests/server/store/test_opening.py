"""Opening a store: imports, migrations, many processes at once, and URLs that cannot be opened."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import anyio
import platformdirs
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from platformdirs.macos import MacOS
from sqlalchemy import Connection

from roadster_server.store import AuditRecord, StoreError, default_url, open_store
from roadster_server.store.sql import open_sql_store
from roadster_server.store.tables import SCHEMA, VERSION_TABLE, audit, metadata
from tests.servers import PATIENCE

from .databases import RECORD, execute, scalar

pytestmark = pytest.mark.anyio


async def test_migrations_make_the_declared_tables(new_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return compare_metadata(context, metadata)

    async with open_sql_store(new_url) as store:
        assert await store.database.read(differences) == []
        assert await store.database.read(scalar, f"SELECT version_num FROM {VERSION_TABLE}") == SCHEMA


async def test_reopened_store_has_its_records(url: str) -> None:
    async with open_store(url) as store:
        await store.append(RECORD)
    async with open_store(url) as store:
        assert [row.record async for row in store.records()] == [RECORD]


async def test_new_store_opens_many_times_at_once(new_url: str) -> None:
    async def open_and_append() -> None:
        async with open_store(new_url) as store:
            await store.append(RECORD)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(open_and_append)
    async with open_store(new_url) as store:
        assert (await store.verify()).count == 8


async def test_several_new_stores_open_at_once(tmp_path: Path) -> None:
    """Each gets its own tables, although alembic has one context for the whole process."""

    async def open_and_append(number: int) -> None:
        async with open_store(f"sqlite:///{tmp_path / f'{number}.db'}") as store:
            await store.append(RECORD)
            assert (await store.verify()).count == 1

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(open_and_append, number)


async def test_newer_schema_is_refused(url: str) -> None:
    async with open_store(url):
        pass
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match="made by a newer roadster-mcp; install that version"):
        async with open_store(url):
            pass


@pytest.mark.parametrize(
    "url",
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
async def test_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="neither sqlite:///PATH nor postgresql://") as error:
        async with open_store(url):
            pass
    assert "hunter2" not in str(error.value)


@pytest.mark.skipif(sys.platform != "linux", reason="platformdirs knows the folders of the other systems")
def test_default_url_is_in_the_folder_for_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/steve")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert default_url() == "sqlite:////home/steve/.local/state/roadster-mcp/store.db"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_url() == "sqlite:////state/roadster-mcp/store.db"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(platformdirs, "PlatformDirs", MacOS)
    assert default_url() == "sqlite:////home/steve/Library/Application Support/roadster-mcp/store.db"


@pytest.mark.skipif(sys.platform != "linux", reason="platformdirs knows the folders of the other systems")
def test_default_url_without_a_home_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, a user may be a number without an entry in the list of users."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(StoreError, match=r"no home folder .* name a place with \[store\] url"):
        default_url()


def test_each_field_of_a_record_has_a_column() -> None:
    assert [column.name for column in audit.columns] == ["seq", *(f.name for f in fields(AuditRecord)), "hash"]
