"""The limits of each caller."""

from __future__ import annotations

import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.limiter import Limiter
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import CallerSettings
from roadster_tools import Caller, Limited
from tests.conftest import (
    Connect,
    World,
    answer_of,
    kind_of,
    settings_for,
    text_of,
)

from .writes import NEW_CUSTOMER, sent_writes

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
