"""A few large messages are read at once, of each caller and in all. The others wait, and small ones go past."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Awaitable, Callable

import anyio
import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import Message, Receive, Scope, Send

from roadster_server.transports.intake import Intake
from roadster_server.transports.large_messages import LARGE_BYTES, LargeMessages
from roadster_server.transports.messages import MAX_MESSAGE_BYTES, MessageRefused, read_message
from roadster_server.transports.tokens import identity_of
from tests.servers import PATIENCE

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

    def __init__(self, intake: Intake, caller: str, body: bytes, *, declares_length: bool = True) -> None:
        self._intake = intake
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
        auth_context_var.set(AuthenticatedUser(identity_of(self._caller)))
        scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": self._headers}
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
    "sixteen large messages at once",
    "two of a caller are received at once, and two in all are read; others wait in turn",
)
@pytest.mark.parametrize("declares_length", [True, False])
async def test_large_messages_are_read_a_few_at_once(declares_length: bool) -> None:
    transport = Transport()
    intake = Intake(
        transport, lambda: False, LargeMessages(most_of_a_caller=2, most_received=6, most_read=4, wait_seconds=PATIENCE)
    )
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
            assert sum(sender.is_read for sender in one) == 2, "nothing is read of those who wait for their caller"
            assert sum(sender.is_read for sender in [*one, *others]) == 6, "nor of those who wait for others"
        transport.begin_answer.set()
    assert transport.most_held == 4
    assert {sender.status for sender in [*one, *others]} == {200}


async def test_slow_sender_keeps_no_other_caller_out() -> None:
    transport = Transport()
    transport.begin_answer.set()
    transport.end_answer.set()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most_read=1, wait_seconds=PATIENCE))
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
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most_read=1, wait_seconds=0.01))
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


async def test_place_is_free_once_the_answer_begins() -> None:
    """An answer may be a stream that goes on while a person decides."""
    transport = Transport()
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most_read=1, wait_seconds=PATIENCE))
    first, second = (Sender(intake, "one", LARGE) for _ in range(2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.send)
        await settle()
        tasks.start_soon(second.send)
        await settle()
        assert not second.is_read
        transport.begin_answer.set()
        await settle()
        assert (first.status, first.body, second.status) == (200, b"", 200)
        transport.end_answer.set()


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
    intake = Intake(transport, lambda: False, LargeMessages(most_of_a_caller=1, most_read=1, wait_seconds=PATIENCE))
    for _ in range(3):
        await end(Sender(intake, "one", body))
    transport.begin_answer.set()
    transport.end_answer.set()
    last = Sender(intake, "one", LARGE)
    with anyio.fail_after(PATIENCE):
        await last.send()
    assert last.status == 200


def peak_of(raw: bytes) -> int:
    """Returns the most bytes that reading takes beside the message itself."""
    tracemalloc.start()
    try:
        read_message(raw)
    except MessageRefused:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@reliability("a message of 1.3 million values", "is not parsed: above 100,000 values it is refused under its id")
def test_message_of_too_many_values_is_not_parsed() -> None:
    head = b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": ['
    largest = head + b",".join([b"{}"] * 49_000) + b"]}}"
    too_many = (head + b",".join([b"{}"] * 1_300_000) + b"]}}")[:MAX_MESSAGE_BYTES]
    peak = peak_of(too_many)
    assert peak < len(too_many), "less than a copy of it"
    assert peak < peak_of(largest)
