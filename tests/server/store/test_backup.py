"""A backup holds the whole store while a server writes to it, and replaces nothing that it was not told to."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from roadster_server.store import StoreError, open_store
from roadster_server.store.backup import back_up_store
from tests.command_line import run_cli
from tests.conftest import Connect, answer_of
from tests.server.store.databases import RECORD, path_of
from tests.server.transports.test_http import SECRETS, write_config

pytestmark = pytest.mark.anyio


async def verify(path: Path) -> tuple[int, int | None]:
    async with open_store(f"sqlite:///{path}") as store:
        chain = await store.verify()
    return chain.count, chain.first_broken


async def test_backup_holds_what_a_copy_of_the_file_lacks(store_url: str, tmp_path: Path) -> None:
    """The newest records are still in the write-ahead log of an open store."""
    copy, backup = tmp_path / "copy.db", tmp_path / "backup.db"
    async with open_store(store_url) as store:
        for number in range(20):
            await store.append(replace(RECORD, call_id=f"c-{number}"))
        shutil.copy(path_of(store_url), copy)
        await anyio.to_thread.run_sync(back_up_store, store_url, backup)
        head = (await store.verify()).head
        await store.append(RECORD)
    assert await verify(copy) == (0, None), "which is why one needs a backup"
    assert await verify(backup) == (20, None)
    async with open_store(f"sqlite:///{backup}") as store:
        assert (await store.verify()).head == head
    assert await verify(path_of(store_url)) == (21, None)


async def test_backup_of_a_store_in_use_is_one_moment_of_it(store_url: str, tmp_path: Path) -> None:
    """A writer goes on meanwhile, and every copy is a whole, shorter chain."""
    backups = [tmp_path / f"{number}.db" for number in range(5)]
    written: list[Path] = []
    async with open_store(store_url) as store, anyio.create_task_group() as tasks:

        async def write() -> None:
            while written != backups:
                await store.append(RECORD)

        tasks.start_soon(write)
        for backup in backups:
            await anyio.to_thread.run_sync(back_up_store, store_url, backup)
            written.append(backup)
    chains = [await verify(backup) for backup in backups]
    assert [first_broken for _, first_broken in chains] == [None] * 5
    assert chains == sorted(chains)


async def test_backup_of_a_store_after_a_kill_is_whole(store_url: str, tmp_path: Path) -> None:
    """The log that a killed server left is part of the store."""
    async with open_store(store_url) as store:
        await store.append(RECORD)
        killed = tmp_path / "killed"
        killed.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path_of(store_url)}{suffix}", killed / f"store.db{suffix}")
    back_up_store(f"sqlite:///{killed / 'store.db'}", tmp_path / "backup.db")
    assert await verify(tmp_path / "backup.db") == (1, None)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_backup_is_only_for_its_owner(store_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    before = os.umask(0)
    try:
        back_up_store(store_url, folder / "backup.db")
        (folder / "backup.db").chmod(0o644)
        back_up_store(store_url, folder / "backup.db", overwrite=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "backup.db").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["backup.db"]


def test_backup_replaces_a_file_only_where_it_is_told_to(store_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("somebody's")
    with pytest.raises(StoreError, match="exists already; name another file, or overwrite it with --force"):
        back_up_store(store_url, target)
    assert target.read_text() == "somebody's"
    back_up_store(store_url, target, overwrite=True)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_backup_leaves_a_dangling_link_alone(store_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="exists already"):
        back_up_store(store_url, target)


def test_backup_never_replaces_the_store_itself(store_url: str, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path_of(store_url))
    for target in (path_of(store_url), link):
        with pytest.raises(StoreError, match="is the store itself"):
            back_up_store(store_url, target, overwrite=True)


def test_backup_goes_nowhere_near_anothers_log(store_url: str, tmp_path: Path) -> None:
    """SQLite would read a log that lies beside the new file as a part of it."""
    for log in (tmp_path / "backup.db-wal", tmp_path / "backup.db-journal"):
        log.write_text("")
        for overwrite in (False, True):
            with pytest.raises(StoreError, match=rf"{log.name} exists"):
                back_up_store(store_url, tmp_path / "backup.db", overwrite=overwrite)
        log.unlink()
    assert not (tmp_path / "backup.db").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no FIFO")
def test_backup_replaces_only_plain_files(store_url: str, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "elsewhere.db")
    for target in (pipe, link):
        with pytest.raises(StoreError, match="is not a plain file, so it is not replaced"):
            back_up_store(store_url, target, overwrite=True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()


def test_backup_refuses_a_file_without_a_store(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(StoreError, match="holds no store; correct"):
        back_up_store(f"sqlite:///{empty}", tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == [empty]


def test_backup_refuses_a_name_that_is_too_long(store_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        back_up_store(store_url, tmp_path / ("x" * 253))


def test_backup_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    broken = tmp_path / "broken.db"
    broken.write_text("no database" * 100)
    with pytest.raises(StoreError, match=r"broken\.db could not be backed up .*; nothing was written"):
        back_up_store(f"sqlite:///{broken}", folder / "backup.db")
    with pytest.raises(StoreError, match="there is no store at"):
        back_up_store(f"sqlite:///{tmp_path / 'missing.db'}", folder / "backup.db")
    with pytest.raises(StoreError, match="cannot be written"):
        back_up_store(f"sqlite:///{broken}", tmp_path / "no such folder" / "backup.db")
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "missing.db").exists()


async def test_store_backup_copies_the_configured_store(connect: Connect, store_url: str, tmp_path: Path) -> None:
    """While a server uses it. `audit verify` is good on the copy, which another configuration names."""
    config, other = (tmp_path / name for name in ("config", "other"))
    target = tmp_path / "backup.db"
    for folder, store in ((config, path_of(store_url)), (other, target)):
        folder.mkdir()
        path = write_config(folder, "https://api.example.com")
        path.write_text(path.read_text().replace(f"{folder}/store.db", str(store)))
    options = ("--config", str(config / "roadster.toml"))
    async with connect() as client:
        answer_of(await client.call_tool("list_dealers"))
        end = run_cli("store", "backup", str(target), *options, **SECRETS)
    assert (end.returncode, end.stderr) == (0, "")
    assert end.stdout == f"{target}: the store as of now; check it with audit verify\n"
    end = run_cli("audit", "verify", "--config", str(other / "roadster.toml"), **SECRETS)
    assert (end.returncode, end.stdout.partition(",")[0]) == (0, "whole; records: 1")
    end = run_cli("store", "backup", str(target), *options, **SECRETS)
    assert (end.returncode, end.stdout) == (2, "")
    assert end.stderr.endswith("overwrite it with --force\n")
    assert run_cli("store", "backup", str(target), "--force", *options, **SECRETS).returncode == 0


def test_store_backup_of_postgresql_names_its_tool(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://api.example.com")
    config.write_text(config.read_text().replace(f"sqlite:///{tmp_path}/store.db", "env:STORE_URL"))
    variables = {**SECRETS, "STORE_URL": "postgresql://me:hunter2@127.0.0.1:1/none"}
    end = run_cli("store", "backup", str(tmp_path / "backup.db"), "--config", str(config), **variables)
    assert (end.returncode, end.stdout) == (2, "")
    assert "back it up with pg_dump --format=custom" in end.stderr
    assert "hunter2" not in end.stderr
    assert not (tmp_path / "backup.db").exists()
