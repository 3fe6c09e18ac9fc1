"""How a serving process ends, and what happens to calls in flight: after a signal, the end of input, or a client's."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters

from tests.conftest import PROJECT, kind_of
from tests.hanging import HangingUpstream, hanging_upstream
from tests.server.transports.test_http import INITIALIZE, LIST_TOOLS, SALES, SECRETS, connect_over, write_config
from tests.servers import PATIENCE, free_port, serving
from tests.tool_examples import STEVE

from .patient import AMPLE, patient

pytestmark = pytest.mark.anyio

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
NO_DRAIN = 0.2
"""Seconds, where a call is to be interrupted."""


def call(tool: str, id_: int = 5, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


CREATE = call("create_customer", dealer="umazda", customer=STEVE)
READ = call("list_dealers")


def audit_of(folder: Path) -> list[tuple[str, str, str]]:
    """(phase, tool, outcome) of each record, in order."""
    store = sqlite3.connect(folder / "store.db")
    try:
        return store.execute("SELECT phase, tool, outcome FROM roadster_audit ORDER BY seq").fetchall()
    finally:
        store.close()


@pytest.fixture
async def upstream() -> AsyncIterator[HangingUpstream]:
    async with hanging_upstream() as hanging:
        yield hanging


async def wait_for(event: anyio.Event) -> None:
    with anyio.fail_after(PATIENCE):
        await event.wait()


# Over stdio


class StdioServer:
    """A server process on stdio, spoken to line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdout = BufferedByteReceiveStream(process.stdout)
        self._stderr = BufferedByteReceiveStream(process.stderr)

    async def send(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            await self.process.stdin.send(line + b"\n")

    async def end_input(self) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.aclose()

    async def receive(self) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE):
            answer: dict[str, Any] = json.loads(await self._stdout.receive_until(b"\n", 10_000_000))
        return answer

    async def wait_for_log(self, event: str) -> dict[str, Any]:
        with anyio.fail_after(PATIENCE):
            while True:
                line: dict[str, Any] = json.loads(await self._stderr.receive_until(b"\n", 1_000_000))
                if line["event"] == event:
                    return line

    async def exit_code(self) -> int:
        with anyio.fail_after(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def stdio_server(upstream: HangingUpstream, folder: Path, *, drain: float = AMPLE) -> AsyncIterator[StdioServer]:
    config = write_config(folder, upstream.url)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **SECRETS}
    command = patient("serve", "--config", str(config), drain=drain)
    async with await anyio.open_process(command, env=environment, cwd=PROJECT) as process:
        try:
            server = StdioServer(process)
            await server.send(INITIALIZE, INITIALIZED)
            assert (await server.receive())["id"] == INITIALIZE["id"]
            yield server
        finally:
            if process.returncode is None:
                process.kill()


