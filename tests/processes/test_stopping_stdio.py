"""How a process that serves stdio ends, and its calls in flight: after a signal, and after the end of input."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tests.hanging import HangingUpstream
from tests.server.transports.test_http import INITIALIZE, LIST_TOOLS, SECRETS, write_config

from .stopping import (
    CREATE,
    INITIALIZED,
    NO_DRAIN,
    READ,
    StdioServer,
    audit_of,
    call,
    stdio_server,
    upstream,
    wait_for,
)

__all__ = ["upstream"]  # a fixture

pytestmark = pytest.mark.anyio

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
