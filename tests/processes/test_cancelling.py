"""A client that cancels a call or goes away ends its upstream request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx2
import pytest
from mcp import Client, StdioServerParameters

from tests.conftest import PROJECT
from tests.hanging import HangingUpstream
from tests.server.transports.test_http import INITIALIZE, SECRETS, connect_over, write_config

from .patient import patient
from .stopping import (
    INITIALIZED,
    READ,
    audit_of,
    exit_code,
    http_server,
    open_session,
    sales_client,
    upstream,
    wait_for,
)

__all__ = ["upstream"]  # a fixture

pytestmark = pytest.mark.anyio


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