both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@both_signals
async def test_over_stdio_a_signal_lets_a_call_end_and_admits_no_other(
    number: signal.Signals, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with stdio_server(upstream, tmp_path) as server:
        await server.send(READ)
        await wait_for(upstream.requested)
        server.process.send_signal(number)
        assert (await server.wait_for_log("stopping"))["reason"] == number.name
        await server.send(call("list_dealers", 6))
        refusal = await server.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (6, -32000)
        upstream.release.set()
        answer = await server.receive()
        assert answer["id"] == READ["id"]
        assert not answer["result"].get("isError")
        assert await server.exit_code() == 0
    assert audit_of(tmp_path) == [("ended", "list_dealers", "done")]


async def test_over_stdio_the_end_of_input_lets_a_call_end(upstream: HangingUpstream, tmp_path: Path) -> None:
    async with stdio_server(upstream, tmp_path) as server:
        await server.send(READ)
        await server.end_input()
        await wait_for(upstream.requested)
        upstream.release.set()
        assert (await server.receive())["id"] == READ["id"]
        assert await server.exit_code() == 0
    assert audit_of(tmp_path) == [("ended", "list_dealers", "done")]


@pytest.mark.parametrize("number", [signal.SIGTERM, None])
async def test_over_stdio_a_write_that_hangs_is_interrupted_answered_and_recorded(
    number: signal.Signals | None, upstream: HangingUpstream, tmp_path: Path
) -> None:
    """After a signal, and after the end of input."""
    async with stdio_server(upstream, tmp_path, drain=NO_DRAIN) as server:
        await server.send(CREATE)
        await wait_for(upstream.requested)
        if number is None:
            await server.end_input()
        else:
            server.process.send_signal(number)
        answer = await server.receive()
        assert answer["result"]["_meta"] == {"roadster-mcp/failure": "outcome_unknown"}
        assert "Ask the dealer whether Roadster has the customer" in answer["result"]["content"][0]["text"]
        assert await server.exit_code() == 0
        await wait_for(upstream.disconnected)
    assert audit_of(tmp_path) == [("sent", "create_customer", "sent"), ("ended", "create_customer", "cancelled")]


@both_signals
async def test_over_stdio_a_second_signal_exits_at_once(
    number: signal.Signals, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with stdio_server(upstream, tmp_path) as server:
        await server.send(READ)
        await wait_for(upstream.requested)
        server.process.send_signal(number)
        await server.wait_for_log("stopping")
        server.process.send_signal(number)
        assert await server.exit_code() == 128 + number


async def test_a_client_that_reads_nothing_does_not_hold_up_the_exit(upstream: HangingUpstream, tmp_path: Path) -> None:
    """The server's own limit ends it, so its limits are the usual ones here."""
    config = write_config(tmp_path, upstream.url)
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **SECRETS}
    command = ["-m", "roadster_server", "serve", "--config", str(config)]
    async with await anyio.open_process([sys.executable, *command], env=environment) as process:
        server = StdioServer(process)
        await server.send(INITIALIZE, INITIALIZED)
        lists = ({**LIST_TOOLS, "id": 100 + number} for number in range(20))  # more than a pipe holds
        await server.send(*lists, READ)
        await wait_for(upstream.requested)
        process.terminate()
        assert await server.exit_code() == 1
        assert await server.wait_for_log("stopped before everything had ended")


async def test_a_client_that_closes_both_pipes_ends_the_server(upstream: HangingUpstream, tmp_path: Path) -> None:
    """Its request to the upstream ends too."""
    async with stdio_server(upstream, tmp_path, drain=NO_DRAIN) as server:
        await server.send(READ)
        await wait_for(upstream.requested)
        assert server.process.stdout is not None
        await server.process.stdout.aclose()
        await server.end_input()
        assert await server.exit_code() == 0
        await server.wait_for_log("stopping")
        assert server.process.stderr is not None
        rest = b"".join([chunk async for chunk in server.process.stderr])
        assert all(json.loads(line) for line in rest.splitlines())
        await wait_for(upstream.disconnected)
    assert audit_of(tmp_path) == [("ended", "list_dealers", "cancelled")]


# Over HTTP


@contextmanager
def http_server(upstream: HangingUpstream, folder: Path, *, drain: float = AMPLE) -> Iterator[tuple[str, Popen[bytes]]]:
    """The URL and the process."""
    port = free_port()
    config = write_config(folder, upstream.url)
    command = patient("serve", "--transport", "http", "--port", str(port), "--config", str(config), drain=drain)
    with serving(url=f"http://127.0.0.1:{port}/healthz", command=command, cwd=PROJECT, **SECRETS) as process:
        yield f"http://127.0.0.1:{port}", process


async def exit_code(process: Popen[bytes]) -> int:
    with anyio.fail_after(PATIENCE):
        return await anyio.to_thread.run_sync(process.wait, abandon_on_cancel=True)


async def wait_until_not_ready(server: str) -> httpx2.Response:
    """Returns the first answer of /readyz that is not 200, which shows that the signal has arrived."""
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        with anyio.fail_after(PATIENCE):
            while (response := await http.get(f"{server}/readyz")).status_code == 200:
                await anyio.sleep(0.01)
    return response


def sales_client() -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {SALES}", "Accept": "application/json, text/event-stream"}
    return httpx2.AsyncClient(headers=headers, timeout=PATIENCE)


every_era = pytest.mark.parametrize("era", ["legacy", "2026-07-28", "sse"])


@every_era
async def test_over_http_a_signal_lets_a_call_end_and_readyz_is_false(
    era: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    kinds = []

    async def list_dealers(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("list_dealers")))

    with http_server(upstream, tmp_path) as (server, process):
        async with connect_over(server, era) as client, anyio.create_task_group() as tasks:
            await client.list_tools()  # else the client would ask for them after the answer, to check it
            tasks.start_soon(list_dealers, client)
            await wait_for(upstream.requested)
            process.terminate()
            assert (await wait_until_not_ready(server)).json() == {"status": "the server is stopping"}
            async with sales_client() as http:
                assert (await http.get(f"{server}/healthz")).status_code == 200
                refusal = await http.post(f"{server}/mcp", json=INITIALIZE)
                assert (refusal.status_code, refusal.json()["error"]["code"]) == (503, -32000)
            upstream.release.set()
        assert await exit_code(process) == 0
    assert kinds == [None]
    assert audit_of(tmp_path) == [("ended", "list_dealers", "done")]


@every_era
async def test_over_http_a_write_that_hangs_is_interrupted_answered_and_recorded(
    era: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    kinds = []

    async def create_customer(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})))

    with http_server(upstream, tmp_path, drain=NO_DRAIN) as (server, process):
        async with connect_over(server, era) as client, anyio.create_task_group() as tasks:
            await client.list_tools()  # else the client would ask for them after the answer, to check it
            tasks.start_soon(create_customer, client)
            await wait_for(upstream.requested)
            process.terminate()
        assert await exit_code(process) == 0
    assert kinds == ["outcome_unknown"]
    assert audit_of(tmp_path) == [("sent", "create_customer", "sent"), ("ended", "create_customer", "cancelled")]


