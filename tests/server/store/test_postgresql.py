"""The store in PostgreSQL: a server that cannot be used, and one that fails and comes back."""

from __future__ import annotations

import uuid
from functools import partial
from urllib.parse import urlsplit

import pytest

from roadster_server.store import StoreError, open_store

from .databases import RECORD, execute, refusal

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("url", "expected"),
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
async def test_postgresql_error_does_not_show_the_password(url: str, expected: str) -> None:
    message = await refusal(url)
    assert expected in message
    assert "[store] url" in message or "write it as" in message
    assert "hunter2" not in message


async def test_postgresql_missing_database_or_rights_are_named(new_postgresql_url: str) -> None:
    url = urlsplit(new_postgresql_url)
    assert "has no such database; create it" in await refusal(url._replace(path=f"{url.path}_missing").geturl())
    role = f"reader_{uuid.uuid4().hex}"
    await execute(new_postgresql_url, f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    try:
        server = url.netloc.rpartition("@")[2]
        message = await refusal(url._replace(netloc=f"{role}:hunter2@{server}").geturl())
        assert (
            message == "the store's PostgreSQL user may not create or write its tables; grant it CREATE on its schema"
        )
    finally:
        await execute(new_postgresql_url, f"DROP ROLE {role}")


async def test_postgresql_store_works_again_when_the_server_is_back(
    postgresql_url: str, postgresql_server: str
) -> None:
    name = urlsplit(postgresql_url).path.removeprefix("/")
    async with open_store(postgresql_url) as store:
        await store.probe()
        await execute(postgresql_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        await execute(postgresql_server, kill)
        for method in (store.probe, partial(store.append, RECORD)):
            with pytest.raises(StoreError):
                await method()
        await execute(postgresql_server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await store.probe()
        await store.append(RECORD)


async def test_postgresql_connections_that_the_server_ended_are_not_noticed(
    postgresql_url: str, postgresql_server: str
) -> None:
    """As after a restart of the server: the first transaction finds its connection gone, and takes a new one."""
    name = urlsplit(postgresql_url).path.removeprefix("/")
    async with open_store(postgresql_url) as store:
        for number in range(3):
            await store.append(RECORD)
            await store.add_owned("umazda", "order", str(number))
            kill = f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'"
            await execute(postgresql_server, kill)
            await store.add_owned("umazda", "order", f"{number}-again")
            await store.append(RECORD)
        assert len(await store.owned_ids("umazda", "order", "", 10)) == 6
        assert (await store.verify()).count == 6
