"""Connections: how many there may be, how long each may be silent, and requests that come at once on one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import HttpSettings
from roadster_server.transports.http.listening.connection import MOST_PIPELINED, ClientConnection, ConnectionRules
from roadster_server.transports.http.listening.connections import Connections, Limit, TooManyConnections
from roadster_server.transports.http.listening.descriptors import room_below
from roadster_server.transports.http.listening.http_server import http_server
from roadster_server.transports.http.listening.sockets import listen
from roadster_server.transports.messages import NOT_NOW
from tests.servers import PATIENCE
from tests.upstreams import VIRTUAL_TIME

from .listening import listening
from .test_sessions import Sessions, live_settings

pytestmark = pytest.mark.anyio

SOON = 0.2
"""Seconds for a head, where a test waits for the end of a connection."""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def live_with(store_url: str, **http: Any) -> LiveSettings:
    return LiveSettings(live_settings(store_url).current.model_copy(update={"http": HttpSettings(**http)}))


@asynccontextmanager
async def connection(url: str, address: str = "127.0.0.1") -> AsyncIterator[anyio.abc.SocketStream]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with await anyio.connect_tcp(parts.hostname, parts.port, local_host=address) as stream:
        yield stream


async def all_of(stream: anyio.abc.SocketStream) -> bytes:
    """Returns what comes until the server ends the connection."""
    received = b""
    with anyio.fail_after(PATIENCE):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


async def status_of(url: str, address: str = "127.0.0.1") -> int:
    """Returns the status of a request on a connection of its own from `address`, 0 if the connection is cut off."""
    async with connection(url, address) as stream:
        with suppress(anyio.BrokenResourceError):
            await stream.send(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = await all_of(stream)
    return int(answer.split()[1]) if answer else 0


async def until_status(status: int, url: str) -> None:
    with anyio.fail_after(PATIENCE):
        while await status_of(url) != status:
            await anyio.sleep(0.01)


# How many


@pytest.mark.reliability(
    "too many connections of one address",
    "a short 503; others connect",
)
async def test_connections_of_one_address_are_limited(store_url: str) -> None:
    async with listening(live_with(store_url, connections_per_address=3)) as url:
        async with AsyncExitStack() as silent:
            for _ in range(3):
                await silent.enter_async_context(connection(url))
            assert await status_of(url) == 503
            assert await status_of(url, "127.0.0.2") == 200
        await until_status(200, url)


@asynccontextmanager
async def busy_connection(url: str, address: str = "127.0.0.1") -> AsyncIterator[anyio.abc.SocketStream]:
    """A connection with a request whose body does not come. The server has asked for it."""
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer one\r\n"
        "Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    async with connection(url, address) as stream:
        await stream.send(head.encode())
        assert (await stream.receive()).startswith(b"HTTP/1.1 100")
        yield stream


async def test_connections_with_requests_are_limited_in_all(store_url: str) -> None:
    async with listening(live_with(store_url, connections=3)) as url, AsyncExitStack() as busy:
        for number in range(3):
            await busy.enter_async_context(busy_connection(url, f"127.0.0.{number + 1}"))
        assert await status_of(url, "127.0.0.9") == 503


@pytest.mark.reliability(
    "many addresses take all connections",
    "one that has waited longest for a request makes room for a new one",
)
async def test_connection_that_waits_makes_room_for_a_new_one(store_url: str) -> None:
    async with listening(live_with(store_url, connections=4)) as url, AsyncExitStack() as silent:
        first, second, *_ = [
            await silent.enter_async_context(connection(url, f"127.0.0.{number + 1}")) for number in range(4)
        ]
        assert await status_of(url, "127.0.0.9") == 200
        assert await all_of(first) == b""
        await second.send(HEALTH)
        assert (await second.receive()).startswith(b"HTTP/1.1 200")


async def test_connections_of_a_trusted_proxy_are_limited_in_all_only(store_url: str) -> None:
    live = live_with(store_url, connections_per_address=1, connections=3, trusted_proxies=["127.0.0.0/24"])
    async with listening(live) as url, AsyncExitStack() as busy:
        for _ in range(2):
            await busy.enter_async_context(busy_connection(url))
        assert await status_of(url) == 200
        await busy.enter_async_context(busy_connection(url))
        assert await status_of(url) == 503


@pytest.mark.reliability(
    "few descriptors",
    "connections are refused before the descriptors run out",
)
async def test_connections_stay_below_the_limit_of_descriptors(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the settings say. The log names the descriptors at the start, and again at the first refusal."""
    number = room_below(64).connections
    async with listening(live_with(store_url), descriptors=64) as url, AsyncExitStack() as busy:
        for last in range(number):
            await busy.enter_async_context(busy_connection(url, f"127.0.0.{last + 1}"))
        assert await status_of(url) == 503
    start, refusal = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert start.getMessage() == "fewer connections than http.connections"
    limit = "the limit of 64 descriptors"
    assert vars(start) | {"connections": number, "wanted": 1000, "limit": limit} == vars(start)
    assert vars(refusal) | {"limit": limit, "allowed": number} == vars(refusal)


