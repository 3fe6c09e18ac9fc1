"""A call that lasts tells a client that asked for it, again and again, what it waits for."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import httpx2
import pytest
from mcp_types import ElicitResult, ReadResourceRequest, ReadResourceRequestParams, ReadResourceResult

from roadster_client.upstream.admission import AT_ONCE_FOR_A_CALLER
from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_tools import Access
from tests.conftest import Connect, World, answer_of
from tests.servers import PATIENCE
from tests.tool_examples import LICENCE_PNG, STEVE

pytestmark = pytest.mark.anyio

OFTEN = Timing(progress_seconds=0.005)
eras = pytest.mark.parametrize("mode", ["legacy", "auto"])
UMAZDA = {"dealer": "umazda"}


class Watcher:
    """The progress that a client was told of. `seen` waits until one report has this text."""

    def __init__(self) -> None:
        self.numbers: list[float] = []
        self.messages: list[str | None] = []
        self._one_more = anyio.Event()

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments that ask for progress. In memory, clients of 2026-07-28 send no token of their own."""
        return {"progress_callback": self.on_progress, "meta": {"progress_token": "own"}}

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        self.numbers.append(progress)
        self.messages.append(message)
        self._one_more.set()

    async def seen(self, message: str, times: int = 1) -> None:
        with anyio.fail_after(PATIENCE):
            while self.messages.count(message) < times:
                await self._one_more.wait()
                self._one_more = anyio.Event()


class HeldUpstream(httpx2.AsyncBaseTransport):
    """The sandbox, which answers only while `open` is set."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.open = anyio.Event()
        self.asked = anyio.Event()
        self.count = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.count += 1
        self.asked.set()
        await self.open.wait()
        return await self._sandbox.handle_async_request(request)


async def release(watcher: Watcher, upstream: HeldUpstream, message: str) -> None:
    await watcher.seen(message, times=3)
    upstream.open.set()


@eras
@pytest.mark.reliability("an upstream that answers slowly", "a client that asked is told what the call waits for")
async def test_call_says_that_it_waits_for_the_upstream(mode: str, connect: Connect, world: World) -> None:
    watcher, upstream = Watcher(), HeldUpstream(world)
    async with connect(mode=mode, upstream=upstream, timing=OFTEN) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(release, watcher, upstream, "waiting for Roadster to answer")
        result = await client.call_tool("list_inventory", UMAZDA, **watcher.asked)
    assert answer_of(result)["vehicles"]
    assert all(earlier < later for earlier, later in itertools.pairwise(watcher.numbers))


@eras
async def test_upload_says_that_it_waits_for_the_upstream(mode: str, connect: Connect, world: World) -> None:
    document = {
        "document_type": "license",
        "document_name": "Steve's licence",
        "file_name": "steve.png",
        "relationship": "self",
        "contents": LICENCE_PNG,
    }
    watcher, upstream = Watcher(), HeldUpstream(world)
    async with connect(mode=mode, upstream=upstream, timing=OFTEN) as client, anyio.create_task_group() as tasks:
        upstream.open.set()
        customer = answer_of(await client.call_tool("create_customer", {**UMAZDA, "customer": STEVE}))["customer_id"]
        upstream.open = anyio.Event()
        tasks.start_soon(release, watcher, upstream, "waiting for Roadster to answer")
        arguments = {**UMAZDA, **document, "customer_id": customer}
        answer_of(await client.call_tool("upload_document", arguments, **watcher.asked))
    assert set(watcher.messages) <= {"under way", "waiting for Roadster to answer"}, "nothing of the call is told"


@eras
async def test_call_says_that_it_waits_for_its_turn(mode: str, connect: Connect, world: World) -> None:
    watcher, upstream = Watcher(), HeldUpstream(world)

    async def hold() -> None:
        await client.call_tool("list_inventory", UMAZDA)

    async with connect(mode=mode, upstream=upstream, timing=OFTEN) as client, anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE_FOR_A_CALLER):
            tasks.start_soon(hold)
        with anyio.fail_after(PATIENCE):
            while upstream.count < AT_ONCE_FOR_A_CALLER:
                await upstream.asked.wait()
                upstream.asked = anyio.Event()
        tasks.start_soon(release, watcher, upstream, "waiting for a turn at Roadster")
        await client.call_tool("list_inventory", UMAZDA, **watcher.asked)


@eras
async def test_call_says_that_it_pauses_before_another_attempt(mode: str, connect: Connect, world: World) -> None:
    watcher = Watcher()
    async with connect(mode=mode, timing=OFTEN) as client:
        await world.fault("list_inventory", "status")
        answer_of(await client.call_tool("list_inventory", UMAZDA, **watcher.asked))
    assert "an attempt at Roadster has failed" in watcher.messages


async def test_call_says_that_it_waits_for_a_person(connect: Connect) -> None:
    """In protocol 2026-07-28 the question is the answer of the call, so nothing waits."""
    watcher = Watcher()

    async def ask(*_: Any) -> ElicitResult:
        await watcher.seen("waiting for a person's answer", times=3)
        return ElicitResult(action="accept", content={})

    rights = {"access": {"customers": Access.CONFIRM}}
    async with connect(mode="legacy", timing=OFTEN, ask=ask, **rights) as client:
        arguments = {**UMAZDA, "customer": STEVE}
        answer_of(await client.call_tool("create_customer", arguments, **watcher.asked))
    for message in watcher.messages:
        for value in STEVE.values():
            assert str(value) not in str(message)


async def test_resource_that_is_read_slowly_reports_progress(connect: Connect, world: World) -> None:
    watcher, upstream = Watcher(), HeldUpstream(world)
    request = ReadResourceRequest(params=ReadResourceRequestParams(uri="roadster://umazda"))
    async with connect(mode="legacy", upstream=upstream, timing=OFTEN) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(release, watcher, upstream, "waiting for Roadster to answer")
        await client.session.send_request(request, ReadResourceResult, progress_callback=watcher.on_progress)


async def test_call_of_a_client_that_has_not_asked_reports_nothing(connect: Connect, world: World) -> None:
    """A report comes before its call's answer, so one would have come by the end."""
    messages: list[Any] = []
    watcher, upstream = Watcher(), HeldUpstream(world)

    async def on_message(message: Any) -> None:
        messages.append(message)

    async with connect(mode="legacy", upstream=upstream, timing=OFTEN) as client, anyio.create_task_group() as tasks:
        client.session._message_handler = on_message
        tasks.start_soon(client.call_tool, "list_inventory", UMAZDA)
        tasks.start_soon(release, watcher, upstream, "waiting for Roadster to answer")
        await client.call_tool("list_inventory", UMAZDA, **watcher.asked)
    assert len({message.params.progress_token for message in messages}) == 1
