"""A store that another process has locked: reads are answered, writes and strict reads wait for their record."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import anyio
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.store import AuditRecord, Claim, Obstacle, StoreError, open_store
from roadster_server.store.databases.sqlite import open_sqlite
from roadster_server.store.lazy import LazyStore, lazy_store
from roadster_server.store.sql import SqlStore
from roadster_server.store.waiting import Wait, current_wait, one_wait
from tests.conftest import CONTACT_KEY, Connect, World, kind_of, settings_for, text_of
from tests.server.store.databases import RECORD, lock, path_of, scalar
from tests.tool_examples import STEVE

pytestmark = pytest.mark.anyio

REFUSED_WRITES: list[tuple[str, dict[str, Any], str]] = [
    ("create_customer", {"dealer": "toyotademo", "customer": STEVE}, "refused"),
    ("create_customer", {"dealer": "umazda"}, "invalid_arguments"),
]

A_MOMENT = 0.2
"""Seconds to wait for an answer that must not come. It would take a hundredth of that."""


@asynccontextmanager
async def impatient_client(world: World, store_url: str, **store: Any) -> AsyncIterator[Client]:
    """A client whose server has its store open, and waits for hardly any record."""
    live = LiveSettings(settings_for(store_url))
    change = {"store": live.current.store.model_copy(update=store)}
    live.current = live.current.model_copy(update=change)
    transport = SandboxTransport(world.app)
    async with (
        open_calls(live, local=True, transport=transport, timing=Timing(record_seconds=0.01)) as calls,
        Client(build_server(calls, lambda: live.current.caller("tester"))) as client,
    ):
        await calls.services.store.open()
        yield client


async def waits(client: Client, done: anyio.Event) -> None:
    await client.call_tool("list_dealers")
    done.set()


async def outcomes(store_url: str) -> list[tuple[str, str]]:
    async with open_store(store_url) as store:
        assert (await store.verify()).first_broken is None
        return [(row.record.tool, row.record.outcome) async for row in store.records()]


async def test_read_is_answered_now_and_recorded_after_the_lock(
    world: World, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, and does not sound as if a record were missing."""
    caplog.set_level(logging.INFO, "roadster_server")
    async with impatient_client(world, store_url) as client:
        with lock(store_url):
            for _ in range(3):
                assert kind_of(await client.call_tool("list_dealers")) is None
            assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"
    assert await outcomes(store_url) == [*[("list_dealers", "done")] * 3, ("list_inventory", "refused")]
    assert [entry.message for entry in caplog.records if entry.levelno > logging.INFO] == []
    assert "the audit is slow: this call's record is written later" in caplog.messages


@pytest.mark.reliability(
    "a locked store, for a write that is refused before it is sent",
    "the refusal is answered now, and recorded after the lock",
)
async def test_refused_write_is_answered_now_and_recorded_after_the_lock(world: World, store_url: str) -> None:
    async with impatient_client(world, store_url) as client:
        with lock(store_url):
            for tool, arguments, kind in REFUSED_WRITES:
                assert kind_of(await client.call_tool(tool, arguments)) == kind
            assert await world.requests() == []
    assert await outcomes(store_url) == [(tool, kind) for tool, _, kind in REFUSED_WRITES]


async def test_read_with_a_required_record_waits_for_the_store(world: World, store_url: str) -> None:
    done = anyio.Event()
    async with (
        impatient_client(world, store_url, refuse_unrecorded_reads=True) as client,
        anyio.create_task_group() as tasks,
    ):
        with lock(store_url):
            tasks.start_soon(waits, client, done)
            with anyio.move_on_after(A_MOMENT):
                await done.wait()
            assert not done.is_set()
    assert await outcomes(store_url) == [("list_dealers", "done")]


async def test_write_waits_for_the_store_before_it_is_sent(world: World, store_url: str) -> None:
    async with impatient_client(world, store_url) as client, anyio.create_task_group() as tasks:
        with lock(store_url):
            tasks.start_soon(client.call_tool, "create_customer", {"dealer": "umazda", "customer": STEVE})
            await anyio.sleep(A_MOMENT)
            assert [request["operation"] for request in await world.requests()] == []
    assert await outcomes(store_url) == [
        ("create_customer", "sent"),
        ("create_customer", "done"),
    ]