async def test_over_http_a_second_signal_exits_at_once(upstream: HangingUpstream, tmp_path: Path) -> None:
    with http_server(upstream, tmp_path) as (server, process):
        async with (
            sales_client() as http,
            open_session(http, server) as session,
            http.stream("POST", f"{server}/mcp", json=READ, headers=session),
        ):
            await wait_for(upstream.requested)
            process.terminate()
            await wait_until_not_ready(server)
            process.terminate()
            assert await exit_code(process) == 128 + signal.SIGTERM


@asynccontextmanager
async def open_session(http: httpx2.AsyncClient, server: str) -> AsyncIterator[dict[str, str]]:
    """The headers of a session of the legacy era."""
    answer = await http.post(f"{server}/mcp", json=INITIALIZE)
    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
    await http.post(f"{server}/mcp", json=INITIALIZED, headers=session)
    yield session


async def test_over_sse_it_exits_while_a_stream_is_open(upstream: HangingUpstream, tmp_path: Path) -> None:
    with http_server(upstream, tmp_path) as (server, process):
        async with sales_client() as http, http.stream("GET", f"{server}/sse") as stream:
            assert stream.status_code == 200
            process.terminate()
            assert await exit_code(process) == 0


async def test_over_http_it_exits_with_all_sessions_of_a_caller_and_their_streams_open(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    with http_server(upstream, tmp_path) as (server, process):
        async with sales_client() as http, AsyncExitStack() as streams:
            for _ in range(16):
                session = await streams.enter_async_context(open_session(http, server))
                stream = await streams.enter_async_context(http.stream("GET", f"{server}/mcp", headers=session))
                assert stream.status_code == 200
            process.terminate()
            assert await exit_code(process) == 0


async def test_over_http_it_exits_while_a_session_has_its_stream_open(
    upstream: HangingUpstream, tmp_path: Path
) -> None:
    with http_server(upstream, tmp_path) as (server, process):
        async with (
            sales_client() as http,
            open_session(http, server) as session,
            http.stream("GET", f"{server}/mcp", headers=session) as stream,
        ):
            assert stream.status_code == 200
            process.terminate()
            assert await exit_code(process) == 0


# Over both


@asynccontextmanager
async def assistant(way: str, upstream: HangingUpstream, folder: Path) -> AsyncIterator[Client]:
    """A client over stdio or HTTP, in either era."""
    transport, _, era = way.partition(" ")
    if transport == "stdio":
        config = str(write_config(folder, upstream.url))
        command, *arguments = patient("serve", "--config", config)
        server = StdioServerParameters(command=command, args=arguments, env=SECRETS, cwd=PROJECT)
        async with Client(server, mode=era) as client:
            yield client
    else:
        with http_server(upstream, folder) as (url, _):
            async with connect_over(url, era) as client:
                yield client


@pytest.mark.parametrize("way", ["stdio legacy", "stdio 2026-07-28", "http legacy", "http 2026-07-28", "http sse"])
async def test_a_client_that_cancels_ends_its_upstream_request(
    way: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with assistant(way, upstream, tmp_path) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "list_dealers")
            await wait_for(upstream.requested)
            tasks.cancel_scope.cancel()
        await wait_for(upstream.disconnected)
    assert audit_of(tmp_path) == [("ended", "list_dealers", "cancelled")]


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28", "sse"])
async def test_a_client_that_goes_away_ends_its_upstream_request(
    era: str, upstream: HangingUpstream, tmp_path: Path
) -> None:
    """Its connection closes without a word."""
    with http_server(upstream, tmp_path) as (server, process):
        async with sales_client() as http, anyio.create_task_group() as tasks:
            await start_a_call(http, server, era, tasks)
            await wait_for(upstream.requested)
            tasks.cancel_scope.cancel()
        await wait_for(upstream.disconnected)
        process.terminate()
        assert await exit_code(process) == 0
    assert audit_of(tmp_path) == [("ended", "list_dealers", "cancelled")]


async def start_a_call(http: httpx2.AsyncClient, server: str, era: str, tasks: anyio.abc.TaskGroup) -> None:
    """Makes a call in `tasks`, and opens the stream that its answer would come on."""
    match era:
        case "2025-11-25":
            async with open_session(http, server) as session:
                tasks.start_soon(read_stream, http, f"{server}/mcp", READ, session)
        case "2026-07-28":
            meta = {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            headers = {"Mcp-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": "list_dealers"}
            request = {**READ, "params": {**READ["params"], "_meta": meta}}
            tasks.start_soon(read_stream, http, f"{server}/mcp", request, headers)
        case _:
            endpoint: str = await tasks.start(open_sse, http, f"{server}/sse")
            for message in (INITIALIZE, INITIALIZED, READ):
                assert (await http.post(server + endpoint, json=message)).status_code == 202


async def read_stream(http: httpx2.AsyncClient, url: str, body: Any, headers: dict[str, str]) -> None:
    async with http.stream("POST", url, json=body, headers=headers) as response:
        async for _ in response.aiter_raw():
            pass


async def open_sse(http: httpx2.AsyncClient, url: str, *, task_status: anyio.abc.TaskStatus[str]) -> None:
    """Starts with the path to post messages to."""
    async with http.stream("GET", url) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: /messages/"):
                task_status.started(line.removeprefix("data: "))
