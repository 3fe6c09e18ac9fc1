"""Serving processes over an upstream that hangs, over stdio and HTTP, for the tests of how they end."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.conftest import PROJECT
from tests.hanging import HangingUpstream, hanging_upstream
from tests.server.transports.test_http import INITIALIZE, SALES, SECRETS, write_config
from tests.servers import PATIENCE, free_port, serving
from tests.tool_examples import STEVE

from .patient import AMPLE, patient

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
LOG = "log"
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


@contextmanager
def http_server(upstream: HangingUpstream, folder: Path, *, drain: float = AMPLE) -> Iterator[tuple[str, Popen[bytes]]]:
    """The URL and the process."""
    port = free_port()
    config = write_config(folder, upstream.url)
    command = patient("serve", "--transport", "http", "--port", str(port), "--config", str(config), drain=drain)
    with serving(
        url=f"http://127.0.0.1:{port}/healthz", command=command, cwd=PROJECT, log=folder / LOG, **SECRETS
    ) as process:
        yield f"http://127.0.0.1:{port}", process


def errors_of(folder: Path) -> list[str]:
    """Returns the lines of the server's log that an operator would be called for."""
    lines = (folder / LOG).read_text().splitlines()
    return [line for line in lines if json.loads(line)["level"] not in {"info", "warning"}]


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


@asynccontextmanager
async def open_session(http: httpx2.AsyncClient, server: str) -> AsyncIterator[dict[str, str]]:
    """The headers of a session of the legacy era."""
    answer = await http.post(f"{server}/mcp", json=INITIALIZE)
    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
    await http.post(f"{server}/mcp", json=INITIALIZED, headers=session)
    yield session
