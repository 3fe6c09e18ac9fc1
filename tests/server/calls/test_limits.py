"""The limits of each caller."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.limiter import Limiter
from roadster_server.calls.refusals import RefusalSums
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.store import AuditRecord, StoreError
from roadster_tools import Caller, Limited
from tests.conftest import Connect, World, answer_of, kind_of, settings_for, text_of
from tests.server.store.databases import RECORD
from tests.servers import PATIENCE

from .approvals import approving_settings, open_office
from .writes import NEW_CUSTOMER, Person, records, sent_writes

pytestmark = pytest.mark.anyio


async def test_limit_of_calls_names_the_time_to_wait(connect: Connect, world: World) -> None:
    async with connect(calls_per_minute=3) as client:
        kinds = [kind_of(await client.call_tool("list_dealers")) for _ in range(3)]
        over = await client.call_tool("list_dealers")
    assert kinds == [None] * 3
    assert kind_of(over) == "limited"
    assert "callers.tester.calls_per_minute allows 3 calls a minute" in text_of(over)
    assert "seconds" in text_of(over)
    assert len(await world.requests()) == 3


@pytest.mark.reliability("a clock that is set while a limit lasts", "a limit lasts as long as its window, no longer")
async def test_limit_ends_with_its_window_on_a_monotonic_clock() -> None:
    now = 1000.0
    limiter = Limiter(None, "", clock=lambda: now)
    caller = Caller("bot", calls_per_minute=2, writes_per_hour=1)
    await limiter.count_call(caller)
    now += 20
    await limiter.count_call(caller)
    with pytest.raises(Limited) as limited:
        await limiter.count_call(caller)
    assert limited.value.wait == 40
    await limiter.count_write(caller)
    now += 40
    await limiter.count_call(caller)
    with pytest.raises(Limited) as limited:
        await limiter.count_call(caller)
    assert limited.value.wait == 20
    with pytest.raises(Limited) as limited:
        await limiter.count_write(caller)
    assert limited.value.wait == 3560


async def test_limit_of_writes_leaves_reads(connect: Connect, world: World) -> None:
    async with connect(writes_per_hour=1) as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        assert kind_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "limited"
        assert kind_of(await client.call_tool("list_dealers")) is None
    assert await sent_writes(world) == ["create_customer"]


async def test_limit_counts_each_caller_separately(world: World, store_url: str) -> None:
    """Both callers are at one server."""
    both = {
        name: CallerSettings(dealers=["umazda"], access={"dealers": "read"}, calls_per_minute=limit)
        for name, limit in (("busy", 1), ("calm", 50))
    }
    live = LiveSettings(settings_for(store_url).model_copy(update={"callers": both}))
    calling = "busy"
    async with (
        open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls,
        Client(build_server(calls, lambda: live.current.caller(calling))) as client,
    ):
        assert [kind_of(await client.call_tool("list_dealers")) for _ in range(3)] == [None, "limited", "limited"]
        calling = "calm"
        assert [kind_of(await client.call_tool("list_dealers")) for _ in range(3)] == [None] * 3


async def test_limit_is_on_record_in_sums(world: World, store_url: str) -> None:
    """A caller in a loop does not fill the audit, and a server that stops loses no refusal."""
    settings = settings_for(store_url)
    limited = settings.callers["tester"].model_copy(update={"calls_per_minute": 1, "writes_per_hour": 1})
    live = LiveSettings(settings.model_copy(update={"callers": {"tester": limited}}))
    async with (
        open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls,
        Client(build_server(calls, lambda: live.current.caller("tester"))) as client,
    ):
        for _ in range(31):
            await client.call_tool("list_dealers")
        for _ in range(3):
            await client.call_tool("list_inventory", {"dealer": "umazda"})
    summary = [
        (row.record.tool, row.record.outcome, row.record.setting.rpartition(".")[2], row.record.arguments)
        for row in await records(store_url)
    ]
    assert summary[:2] == [("list_dealers", "done", "dealers", {}), ("list_dealers", "limited", "calls_per_minute", {})]
    assert summary[2][3].keys() == {"dealer"}
    assert sorted(summary[3:], key=str) == [
        ("list_dealers", "limited", "calls_per_minute", {"refusals": "29"}),
        ("list_inventory", "limited", "calls_per_minute", {"refusals": "2"}),
    ]


async def test_sums_of_refusals_come_while_the_caller_goes_on(world: World, store_url: str) -> None:
    """Each record of a sum says how many refusals there were since the one before it."""
    sums: list[AuditRecord] = []
    both = anyio.Event()

    async def put(record: AuditRecord) -> None:
        sums.append(record)
        if len(sums) == 1:
            assert refusals.count(RECORD)
            raise StoreError("locked")
        both.set()

    refusals = RefusalSums(put, seconds=0.01)
    assert [refusals.count(RECORD) for _ in range(5)] == [False, True, True, True, True]
    assert not refusals.count(replace(RECORD, principal="work:other")), "another person of the same role"
    with anyio.fail_after(PATIENCE):
        await both.wait()
    await refusals.close()
    assert [dict(record.arguments) for record in sums] == [{"refusals": "4"}, {"refusals": "5"}]
    assert not refusals.count(RECORD), "a pause makes the next refusal a first one"
    await refusals.close()


async def test_people_are_asked_about_as_many_writes_an_hour_as_may_be_sent(world: World, store_url: str) -> None:
    """Whoever asks and takes back in a loop has few writes that wait at a time, and fills the audit."""
    settings = approving_settings(store_url, confirm_by=["page"], writes_per_hour=2)
    async with open_office(world, settings, ask=Person("decline")) as office:
        results = [
            await office.client.call_tool("create_customer", {**NEW_CUSTOMER, "idempotency_key": f"loop-{number:04}"})
            for number in range(3)
        ]
    assert [kind_of(result) for result in results] == ["not_confirmed", "not_confirmed", "limited"]
    assert "2 writes an hour that people are asked about" in text_of(results[2])
    assert [row.record.outcome for row in await records(store_url)].count("withdrawn") == 2


async def test_a_write_that_was_asked_about_counts_once_when_it_is_sent(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url, writes_per_hour=1)) as office:
        assert await office.decide(await office.ask("create_customer", NEW_CUSTOMER))
        assert answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))["customer_id"]
    assert await sent_writes(world) == ["create_customer"]
