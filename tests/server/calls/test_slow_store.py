"""A store that another process has locked: reads are answered, writes and strict reads wait for their record."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.calls.recorder import Recorder
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.store import open_store
from roadster_server.store.lazy import lazy_store
from tests.conftest import CONTACT_KEY, World, kind_of, settings_for
from tests.server.store.databases import RECORD
from tests.tool_examples import STEVE

pytestmark = pytest.mark.anyio

A_MOMENT = 0.2
"""Seconds to wait for an answer that must not come. It would take a hundredth of that."""


@contextmanager
def lock(store_url: str) -> Iterator[None]:
    """Locks the store as a backup or a stuck process does."""
    holder = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


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


async def test_recorder_full_of_late_records_waits_and_loses_none(store_url: str) -> None:
    done = anyio.Event()

    async def record_one_more(recorder: Recorder) -> None:
        await recorder.put_soon(RECORD)
        done.set()

    async with lazy_store(store_url, contact_key=CONTACT_KEY) as store, anyio.create_task_group() as tasks:
        await store.open()
        recorder = Recorder(store, patience=0.01, most_late=2)
        with lock(store_url):
            for _ in range(2):
                await recorder.put_soon(RECORD)
            tasks.start_soon(record_one_more, recorder)
            with anyio.move_on_after(A_MOMENT):
                await done.wait()
            assert not done.is_set()
        await recorder.close()
    assert await outcomes(store_url) == [(RECORD.tool, RECORD.outcome)] * 3