@asynccontextmanager
async def impatient_store(url: str) -> AsyncIterator[SqlStore]:
    """A store that waits for others for a moment only, and notes which wait each transaction of a write belongs to."""
    database = await open_sqlite(path_of(url), wait_seconds=0.3)
    try:
        yield WatchedStore(database)
    finally:
        await database.close()


WAITS: list[Wait] = []
WAITED_BEFORE_CLAIMS: list[float] = []
"""Seconds that each call had waited for the store when it claimed its key."""


class WatchedStore(SqlStore):
    async def append(self, record: AuditRecord) -> None:
        WAITS.append(current_wait())
        await super().append(record)

    async def claim(self, scope: str, arguments: str, *, now: datetime, old_scope: str = "") -> Claim | Obstacle:
        WAITS.append(current_wait())
        WAITED_BEFORE_CLAIMS.append(current_wait().seconds)
        return await super().claim(scope, arguments, now=now, old_scope=old_scope)


@pytest.mark.reliability("a locked store, for a write with a key", "a call waits once for it, then fails unsent")
async def test_call_waits_for_a_locked_store_once(world: World, store_url: str, connect: Connect) -> None:
    """Its key has the wait. The record of its end waits in memory, and is stored after the lock."""
    WAITS.clear()
    arguments = {"dealer": "umazda", "customer": STEVE, "idempotency_key": "key-of-steve"}
    async with connect(open_store=impatient_store) as client:
        with lock(store_url):
            result = await client.call_tool("create_customer", arguments)
    assert kind_of(result) == "unrecorded"
    assert "others kept the store busy for too long. Nothing was sent" in text_of(result)
    assert "store.db" not in text_of(result)
    assert await world.requests() == []
    own, *waits_of_record = WAITS
    assert own.seconds > 0.3
    assert all(wait is not own for wait in waits_of_record)
    assert await outcomes(store_url) == [("create_customer", "unrecorded")]


async def test_calls_with_one_key_wait_for_a_locked_store_together(
    world: World, store_url: str, connect: Connect
) -> None:
    """The second call has waited for the first one, which waited for the store."""
    WAITED_BEFORE_CLAIMS.clear()
    arguments = {"dealer": "umazda", "customer": STEVE, "idempotency_key": "key-of-steve"}
    kinds: list[str | None] = []

    async def create() -> None:
        kinds.append(kind_of(await client.call_tool("create_customer", arguments)))

    async with connect(open_store=impatient_store) as client:
        with lock(store_url):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create)
                tasks.start_soon(create)
    assert kinds == ["unrecorded", "unrecorded"]
    assert await world.requests() == []
    first, second = WAITED_BEFORE_CLAIMS
    assert first < 0.3 <= second


async def test_transaction_after_the_wait_gets_only_a_moment(store_url: str) -> None:
    async with impatient_store(store_url) as store:
        with lock(store_url), one_wait():
            for most in (300, 100):
                with pytest.raises(StoreError, match="was locked by another process"):
                    await store.append(RECORD)
                assert await store.database.read(scalar, "PRAGMA busy_timeout") <= most
        assert await store.database.read(scalar, "PRAGMA busy_timeout") == 300


async def test_calls_that_wait_for_the_opening_share_its_failure() -> None:
    """A store that is locked before it was opened holds up all calls as long as one."""
    attempts: list[anyio.Event] = []

    @asynccontextmanager
    async def fail(_url: str) -> AsyncIterator[SqlStore]:
        attempts.append(anyio.Event())
        await attempts[-1].wait()
        raise StoreError("locked")
        yield

    failures: list[StoreError] = []

    async def append(store: LazyStore) -> None:
        with pytest.raises(StoreError, match="locked") as error:
            await store.append(RECORD)
        failures.append(error.value)

    async with lazy_store("sqlite:////x", contact_key=CONTACT_KEY, open_store=fail) as store:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(append, store)
            await anyio.wait_all_tasks_blocked()
            attempts[0].set()
        assert (len(attempts), len(failures)) == (1, 5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(append, store)
            await anyio.wait_all_tasks_blocked()
            attempts[1].set()
        assert len(attempts) == 2, "a later call tries again"
