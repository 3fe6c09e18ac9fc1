"""How a serving process ends, and what becomes of calls in flight: by a signal, the end of input, or its client."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters

from tests.conftest import STEVE, free_port, kind_of, serving
from tests.hanging import HangingUpstream, hanging_upstream
from tests.server.transports.test_http import INITIALIZE, LIST_TOOLS, SALES, SECRETS, connected, write_config

pytestmark = pytest.mark.anyio

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LONG = 30
"""Seconds, for what must not hang: far above every limit of the server's own."""


def call(tool: str, id_: int = 5, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": id_,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


CREATE = call("create_customer", dealer="umazda", customer=STEVE)
READ = call("list_dealers")


def audit(folder: Path) -> list[tuple[str, str, str]]:
    """(phase, tool, outcome) of each record, in order."""
    store = sqlite3.connect(folder / "store.db")
    try:
        return store.execute("SELECT phase, tool, outcome FROM roadster_audit ORDER BY seq").fetchall()
    finally:
        store.close()


@pytest.fixture
async def upstream() -> AsyncIterator[HangingUpstream]:
    async with hanging_upstream() as started:
        yield started


class Spawned:
    """A server process on stdio, spoken to line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdout = BufferedByteReceiveStream(process.stdout)
        self._stderr = BufferedByteReceiveStream(process.stderr)

    async def say(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            await self.process.stdin.send(message if isinstance(message, bytes) else json.dumps(message).encode())
            await self.process.stdin.send(b"\n")

    async def end(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.aclose()

    async def answer(self) -> dict[str, Any]:
        with anyio.fail_after(LONG):
            found: dict[str, Any] = json.loads(await self._stdout.receive_until(b"\n", 10_000_000))
        return found

    async def logged(self, event: str) -> dict[str, Any]:
        with anyio.fail_after(LONG):
            while True:
                line: dict[str, Any] = json.loads(await self._stderr.receive_until(b"\n", 1_000_000))
                if line["event"] == event:
                    return line

    async def exit_code(self) -> int:
        with anyio.fail_after(LONG):
            return await self.process.wait()


@asynccontextmanager
async def spawned(*arguments: str) -> AsyncIterator[Spawned]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **SECRETS}
    async with await anyio.open_process(
        [sys.executable, "-m", "roadster_server", "serve", *arguments], env=environment
    ) as process:
        try:
            server = Spawned(process)
            await server.say(INITIALIZE, INITIALIZED)
            assert (await server.answer())["id"] == INITIALIZE["id"]
            yield server
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def over(upstream: HangingUpstream, folder: Path) -> AsyncIterator[Spawned]:
    async with spawned("--config", str(write_config(folder, upstream.url))) as server:
        yield server


async def in_flight(upstream: HangingUpstream) -> None:
    with anyio.fail_after(LONG):
        await upstream.asked.wait()


signals = pytest.mark.parametrize("received", [signal.SIGTERM, signal.SIGINT])


@signals
async def test_over_stdio_a_signal_lets_a_call_in_flight_be_answered_and_takes_no_new_one(
    received: signal.Signals, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(READ)
        await in_flight(upstream)
        server.process.send_signal(received)
        assert (await server.logged("stopping"))["reason"] == received.name
        await server.say(call("list_dealers", 6))
        refused = await server.answer()
        assert (refused["id"], refused["error"]["code"]) == (6, -32000)
        upstream.release.set()
        answered = await server.answer()
        assert answered["id"] == READ["id"]
        assert not answered["result"].get("isError")
        assert await server.exit_code() == 0
    assert audit(tmp_path) == [("ended", "list_dealers", "done")]


async def test_over_stdio_the_end_of_input_lets_a_call_in_flight_be_answered(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(READ)
        await server.end()
        await in_flight(upstream)
        upstream.release.set()
        assert (await server.answer())["id"] == READ["id"]
        assert await server.exit_code() == 0
    assert audit(tmp_path) == [("ended", "list_dealers", "done")]


@pytest.mark.parametrize("received", [signal.SIGTERM, None])
async def test_over_stdio_a_write_that_does_not_end_is_interrupted_answered_and_recorded(
    received: signal.Signals | None, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(CREATE)
        await in_flight(upstream)
        if received is None:
            await server.end()
        else:
            server.process.send_signal(received)
        answered = await server.answer()
        assert answered["result"]["_meta"] == {"roadster-mcp/failure": "outcome_unknown"}
        assert "Ask the dealer whether Roadster has the customer" in answered["result"]["content"][0]["text"]
        assert await server.exit_code() == 0
        with anyio.fail_after(LONG):
            await upstream.left.wait()
    assert audit(tmp_path) == [("sent", "create_customer", "sent"), ("ended", "create_customer", "cancelled")]


@signals
async def test_over_stdio_a_second_signal_exits_at_once(
    received: signal.Signals, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(READ)
        await in_flight(upstream)
        server.process.send_signal(received)
        await server.logged("stopping")
        server.process.send_signal(received)
        assert await server.exit_code() == 128 + received


async def test_a_client_that_reads_no_answer_does_not_hold_up_the_exit(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(*({**LIST_TOOLS, "id": 100 + number} for number in range(20)), READ)  # more than a pipe holds
        await in_flight(upstream)
        server.process.terminate()
        assert await server.exit_code() == 1
        assert await server.logged("stopped before everything had ended")


async def test_a_client_that_closes_both_pipes_ends_the_server_and_its_upstream_request(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with over(upstream, tmp_path) as server:
        await server.say(READ)
        await in_flight(upstream)
        assert server.process.stdout is not None
        await server.process.stdout.aclose()
        await server.end()
        assert await server.exit_code() == 0
        await server.logged("stopping")
        assert server.process.stderr is not None
        rest = b"".join([chunk async for chunk in server.process.stderr])
        assert all(json.loads(line) for line in rest.splitlines())
        assert upstream.left.is_set()
    assert audit(tmp_path) == [("ended", "list_dealers", "cancelled")]


@contextmanager
def listening(folder: Path, upstream: str) -> Iterator[tuple[str, Any]]:
    port = free_port()
    config = write_config(folder, upstream)
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS) as process:
        yield f"http://127.0.0.1:{port}", process


async def ended(process: Any) -> int:
    with anyio.fail_after(LONG):
        return await anyio.to_thread.run_sync(process.wait, abandon_on_cancel=True)


async def not_ready(server: str) -> httpx2.Response:
    """The first answer of /readyz that is not 200: the signal is on its way."""
    async with httpx2.AsyncClient() as http:
        with anyio.fail_after(LONG):
            while (response := await http.get(f"{server}/readyz")).status_code == 200:
                pass
    return response


@pytest.mark.parametrize("way", ["legacy", "2026-07-28", "sse"])
async def test_over_http_a_signal_lets_a_call_in_flight_be_answered_and_readyz_is_false_meanwhile(
    way: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    kinds = []

    async def ask(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("list_dealers")))

    with listening(tmp_path, upstream.url) as (server, process):
        async with connected(server, way) as client, anyio.create_task_group() as tasks:
            await client.list_tools()  # else the client would ask for them after the answer, to check it
            tasks.start_soon(ask, client)
            await in_flight(upstream)
            process.terminate()
            assert (await not_ready(server)).json() == {"status": "the server is stopping"}
            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {SALES}"}) as http:
                assert (await http.get(f"{server}/healthz")).status_code == 200
                refused = await http.post(f"{server}/mcp", json=INITIALIZE)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, -32000)
            upstream.release.set()
        assert await ended(process) == 0
    assert kinds == [None]
    assert audit(tmp_path) == [("ended", "list_dealers", "done")]


@pytest.mark.parametrize("way", ["legacy", "2026-07-28", "sse"])
async def test_over_http_a_write_that_does_not_end_is_interrupted_answered_and_recorded(
    way: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    kinds = []

    async def ask(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})))

    with listening(tmp_path, upstream.url) as (server, process):
        async with connected(server, way) as client, anyio.create_task_group() as tasks:
            await client.list_tools()  # else the client would ask for them after the answer, to check it
            tasks.start_soon(ask, client)
            await in_flight(upstream)
            process.terminate()
        assert await ended(process) == 0
    assert kinds == ["outcome_unknown"]
    assert audit(tmp_path) == [("sent", "create_customer", "sent"), ("ended", "create_customer", "cancelled")]


async def test_over_http_a_second_signal_exits_at_once(upstream: HangingUpstream, tmp_path: Path) -> None:
    with listening(tmp_path, upstream.url) as (server, process):
        headers = {"Authorization": f"Bearer {SALES}", "Accept": "application/json, text/event-stream"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            session_of(http, server) as session,
            http.stream("POST", f"{server}/mcp", json=READ, headers=session),
        ):
            await in_flight(upstream)
            process.terminate()
            await not_ready(server)
            process.terminate()
            assert await ended(process) == 128 + signal.SIGTERM


@asynccontextmanager
async def session_of(http: httpx2.AsyncClient, server: str) -> AsyncIterator[dict[str, str]]:
    opened = await http.post(f"{server}/mcp", json=INITIALIZE)
    session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
    await http.post(f"{server}/mcp", json=INITIALIZED, headers=session)
    yield session


async def test_over_http_it_exits_while_a_session_has_its_stream_open(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    with listening(tmp_path, upstream.url) as (server, process):
        headers = {"Authorization": f"Bearer {SALES}", "Accept": "application/json, text/event-stream"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            session_of(http, server) as session,
            http.stream("GET", f"{server}/mcp", headers=session) as stream,
        ):
            assert stream.status_code == 200
            process.terminate()
            assert await ended(process) == 0


@asynccontextmanager
async def assistant(way: str, upstream: HangingUpstream, folder: Path) -> AsyncIterator[Client]:
    """A client over stdio or HTTP, in either era."""
    transport, _, era = way.partition(" ")
    if transport == "stdio":
        config = str(write_config(folder, upstream.url))
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "roadster_server", "serve", "--config", config], env=SECRETS
        )
        async with Client(server, mode=era) as client:
            yield client
    else:
        with listening(folder, upstream.url) as (url, _):
            async with connected(url, era) as client:
                yield client


WAYS = ["stdio legacy", "stdio 2026-07-28", "http legacy", "http 2026-07-28", "http sse"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_client_that_cancels_ends_its_upstream_request(
    way: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with assistant(way, upstream, tmp_path) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "list_dealers")
            await in_flight(upstream)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(LONG):
            await upstream.left.wait()
    assert audit(tmp_path) == [("ended", "list_dealers", "cancelled")]


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28", "sse"])
async def test_a_client_that_goes_away_ends_its_upstream_request(
    era: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    """Its connection closes without a word."""
    with listening(tmp_path, upstream.url) as (server, process):
        headers = {"Authorization": f"Bearer {SALES}", "Accept": "application/json, text/event-stream"}
        async with httpx2.AsyncClient(headers=headers) as http, anyio.create_task_group() as tasks:
            await leave_a_call(http, server, era, tasks)
            await in_flight(upstream)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(LONG):
            await upstream.left.wait()
        process.terminate()
        assert await ended(process) == 0
    assert audit(tmp_path) == [("ended", "list_dealers", "cancelled")]


async def leave_a_call(http: httpx2.AsyncClient, server: str, era: str, tasks: anyio.abc.TaskGroup) -> None:
    """Has a call made in `tasks`, and the stream that its answer would come on."""
    match era:
        case "2025-11-25":
            async with session_of(http, server) as session:
                tasks.start_soon(held, http, "POST", f"{server}/mcp", READ, session)
        case "2026-07-28":
            meta = {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            named = {"Mcp-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": "list_dealers"}
            asked = {**READ, "params": {**READ["params"], "_meta": meta}}
            tasks.start_soon(held, http, "POST", f"{server}/mcp", asked, named)
        case _:
            endpoint: str = await tasks.start(sse_endpoint, http, f"{server}/sse")
            for message in (INITIALIZE, INITIALIZED, READ):
                assert (await http.post(server + endpoint, json=message)).status_code == 202


async def held(http: httpx2.AsyncClient, method: str, url: str, body: Any, headers: dict[str, str]) -> None:
    async with http.stream(method, url, json=body, headers=headers, timeout=LONG) as response:
        async for _ in response.aiter_raw():
            pass


async def sse_endpoint(http: httpx2.AsyncClient, url: str, *, task_status: anyio.abc.TaskStatus[str]) -> None:
    async with http.stream("GET", url, timeout=LONG) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: /messages/"):
                task_status.started(line.removeprefix("data: "))
