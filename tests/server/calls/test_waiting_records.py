"""Audit records that the store does not take wait in memory, and are stored once it does."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.recorder import Recorder
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.store import AuditRecord, Claim, StoreError, open_store
from roadster_server.store.lazy import lazy_store
from roadster_server.store.sql import SqlStore
from roadster_server.telemetry.metrics import Metrics
from tests.conftest import CONTACT_KEY, World, kind_of, settings_for, store_of_class, text_of
from tests.server.store.databases import RECORD, lock
from tests.tool_examples import STEVE

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
"""Seconds for what takes one."""


class FillingDisk(SqlStore):
    """A store on a disk that is full until a test makes room."""

    is_full = True

    async def append(self, record: AuditRecord) -> None:
        self._need_room()
        await super().append(record)

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        self._need_room()
        await super().record_sent(record, claim)

    def _need_room(self) -> None:
        if FillingDisk.is_full:
            raise StoreError("the disk is full; free some space")


@pytest.fixture(autouse=True)
def full_disk() -> Iterator[None]:
    FillingDisk.is_full = True
    yield
    FillingDisk.is_full = False


@asynccontextmanager
async def client_on_full_disk(
    world: World, store_url: str, metrics: Metrics, *, most: int = 10_000, is_strict: bool = False
) -> AsyncIterator[Client]:
    live = LiveSettings(settings_for(store_url))
    store = live.current.store.model_copy(update={"refuse_unrecorded_reads": is_strict})
    live.current = live.current.model_copy(update={"store": store})
    transport = SandboxTransport(world.app)
    async with open_calls(
        live, local=True, transport=transport, observer=metrics, open_store=store_of_class(FillingDisk)
    ) as calls:
        calls.services.recorder.most = most
        async with Client(build_server(calls, lambda: live.current.caller("tester"))) as client:
            yield client


def waiting(metrics: Metrics) -> float | None:
    return metrics.records_waiting.collect()[0].samples[0].value


async def until_none_waits(metrics: Metrics) -> None:
    with anyio.fail_after(PATIENCE):
        while waiting(metrics):
            await anyio.sleep(0.02)


async def outcomes(store_url: str) -> list[tuple[str, str]]:
    async with open_store(store_url) as store:
        assert (await store.verify()).first_broken is None
        return [(row.record.tool, row.record.outcome) async for row in store.records()]


@pytest.mark.reliability(
    "a full disk, for calls that read",
    "they are answered; their records wait in memory, and are stored once it has room",
)
async def test_records_of_a_full_disk_are_stored_once_it_has_room(
    world: World, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    async with client_on_full_disk(world, store_url, metrics) as client:
        assert kind_of(await client.call_tool("list_dealers")) is None
        result = await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
        assert kind_of(result) == "unrecorded"
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"
        assert waiting(metrics) == 3
        FillingDisk.is_full = False
        await until_none_waits(metrics)
        assert await outcomes(store_url) == [
            ("list_dealers", "done"),
            ("create_customer", "unrecorded"),
            ("list_inventory", "refused"),
        ]
    assert [request["operation"] for request in await world.requests()] == ["list_dealers"]
    assert "calls not on record" not in caplog.messages


async def test_read_refused_for_its_record_is_on_record_later(world: World, store_url: str) -> None:
    metrics = Metrics()
    async with client_on_full_disk(world, store_url, metrics, is_strict=True) as client:
        assert kind_of(await client.call_tool("list_dealers")) == "unrecorded"
        FillingDisk.is_full = False
        await until_none_waits(metrics)
    assert await outcomes(store_url) == [("list_dealers", "unrecorded")]


@pytest.mark.reliability("too many audit records that wait for the store", "calls are refused, and counted in sums")
async def test_calls_are_refused_while_too_many_records_wait(world: World, store_url: str) -> None:
    metrics = Metrics()
    async with client_on_full_disk(world, store_url, metrics, most=2) as client:
        for _ in range(2):
            assert kind_of(await client.call_tool("list_dealers")) is None
        for _ in range(5):
            result = await client.call_tool("list_inventory", {"dealer": "umazda"})
            assert kind_of(result) == "unrecorded"
        assert "too many records wait for the store" in text_of(result)
        assert waiting(metrics) == 3, "the first refusal is on record, the others are a sum"
        assert {request["operation"] for request in await world.requests()} == {"list_dealers"}
        FillingDisk.is_full = False
        await until_none_waits(metrics)
        assert kind_of(await client.call_tool("list_dealers")) is None
    async with open_store(store_url) as store:
        records = [row.record async for row in store.records()]
    assert [(record.tool, record.outcome) for record in records] == [
        *[("list_dealers", "done")] * 2,
        ("list_inventory", "unrecorded"),
        ("list_dealers", "done"),
        ("list_inventory", "unrecorded"),
    ]
    assert records[-1].arguments == {"refusals": "4"}


async def test_log_says_at_the_end_how_many_records_are_lost(
    world: World, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_on_full_disk(world, store_url, Metrics()) as client:
        for _ in range(3):
            await client.call_tool("list_dealers")
    [lost] = [entry for entry in caplog.records if entry.message == "calls not on record"]
    assert (lost.levelno, vars(lost)["count"], vars(lost)["reason"]) == (
        logging.ERROR,
        3,
        "the disk is full; free some space",
    )


async def test_end_of_the_process_stores_what_waits(world: World, store_url: str) -> None:
    async with client_on_full_disk(world, store_url, Metrics()) as client:
        for _ in range(250):
            await client.call_tool("list_dealers")
        FillingDisk.is_full = False
    assert await outcomes(store_url) == [("list_dealers", "done")] * 250


async def test_records_are_stored_by_their_time(store_url: str) -> None:
    """The store may fail the record of an earlier call after that of a later one."""
    records = [replace(RECORD, call_id=str(number), time=RECORD.time + timedelta(number)) for number in range(4)]
    async with lazy_store(store_url, contact_key=CONTACT_KEY) as store:
        recorder = Recorder(store, 0.01, lambda _count: None)
        with lock(store_url):
            for number in (1, 3, 0, 2):
                recorder.keep(records[number])
        await recorder.close()
    async with open_store(store_url) as reopened:
        assert [row.record.call_id async for row in reopened.records()] == ["0", "1", "2", "3"]


async def test_beyond_a_hundred_late_records_reads_do_not_wait(store_url: str) -> None:
    counts: list[int] = []
    async with lazy_store(store_url, contact_key=CONTACT_KEY) as store:
        await store.open()
        recorder = Recorder(store, 0.01, counts.append)
        with lock(store_url):
            for _ in range(102):
                await recorder.put_soon(replace(RECORD))
            assert counts[-1] == 102
        await recorder.close()
    assert counts[-1] == 0
    assert len(await outcomes(store_url)) == 102