@pytest.mark.reliability(
    "few descriptors, and one address that takes all connections it gets",
    "it gets a quarter of them; others and the probes connect",
)
@pytest.mark.parametrize("limits", [{"descriptors": 64}, {"descriptors": 4096, "connections": 16}], ids=str)
async def test_one_address_leaves_connections_for_the_others(limits: dict[str, int], store_url: str) -> None:
    live = live_with(store_url, connections=limits.get("connections", 1000))
    async with listening(live, descriptors=limits["descriptors"]) as url, AsyncExitStack() as silent:
        for _ in range(4):
            await silent.enter_async_context(connection(url))
        assert await status_of(url) == 503
        assert await status_of(url, "127.0.0.2") == 200


@pytest.mark.parametrize("limit", [256, 512, 1024, 4096, 65_536, 1_048_576])
def test_room_leaves_descriptors_for_a_backlog_and_for_the_rest(limit: int) -> None:
    room = room_below(limit)
    assert room.connections >= limit // 8
    assert limit - 2 * room.connections >= 4 * room.backlog + min(256, limit // 4)


@pytest.mark.parametrize(("limit", "connections"), [(256, 64), (1024, 256), (2048, 640), (3008, 1000), (4096, 1408)])
def test_room_is_as_the_page_about_http_says(limit: int, connections: int) -> None:
    assert room_below(limit).connections == connections


async def test_refusals_are_one_line_of_the_log(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(live_with(store_url, connections_per_address=1)) as url, connection(url):
        for _ in range(20):
            assert await status_of(url) == 503
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.getMessage() == "too many connections, more are refused"
    assert vars(line)["limit"] == "http.connections_per_address"


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses_are_counted_as_those_of_one_owner(first: str, second: str, *, is_same: bool) -> None:
    connections = Connections(lambda: HttpSettings(connections_per_address=1), Limit(100, "descriptors"))
    place = connections.take_place(first)
    if is_same:
        with pytest.raises(TooManyConnections):
            connections.take_place(second)
    else:
        connections.take_place(second)
    place.free()
    connections.take_place(first)


# Streams


async def test_streams_take_no_place_of_a_connection(store_url: str) -> None:
    live = live_settings(store_url)
    live.current = live.current.model_copy(update={"http": HttpSettings(connections=8)})
    async with listening(live) as url, httpx2.AsyncClient(timeout=PATIENCE) as http, AsyncExitStack() as streams:
        sessions = Sessions(http, url)
        for session in [await sessions.open() for _ in range(2)]:
            await streams.enter_async_context(sessions.stream(session))
        async with busy_connection(url), busy_connection(url):
            assert await status_of(url) == 503
        await until_status(200, url)


@pytest.mark.reliability(
    "one caller opens stream after stream",
    "a 503 beyond its share",
)
async def test_streams_of_one_caller_are_limited(store_url: str) -> None:
    """A stream that has ended makes room."""
    async with listening(live_settings(store_url, streams=1)) as url, httpx2.AsyncClient(timeout=PATIENCE) as http:
        sessions, others = Sessions(http, url), Sessions(http, url, "two")
        first, second, other = await sessions.open(), await sessions.open(), await others.open()
        async with sessions.stream(first), others.stream(other):
            refusal = await http.get(f"{url}/sse", headers={"Authorization": "Bearer one"})
            assert refusal.status_code == 503
            assert "callers.one.streams" in refusal.json()["error"]["message"]
            assert refusal.json()["error"]["code"] == NOT_NOW
        with anyio.fail_after(PATIENCE):
            while (await sessions.stream_status(second)) == 503:
                await anyio.sleep(0.01)


# How long


@pytest.mark.reliability(
    "a connection that sends nothing, or half of a request",
    "it ends after ten seconds",
)
@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        HEALTH + b"GET /health",
        b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body behind its answer"],
)
async def test_connection_that_falls_silent_ends(beginning: bytes, store_url: str) -> None:
    async with listening(live_with(store_url), head_seconds=SOON) as url, connection(url) as stream:
        if beginning:
            await stream.send(beginning)
        await all_of(stream)


@pytest.mark.reliability(
    "headers that come byte by byte",
    "the connection ends after ten seconds",
)
async def test_head_that_comes_too_slowly_is_cut_off(store_url: str) -> None:
    """No single byte is late."""
    async with listening(live_with(store_url), head_seconds=SOON) as url, connection(url) as stream:
        with anyio.fail_after(PATIENCE), suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(b"x")
                await anyio.sleep(SOON / 10)


class FakeSocket(asyncio.Transport):
    """The socket of a client. `unread` are the bytes that it has not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self.unread = 0
        self.written = b""
        self.is_aborted = False
        self.is_closed = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.unread += len(data)
        self.written += data

    def write_eof(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_aborted = True


async def no_app(_scope: Any, _receive: Any, _send: Any) -> None:
    await anyio.sleep_forever()


def rules_for_tests() -> ConnectionRules:
    connections = Connections(HttpSettings, Limit(100, "descriptors"))
    return ConnectionRules(connections, HttpSettings, most_refusals=1, unread_seconds=30)


def client_of(socket: FakeSocket, app: ASGIApp = no_app, rules: ConnectionRules | None = None) -> ClientConnection:
    rules = rules or rules_for_tests()
    config = uvicorn.Config(cast("Any", app), log_config=None)
    config.load()
    client = ClientConnection(rules, config=config, server_state=ServerState(), app_state={})
    client.connection_made(socket)
    return client


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_client_that_reads_nothing_for_30_seconds_is_cut_off() -> None:
    socket = FakeSocket()
    client = client_of(socket)
    client.data_received(HEALTH)
    socket.unread = 100_000
    client.pause_writing()
    for _ in range(10):  # a slow reader
        await anyio.sleep(29)
        socket.unread -= 100
        assert not socket.is_aborted
    client.resume_writing()
    await anyio.sleep(100)
    assert not socket.is_aborted, "nothing more is to be read"
    client.pause_writing()
    await anyio.sleep(29)
    assert not socket.is_aborted
    await anyio.sleep(2)
    assert socket.is_aborted
    client.connection_lost(None)


@pytest.mark.reliability("a client that does not read its answer", "its connection ends after 30 seconds")
@pytest.mark.parametrize("head", [HEALTH, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")])
async def test_answer_that_nobody_reads_ends_with_its_connection(head: bytes, store_url: str) -> None:
    ended = anyio.Event()

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
        ended.set()

    server = http_server(endless, live_with(store_url), descriptors=4096, unread_seconds=SOON)
    server.config.lifespan = "off"
    with listen("127.0.0.1", 0) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with connection(f"http://127.0.0.1:{listener.getsockname()[1]}") as stream:
                await stream.send(head)
                with anyio.fail_after(PATIENCE):
                    await ended.wait()  # uvicorn drops the rest once the client is cut off
            server.should_exit = True


async def test_connection_is_kept_for_the_next_request_until_it_is_idle_for_too_long(store_url: str) -> None:
    """The time for a head does not count between two requests."""
    async with (
        listening(live_with(store_url, keep_alive_seconds=1), head_seconds=0.05) as url,
        connection(url) as stream,
    ):
        for _ in range(2):
            await stream.send(HEALTH)
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            await anyio.sleep(0.1)
        assert await all_of(stream) in {b"", b'{"status":"ok"}'}


async def test_what_is_no_http_is_no_line_of_the_log(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(live_with(store_url)) as url:
        for _ in range(5):
            async with connection(url) as stream:
                await stream.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
                assert (await all_of(stream)).startswith(b"HTTP/1.1 400")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# At once


@pytest.mark.reliability(
    "many requests at once on one connection",
    "they are answered in turn, and the connection ends after nine",
)
async def test_requests_that_come_at_once_are_answered_in_turn_and_not_without_end(store_url: str) -> None:
    async with listening(live_with(store_url)) as url, connection(url) as stream:
        other = HEALTH.replace(b"/healthz", b"/nowhere")
        await stream.send((HEALTH + other) * 50)
        statuses = [int(answer.split()[0]) for answer in (await all_of(stream)).split(b"HTTP/1.1 ")[1:]]
    assert statuses == ([200, 421] * MOST_PIPELINED)[: MOST_PIPELINED + 1]


async def test_requests_one_after_another_have_no_such_bound(store_url: str) -> None:
    async with listening(live_with(store_url)) as url, httpx2.AsyncClient(timeout=PATIENCE) as http:
        for _ in range(3 * MOST_PIPELINED):
            assert (await http.get(f"{url}/healthz")).status_code == 200
