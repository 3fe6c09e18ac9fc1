"""A store that another process holds locked: reads are answered, writes and strict reads wait for their record."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest
from mcp import Client
from pydantic import SecretStr

from roadster_server.calls import recorder
from roadster_server.settings.sections import StoreSettings
from roadster_server.store import open_store
from tests.conftest import STEVE, Connect, World, kind_of

pytestmark = pytest.mark.anyio

A_MOMENT = 0.2
"""Seconds, for what must not happen: an answer would take a hundredth of it."""


@contextmanager
def locked(store_url: str) -> Iterator[None]:
    """As a backup or a stuck process holds it."""
    holder = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


@asynccontextmanager
async def impatient(client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The client's server has its store open, and from now on waits for hardly any record."""
    with monkeypatch.context() as patched:
        patched.setattr(recorder, "PATIENCE", 60)
        assert kind_of(await client.call_tool("list_dealers")) is None
        patched.setattr(recorder, "PATIENCE", 0.01)
        yield


async def waits(client: Client, answered: anyio.Event) -> None:
    await client.call_tool("list_dealers")
    answered.set()


async def outcomes(store_url: str) -> list[tuple[str, str]]:
    async with open_store(store_url) as store:
        assert (await store.verify()).broken is None
        return [(stored.record.tool, stored.record.outcome) async for stored in store.records()]


async def test_a_read_is_answered_while_the_store_is_locked_and_gets_on_record_afterwards(
    connect: Connect, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the log says so in words that do not sound as if a record were missing."""
    caplog.set_level(logging.INFO, "roadster_server")
    async with connect() as client, impatient(client, monkeypatch):
        with locked(store_url):
            for _ in range(3):
                assert kind_of(await client.call_tool("list_dealers")) is None
            assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"
    assert await outcomes(store_url) == [*[("list_dealers", "done")] * 4, ("list_inventory", "refused")]
    assert [found.message for found in caplog.records if found.levelno > logging.INFO] == []
    assert "the audit is slow: this call's record is written later" in caplog.messages


async def test_a_read_whose_record_is_required_waits_for_the_store(
    connect: Connect, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = StoreSettings(url=SecretStr(store_url), refuse_unrecorded_reads=True)
    answered = anyio.Event()
    async with (
        connect(change={"store": strict}) as client,
        impatient(client, monkeypatch),
        anyio.create_task_group() as tasks,
    ):
        with locked(store_url):
            tasks.start_soon(waits, client, answered)
            with anyio.move_on_after(A_MOMENT):
                await answered.wait()
            assert not answered.is_set()
    assert await outcomes(store_url) == [("list_dealers", "done")] * 2


async def test_a_write_waits_for_the_store_and_nothing_is_sent_meanwhile(
    connect: Connect, store_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect() as client, impatient(client, monkeypatch), anyio.create_task_group() as tasks:
        with locked(store_url):
            tasks.start_soon(client.call_tool, "create_customer", {"dealer": "umazda", "customer": STEVE})
            await anyio.sleep(A_MOMENT)
            assert [request["operation"] for request in await world.requests()] == ["list_dealers"]
    assert await outcomes(store_url) == [
        ("list_dealers", "done"),
        ("create_customer", "sent"),
        ("create_customer", "done"),
    ]


async def test_where_too_many_records_are_late_calls_wait_and_none_is_lost(
    connect: Connect, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_MOST_LATE", 2)
    answered = anyio.Event()
    async with connect() as client, impatient(client, monkeypatch), anyio.create_task_group() as tasks:
        with locked(store_url):
            for _ in range(2):
                await client.call_tool("list_dealers")
            tasks.start_soon(waits, client, answered)
            with anyio.move_on_after(A_MOMENT):
                await answered.wait()
            assert not answered.is_set()
    assert await outcomes(store_url) == [("list_dealers", "done")] * 4
