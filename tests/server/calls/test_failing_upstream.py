"""A failing or busy upstream, as two callers of one server see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp import Client

from roadster_client.upstream.admission import AT_ONCE_FOR_A_CALLER
from roadster_client.upstream.breaker import FAILURES_IN_A_ROW
from roadster_sandbox import SandboxTransport
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from tests.conftest import ALLOWED, EVERYTHING, Connect, World, answer_of, kind_of, settings_for, text_of
from tests.tool_examples import STEVE

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@asynccontextmanager
async def two_callers(store: str, network: httpx2.AsyncBaseTransport) -> AsyncIterator[tuple[Client, Client]]:
    both = dict.fromkeys(("greedy", "patient"), CallerSettings(dealers=list(ALLOWED), access=dict(EVERYTHING)))
    live = LiveSettings(settings_for(store).model_copy(update={"callers": both}))
    async with (
        open_calls(live, local=True, transport=network) as calls,
        Client(build_server(calls, lambda: live.current.caller("greedy"))) as greedy,
        Client(build_server(calls, lambda: live.current.caller("patient"))) as patient,
    ):
        yield greedy, patient


class SlowAt(httpx2.AsyncBaseTransport):
    """The sandbox, which never answers for one dealer. `full` is set when it has a caller's share of such requests."""

    def __init__(self, world: World, dealer: str) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._dealer = dealer
        self.waiting = 0
        self.full = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._dealer in str(request.url):
            self.waiting += 1
            if self.waiting == AT_ONCE_FOR_A_CALLER:
                self.full.set()
            await anyio.sleep_forever()
        return await self._sandbox.handle_async_request(request)


@reliability("one caller's slow calls fill its share", "through the whole server, another caller is answered meanwhile")
async def test_slow_calls_of_one_caller_do_not_delay_another(world: World, store_url: str) -> None:
    network = SlowAt(world, "umazda")
    async with two_callers(store_url, network) as (greedy, patient), anyio.create_task_group() as tasks:
        for _ in range(2 * AT_ONCE_FOR_A_CALLER):
            tasks.start_soon(greedy.call_tool, "list_inventory", {"dealer": "umazda"})
        await network.full.wait()
        for _ in range(5):
            answer_of(await patient.call_tool("list_inventory", {"dealer": "hyundaidemo"}))
        assert network.waiting == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()


async def test_attempt_that_is_repeated_is_logged_in_our_words(
    connect: Connect, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.fault("list_inventory", "status", status=503)
    async with connect() as client:
        answer_of(await client.call_tool("list_inventory", {"dealer": "umazda"}))
    (line,) = (record for record in caplog.records if record.getMessage() == "upstream failed, and is asked again")
    assert (line.operation, line.attempt) == ("list_inventory", 2)  # type: ignore[attr-defined]


@reliability("calls at a dealer whose breaker is open", "the assistant reads when to call again; other dealers work")
async def test_open_breaker_tells_an_assistant_when_to_call_again(world: World, store_url: str) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with two_callers(store_url, SandboxTransport(world.app)) as (greedy, patient):
        for _ in range(FAILURES_IN_A_ROW):
            assert kind_of(await greedy.call_tool("list_inventory", {"dealer": "umazda"})) == "upstream"
        result = await patient.call_tool("list_inventory", {"dealer": "umazda"})
        assert kind_of(result) == "upstream"
        assert "Nothing was done; call again in 10 seconds." in text_of(result)
        answer_of(await patient.call_tool("list_inventory", {"dealer": "hyundaidemo"}))


@reliability("a write while the breaker is open", "nothing is sent, and its idempotency key stays free")
async def test_write_not_sent_leaves_its_key_free(world: World, store_url: str) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with two_callers(store_url, SandboxTransport(world.app)) as (client, _):
        arguments = {"dealer": "umazda", "customer": STEVE}
        for _ in range(FAILURES_IN_A_ROW):
            await client.call_tool("create_customer", arguments)
        for _ in range(2):
            result = await client.call_tool("create_customer", {**arguments, "idempotency_key": "steve-2026-01"})
            assert kind_of(result) == "upstream"
    assert len(await world.requests()) == FAILURES_IN_A_ROW
