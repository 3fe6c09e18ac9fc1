"""The audit records of calls."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import SecretStr

from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.store import AuditRecord, Claim, StoreError, open_store
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS
from tests.conftest import Connect, World, kind_of, on_both_databases, store_of_class, text_of
from tests.tool_examples import STEVE, every_call

from .writes import AT_UMAZDA, KEY, NEW_CUSTOMER, records, sent_writes

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_records_of_reads_refusals_and_writes(connect: Connect, store_url: str) -> None:
    async with connect() as client:
        await client.call_tool("list_inventory", dict(AT_UMAZDA))
        await client.call_tool("list_inventory", {"dealer": "toyotademo"})
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        await client.call_tool("no_such_tool", {})
    rows = [row.record for row in await records(store_url)]
    assert [(record.tool, record.phase, record.outcome, record.verdict) for record in rows] == [
        ("list_inventory", "ended", "done", "allowed"),
        ("list_inventory", "ended", "refused", "refused"),
        ("create_customer", "sent", "sent", "allowed"),
        ("create_customer", "ended", "done", "allowed"),
        ("unknown", "ended", "invalid_arguments", "refused"),
    ]
    read_end, refusal, write_sent, write_end, _ = rows
    assert read_end.setting == "callers.tester.access.inventory"
    assert refusal.setting == "callers.tester.dealers"
    assert write_sent.call_id == write_end.call_id
    assert write_end.upstream_request_id is not None
    assert write_end.dealer == "umazda"
    assert write_sent.arguments.keys() == {"dealer", "customer"}
    assert write_end.arguments.keys() == {"dealer", "customer", "answer.customer_id"}
    assert {(record.caller, record.principal) for record in rows} == {("tester", "tester")}
    assert {record.client for record in rows} == {"mcp"}


async def test_records_hold_keyed_hashes_and_no_values(connect: Connect, store_url: str, tmp_path: Path) -> None:
    """The store's file has no values either, although it holds the answers for replay."""
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "Steve McQueen": 1})
    text = json.dumps([repr(row) for row in await records(store_url)])
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("store.db"))
    for value in (*STEVE.values(), KEY["idempotency_key"]):
        assert value not in text
        assert value.encode() not in raw
        assert hashlib.sha256(value.encode()).hexdigest()[:32] not in text


@on_both_databases
async def test_records_of_calls_make_a_sound_chain(connect: Connect, store_url: str) -> None:
    async with connect() as client:
        for _ in range(5):
            await client.call_tool("list_dealers")
    async with open_store(store_url) as store:
        verification = await store.verify()
    assert (verification.count, verification.first_broken) == (5, None)


class FullDisk(SqlStore):
    """A store that can be opened, but cannot add to the audit."""

    async def append(self, record: AuditRecord) -> None:
        raise StoreError("the disk is full; free some space")

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        await self.append(record)


async def test_write_that_cannot_be_recorded_is_not_sent(connect: Connect, world: World) -> None:
    async with connect(open_store=store_of_class(FullDisk)) as client:
        result = await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        assert kind_of(await client.call_tool("list_inventory", dict(AT_UMAZDA))) is None
    assert kind_of(result) == "unrecorded"
    assert "the store does not work" in text_of(result)
    assert await sent_writes(world) == []


async def test_read_that_cannot_be_recorded_is_refused_if_so_set(connect: Connect, store_url: str) -> None:
    strict = StoreSettings(url=SecretStr(store_url), refuse_unrecorded_reads=True)
    async with connect(change={"store": strict}, open_store=store_of_class(FullDisk)) as client:
        result = await client.call_tool("list_inventory", dict(AT_UMAZDA))
    assert kind_of(result) == "unrecorded"
    assert result.structured_content is None


class StoreGone(SqlStore):
    """A store that failed after it was opened. Its errors name where it is."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name == "database":
            return super().__getattribute__(name)
        return FailingPart()


class FailingPart:
    """A method of a store, or a part of it with such methods."""

    async def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise StoreError("/srv/secret-place/store.db was removed; restore it")

    def __getattr__(self, name: str) -> FailingPart:
        return self


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("tool", TOOLS)
async def test_no_answer_says_where_the_store_is(
    tool: str, strict: bool, connect: Connect, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller may be far away. The log has the place, for the operator."""
    arguments = every_call("umazda")[tool]
    settings = StoreSettings(url=SecretStr(store_url), refuse_unrecorded_reads=strict)
    async with connect(change={"store": settings}, open_store=store_of_class(StoreGone)) as client:
        for more in ({}, KEY if TOOLS[tool].writes else {}):
            result = await client.call_tool(tool, {**arguments, **more})
            assert "secret-place" not in result.model_dump_json()
            assert kind_of(result) == "unrecorded" or not (strict or TOOLS[tool].writes)
    assert any("secret-place" in str(vars(record)) for record in caplog.records)


async def test_records_of_one_call_in_two_spellings_are_alike(connect: Connect, store_url: str) -> None:
    async with connect() as client:
        for customer in (1650260, "1650260", 1650260.0):
            await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": customer})
    hashes = {row.record.arguments["customer_id"] for row in await records(store_url)}
    assert len(hashes) == 1
