"""A few large messages are in the memory at once, of each caller and in all. Others wait, and small ones go past."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.lowlevel import Server
from mcp_types import CallToolResult
from starlette.types import Message, Receive, Scope, Send

from roadster_server.identity.tokens import identity_of
from roadster_server.transports.http.intake import Intake
from roadster_server.transports.http.sse_pair import SsePair
from roadster_server.transports.large_messages import LARGE_BYTES, LargeMessages, MessagePlace, NoPlaceFree
from roadster_server.transports.messages import NOT_NOW
from tests.hanging import HangingUpstream
from tests.processes.stopping import INITIALIZED, call, stdio_server, upstream
from tests.servers import PATIENCE
from tests.upstreams import VIRTUAL_TIME

from .test_http import INITIALIZE

__all__ = ["upstream"]  # a fixture

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
LARGE = PING.ljust(LARGE_BYTES + 1)


class Transport:
    """Stands behind the intake: it counts the messages that it holds, and answers when `answer` is set."""

    def __init__(self) -> None:
        self.held = 0
        self.most_held = 0
        self.begin_answer = anyio.Event()
        self.end_answer = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        await self.begin_answer.wait()
        self.held -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.end_answer.wait()
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})


class Sender:
    """One POST of a caller. `is_read` tells whether the server has asked for its body."""

    def __init__(
        self,
        intake: Intake,
        caller: str,
        body: bytes,
        *,
        declares_length: bool = True,
        path: str = "/mcp",
        query: bytes = b"",
    ) -> None:
        self._intake = intake
        self._address = {"path": path, "query_string": query}
        self._caller = caller
        self._chunks = [body[:100], body[100:]]
        self._headers = [(b"content-type", b"application/json")]
        if declares_length:
            self._headers.append((b"content-length", str(len(body)).encode()))
        self.is_read = False
        self.next_chunk: anyio.Event | None = None
        self.status = 0
        self.body = b""

    async def send(self) -> None:
        user = AuthenticatedUser(identity_of(self._caller))
        auth_context_var.set(user)
        scope = {"type": "http", "method": "POST", "headers": self._headers, "user": user, **self._address}
        await self._intake(scope, self._receive, self._take_answer)

    async def _receive(self) -> Message:
        await anyio.lowlevel.checkpoint()
        self.is_read = True
        if self.next_chunk is not None:
            await self.next_chunk.wait()
        chunk = self._chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}

    async def _take_answer(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def settle() -> None:
    """Lets every task run until it waits."""
    await anyio.wait_all_tasks_blocked()


@reliability(
    "large messages of many callers at once",
    "four of a caller and sixteen in all are let in, each until its call ends; others wait in turn",
)
@pytest.mark.parametrize("declares_length", [True, False])
async def test_large_messages_are_let_in_a_few_at_once(declares_length: bool) -> None:
    transport = Transport()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=2, most=4, wait_seconds=PATIENCE))
    transport.end_answer.set()
    one = [Sender(intake, "one", LARGE, declares_length=declares_length) for _ in range(8)]
    others = [Sender(intake, f"other {n}", LARGE, declares_length=declares_length) for n in range(8)]
    async with anyio.create_task_group() as tasks:
        for sender in one:
            tasks.start_soon(sender.send)
        await settle()
        assert transport.held == 2, "of one caller"
        for sender in others:
            tasks.start_soon(sender.send)
        await settle()
        assert transport.held == 4, "in all"
        if declares_length:
            assert sum(sender.is_read for sender in [*one, *others]) == 4, "nothing is read of those who wait"
        transport.begin_answer.set()
    assert transport.most_held == 4
    assert {sender.status for sender in [*one, *others]} == {200}


async def test_slow_sender_keeps_no_other_caller_out() -> None:
    transport = Transport()
    transport.begin_answer.set()
    transport.end_answer.set()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most=2, wait_seconds=PATIENCE))
    slow, other = (Sender(intake, caller, LARGE) for caller in ("slow", "other"))
    slow.next_chunk = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slow.send)
        await settle()
        with anyio.fail_after(PATIENCE):
            await other.send()
        assert (slow.is_read, slow.status, other.status) == (True, 0, 200)
        slow.next_chunk.set()
    assert slow.status == 200


@reliability("large messages while all places stay taken", "a 503 that says so; messages without a file go past")
async def test_large_message_without_a_place_is_refused_and_small_ones_go_past() -> None:
    transport = Transport()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most=1, wait_seconds=0.01))
    first, second, small = (Sender(intake, "one", body) for body in (LARGE, LARGE, PING))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.send)
        await settle()
        await second.send()
        tasks.start_soon(small.send)
        await settle()
        assert transport.held == 2, "the first large one and the small one"
        transport.begin_answer.set()
        transport.end_answer.set()
    assert (second.status, second.is_read) == (503, False)
    assert "Limited: too many large messages" in json.loads(second.body)["error"]["message"]
    assert (first.status, small.status) == (200, 200)


@reliability(
    "calls with large messages that never end",
    "hold no more memory than their places: the next one waits, also where the answer has begun",
)
async def test_place_is_taken_until_the_call_ends() -> None:
    """The message is in the memory until then: while an upstream hangs, and while a person decides.

    A place was free once the answer had begun, which let 25 hanging calls of one caller hold 467 MB.
    """
    transport = Transport()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most=1, wait_seconds=PATIENCE))
    first, second = (Sender(intake, "one", LARGE) for _ in range(2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.send)
        tasks.start_soon(second.send)
        transport.begin_answer.set()
        await settle()
        assert (first.status, first.body, second.is_read) == (200, b"", False)
        transport.end_answer.set()
    assert second.status == 200


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_whole_wait_for_a_place_has_one_deadline() -> None:
    places = LargeMessages(most_of_a_caller=1, most=1, wait_seconds=20)
    with places.place("one") as first:
        await first.wait(len(LARGE))
        second, third = places.place("two"), places.place("two")
        results = []

        async def wait_with(place: MessagePlace) -> None:
            with pytest.raises(NoPlaceFree), place:
                await place.wait(len(LARGE))
            results.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_with, second)  # for the place of all
            await anyio.sleep(15)
            tasks.start_soon(wait_with, third)  # first for the caller's own, which is free after five seconds
    assert results == [20, 35]


class SlowServer:
    """A server whose calls end when `release` is set, and its SSE pair behind an intake."""

    def __init__(self, large_messages: LargeMessages) -> None:
        self.release = anyio.Event()
        self.leave = anyio.Event()
        self.calls = 0
        self.events: list[bytes] = []
        server: Server[Any] = Server("slow", on_call_tool=self._call)
        self._pair = SsePair(server)
        self.intake = Intake(self._pair.take_message, lambda: False, large_messages)

    async def _call(self, _ctx: Any, _params: Any) -> CallToolResult:
        self.calls += 1
        await self.release.wait()
        return CallToolResult(content=[])

    async def open_stream(self) -> None:
        scope = {"type": "http", "method": "GET", "path": "/sse", "headers": [], "query_string": b"", "root_path": ""}
        scope["user"] = AuthenticatedUser(identity_of("one"))
        await self._pair.open_stream(scope, self._stay, self._take)

    async def _stay(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _take(self, message: Message) -> None:
        self.events.append(message.get("body", b""))

    def post(self, message: dict[str, Any], *, size: int = 0) -> Sender:
        (query,) = re.findall(rb"session_id=[0-9a-f]+", b"".join(self.events))
        return Sender(self.intake, "one", json.dumps(message).encode().ljust(size), path="/messages", query=query)


CALL = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "slow", "arguments": {}}}
CANCELLED = {"jsonrpc": "2.0", "method": "notifications/cancelled"}


async def test_sse_pair_keeps_the_place_until_the_call_ends() -> None:
    server = SlowServer(LargeMessages(most_of_a_caller=2, most=2, wait_seconds=0.01))

    async def status_of(message: dict[str, Any]) -> int:
        sender = server.post(message, size=len(LARGE))
        await sender.send()
        await settle()
        return sender.status

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.open_stream)
        await settle()
        for message in (INITIALIZE, INITIALIZED):
            await server.post(message).send()
            await settle()
        assert [await status_of(CALL | {"id": id_}) for id_ in (5, 5, 7)] == [202, 202, 503], "an id may come twice"
        assert await status_of(CANCELLED | {"params": {"requestId": 6}}) == 503, "it is large as well"
        await server.post(CANCELLED | {"params": {"requestId": 6}}).send()
        assert await status_of(CALL | {"id": 8}) == 503
        await server.post(CANCELLED | {"params": {"requestId": 5}}).send()
        await settle()
        assert [await status_of(CALL | {"id": id_}) for id_ in (9, 10)] == [202, 503]
        server.release.set()
        await settle()
        assert [await status_of(CALL | {"id": id_}) for id_ in (11, 12)] == [202, 202]
        assert server.calls == 5
        server.release = anyio.Event()
        assert [await status_of(CALL | {"id": id_}) for id_ in (13, 14, 15)] == [202, 202, 503]
        server.leave.set()
    async with anyio.create_task_group() as tasks:
        server.events.clear()
        server.leave = anyio.Event()
        tasks.start_soon(server.open_stream)
        await settle()
        assert await status_of(INITIALIZE) == 202, "the places of a stream are free after it"
        server.leave.set()


@reliability("a hundred requests open over `/messages` or stdio", "more are refused in words until one is answered")
async def test_sse_pair_takes_a_hundred_open_requests() -> None:
    server = SlowServer(LargeMessages())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.open_stream)
        await settle()
        for message in (INITIALIZE, INITIALIZED):
            await server.post(message).send()
            await settle()
        senders = [server.post(CALL | {"id": id_}) for id_ in range(101)]
        for sender in senders:
            await sender.send()
        assert [sender.status for sender in senders] == [202] * 100 + [503]
        assert "more than 100 requests are open" in json.loads(senders[-1].body)["error"]["message"]
        server.release.set()
        await settle()
        assert server.calls == 100
        again = server.post(CALL | {"id": 101})
        await again.send()
        assert again.status == 202
        server.leave.set()


@reliability("large messages over stdio whose calls never end", "sixteen are let in, more are refused in words at once")
async def test_stdio_keeps_the_place_until_the_call_ends(upstream: HangingUpstream, tmp_path: Path) -> None:
    def large(id_: int) -> bytes:
        return json.dumps(call("list_dealers", id_)).encode().ljust(len(LARGE))

    async with stdio_server(upstream, tmp_path) as server:
        await server.send(*map(large, range(100, 117)))
        refusal = await server.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (116, NOT_NOW)
        await server.send(CANCELLED | {"params": {"requestId": 100}}, large(117), large(118))
        assert (await server.receive())["id"] == 118


async def _refused(sender: Sender) -> None:
    await sender.send()


async def _given_up(sender: Sender) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.send)
        await settle()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("end", "body"), [(_refused, b"{".ljust(len(LARGE))), (_given_up, LARGE)], ids=["refused", "given up"]
)
async def test_place_is_free_after_an_exchange_without_answer(
    end: Callable[[Sender], Awaitable[None]], body: bytes
) -> None:
    transport = Transport()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most=1, wait_seconds=PATIENCE))
    for _ in range(3):
        await end(Sender(intake, "one", body))
    transport.begin_answer.set()
    transport.end_answer.set()
    last = Sender(intake, "one", LARGE)
    with anyio.fail_after(PATIENCE):
        await last.send()
    assert last.status == 200
