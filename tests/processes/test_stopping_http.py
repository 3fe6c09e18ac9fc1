"""How a process that serves HTTP ends, and its calls in flight."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.abc
import pytest
from mcp import Client

from tests.conftest import kind_of
from tests.hanging import HangingUpstream
from tests.server.transports.test_http import INITIALIZE, connect_over
from tests.tool_examples import STEVE

from .stopping import (
    NO_DRAIN,
    READ,
    audit_of,
    errors_of,
    exit_code,
    http_server,
    open_session,
    sales_client,
    upstream,
    wait_for,
    wait_until_not_ready,
)

__all__ = ["upstream"]  # a fixture

pytestmark = pytest.mark.anyio

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


async def test_over_sse_it_exits_while_a_stream_is_open(upstream: HangingUpstream, tmp_path: Path) -> None:
    with http_server(upstream, tmp_path) as (server, process):
        async with sales_client() as http, http.stream("GET", f"{server}/sse") as stream:
            assert stream.status_code == 200
            process.terminate()
            assert await exit_code(process) == 0
        assert errors_of(tmp_path) == []


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
        assert errors_of(tmp_path) == []


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
        assert errors_of(tmp_path) == []
