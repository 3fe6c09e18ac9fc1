"""What costs a server more than it costs its sender: tiny chunks, many lines, and clients that send on and on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import accumulate, cycle, islice, pairwise
from typing import Any

import anyio
import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from roadster_server.transports.http.listening import parser
from roadster_server.transports.http.listening.http_server import http_server
from roadster_server.transports.http.listening.parser import MOST_CHUNKS, MOST_LINES, Parser
from roadster_server.transports.http.listening.sockets import listen
from tests.servers import PATIENCE

from .listening import listening
from .test_connections import FakeSocket, all_of, client_of, connection, live_with, rules_for_tests

pytestmark = pytest.mark.anyio

CHUNKED = b"POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\n \r\n"
READ = 256 * 1024
"""Bytes that asyncio reads at once."""


# Portions


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The events that h11 has parsed, as they come."""
    events: list[Any] = []
    next_event = h11.Connection.next_event

    def note(connection: h11.Connection) -> Any:
        events.append(event := next_event(connection))
        return event

    monkeypatch.setattr(h11.Connection, "next_event", note)
    return events


@pytest.mark.reliability(
    "bodies in chunks of one byte, on many connections",
    "others are served in between, and a connection ends after 10,000 chunks",
)
async def test_tiny_chunks_leave_the_loop_to_others(parsed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MOST_CHUNKS", 200)
    rules = rules_for_tests()
    clients = [client_of(FakeSocket(), rules=rules) for _ in range(20)]
    most = 0
    for client in clients:
        before = len(parsed)
        client.data_received(CHUNKED + TINY * (READ // len(TINY)))
        most = max(most, len(parsed) - before)
    with anyio.fail_after(PATIENCE):
        while not all(client.transport.is_closing() for client in clients):
            before = len(parsed)
            await anyio.lowlevel.checkpoint()
            most = max(most, len(parsed) - before)
    assert most <= 16
    assert len(parsed) <= 20 * 202
    for client in clients:
        client.connection_lost(None)


async def test_body_of_ten_thousand_chunks_is_read_and_no_longer_one() -> None:
    reader = Parser()
    reader.receive_data(CHUNKED + TINY * MOST_CHUNKS + b"0\r\n\r\n" + CHUNKED + TINY * (MOST_CHUNKS + 1))
    bodies = bodies_of(reader, [b""])
    assert next(bodies) == b" " * MOST_CHUNKS
    with pytest.raises(h11.RemoteProtocolError, match="chunks"):
        next(bodies)


async def test_nothing_is_parsed_behind_an_answer(parsed: list[Any]) -> None:
    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body"})

    socket = FakeSocket()
    client = client_of(socket, refuse)
    client.data_received(CHUNKED + TINY * 1000)
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    count = len(parsed)
    client.data_received(TINY * 1000)
    await anyio.lowlevel.checkpoint()
    assert len(parsed) == count < 100
    assert b"connection: close" in socket.written
    client.connection_lost(None)


requests = st.one_of(
    st.binary(max_size=100).map(
        lambda body: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    ),
    st.lists(st.binary(min_size=1, max_size=40), max_size=60).map(
        lambda chunks: CHUNKED + b"".join(b"%x;e=0\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    ),
    st.just(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
)


@given(st.lists(requests, min_size=1, max_size=3), st.lists(st.integers(1, 50), min_size=1, max_size=10))
@settings(deadline=None)
def test_portions_hold_what_was_sent(sent: list[bytes], sizes: list[int]) -> None:
    """In whatever pieces it comes, also within the end of a chunk."""
    whole = b"".join(sent)
    ends = [*accumulate(islice(cycle(sizes), len(whole)))]
    pieces = [whole[start:end] for start, end in pairwise([0, *ends]) if start < len(whole)]
    plain = h11.Connection(h11.SERVER)
    plain.receive_data(whole)
    assert list(bodies_of(Parser(), pieces)) == list(bodies_of(plain, [b""]))


def bodies_of(reader: h11.Connection, pieces: list[bytes]) -> Iterator[bytes]:
    body = b""
    for piece in pieces:
        if piece:
            reader.receive_data(piece)
        while True:
            if isinstance(reader, Parser):
                reader.begin_portion()
            while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    yield body
                    body = b""
                    reader.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
                    reader.send(h11.EndOfMessage())
                    reader.start_next_cycle()
            if not isinstance(reader, Parser) or not reader.is_behind:
                break


# Limits


@pytest.mark.reliability("a head of many lines or blanks, and trailers", "a 400, before they are parsed")
@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * MOST_LINES + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\na:" + b" " * 100 + b"b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\na: " + b"b" * 2_000_000 + b"\r\n\r\n",
        CHUNKED.replace(b"/mcp", b"/healthz") + b"0\r\na:b\r\n\r\n",
        CHUNKED.replace(b"/mcp", b"/healthz") + TINY + b"00;x=y\r\na:b\r\n\r\n",
    ],
    ids=["many lines", "many blanks", "two megabytes", "trailers", "trailers behind a chunk"],
)
async def test_requests_that_take_long_to_parse_are_refused(request_: bytes, store_url: str) -> None:
    async with listening(live_with(store_url)) as url, connection(url) as stream:
        await stream.send(request_)
        assert (await all_of(stream)).startswith(b"HTTP/1.1 400")


async def test_head_of_a_hundred_lines_is_read(store_url: str) -> None:
    async with listening(live_with(store_url)) as url, connection(url) as stream:
        lines = b"a:b\r\n" * (MOST_LINES - 2)
        await stream.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n")
        assert (await all_of(stream)).startswith(b"HTTP/1.1 200")


# Ends


@pytest.mark.reliability(
    "a client that still sends when its request is refused",
    "it reads the answer: what it sends is thrown away for up to ten seconds",
)
@pytest.mark.parametrize("framing", [b"Content-Length: 8000000", b"Transfer-Encoding: chunked"])
async def test_client_that_still_sends_can_read_its_answer(framing: bytes, store_url: str) -> None:
    async with listening(live_with(store_url)) as url, connection(url) as stream:
        host = url.removeprefix("http://").encode()
        await stream.send(b"POST /mcp HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n" % (host, framing))
        for _ in range(80):
            await stream.send(b"186a0\r\n" + b" " * 99_991 + b"\r\n")
        answer = await all_of(stream)
    assert answer.startswith(b"HTTP/1.1 401")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_description"]


async def test_chunks_behind_an_answer_that_are_no_chunks_are_no_line_of_the_log(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(live_with(store_url)) as url, connection(url) as stream:
        await stream.send(CHUNKED)
        await stream.receive()
        await stream.send(b"no chunk\r\n" * 100)
        await all_of(stream)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.reliability("SIGTERM while bodies still come", "their connections end, without an error in the log")
async def test_stop_ends_requests_whose_bodies_have_not_come(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    begun = anyio.Event()

    async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    server = http_server(read, live_with(store_url), descriptors=4096)
    server.config.lifespan = "off"
    with listen("127.0.0.1", 0) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with connection(f"http://127.0.0.1:{listener.getsockname()[1]}") as stream:
                await stream.send(CHUNKED + TINY)
                with anyio.fail_after(PATIENCE):
                    await begun.wait()
                server.should_exit = True
                assert await all_of(stream) == b""
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
