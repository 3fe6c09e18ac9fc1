"""Stores for tests: SQLite files and PostgreSQL databases, and the servers that they need."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest

from roadster_server.store import open_store

from . import services


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, to be copied. Copying it takes a quarter of the time that migrating takes."""
    path = tmp_path_factory.mktemp("migrated") / "store.db"
    anyio.run(_migrate, f"sqlite:///{path}")
    return path


@pytest.fixture
def store_url(request: pytest.FixtureRequest, migrated_store: Path, tmp_path: Path) -> str:
    """An empty store of the test's own, of the kind that `on_both_databases` asks for."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{shutil.copy(migrated_store, tmp_path / 'store.db')}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path.as_posix()}/state/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> str:
    """A database without tables, of either kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgresql_url")
    return url


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _server(variable: str, start: Callable[[Path], str], folder: Path) -> str:
    if url := os.environ.get(variable):
        return url
    try:
        return start(folder)
    except services.NotInstalled as missing:
        reason = f"{missing}; install it, or name a server in {variable}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_server(run_folder: Path) -> str:
    """The URL of a database, on the server where the tests make databases of their own."""
    return _server("ROADSTER_TEST_POSTGRESQL", services.postgresql_server, run_folder)


@pytest.fixture(scope="session")
def redis_url(run_folder: Path) -> str:
    """A Redis server, which may have other users. A test needs an API key of its own, and so has its own keys there."""
    return _server("ROADSTER_TEST_REDIS", services.redis_server, run_folder)


@pytest.fixture
def new_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A database of the test's own, without tables."""
    with _database(postgresql_server, template="template1") as url:
        yield url


@pytest.fixture(scope="session")
def migrated_database(postgresql_server: str) -> Iterator[str]:
    """An empty store, to be copied. Copying it takes a twentieth of the time that migrating takes."""
    with _database(postgresql_server, template="template1") as url:
        anyio.run(_migrate, url)
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def postgresql_url(postgresql_server: str, migrated_database: str) -> Iterator[str]:
    """An empty store of the test's own."""
    with _database(postgresql_server, template=migrated_database) as url:
        yield url


@contextmanager
def _database(server: str, *, template: str) -> Iterator[str]:
    name = f"roadster_test_{uuid.uuid4().hex}"
    anyio.run(_execute, server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        anyio.run(_execute, server, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(store_url: str) -> None:
    async with open_store(store_url):
        pass
