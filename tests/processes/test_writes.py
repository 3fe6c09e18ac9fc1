"""Safe writes as they run: two servers, kill -9, a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from roadster_server.store import open_store
from tests.callers import NEW_CUSTOMER, SECRETS, customers_created, open_client, write_config
from tests.conftest import answer_of, on_both_databases
from tests.servers import PATIENCE, free_port, serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_world")]


@on_both_databases
async def test_two_servers_on_one_store_send_a_write_once_for_its_key(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    config = write_config(tmp_path, upstream, store_url, bot="write")
    ports = free_port(), free_port()
    replayed: list[bool] = []

    async def create_customers(port: int) -> None:
        async with open_client(f"http://127.0.0.1:{port}", "2026-07-28", "bot") as client:
            for number in range(4):
                arguments = {**NEW_CUSTOMER, "idempotency_key": f"order-{number:04}"}
                answer = answer_of(await client.call_tool("create_customer", arguments))
                replayed.append(answer.get("replayed", False))

    def serve(port: int) -> Any:
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        return serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS)

    with serve(ports[0]), serve(ports[1]):
        async with anyio.create_task_group() as tasks:
            for port in ports * 3:
                tasks.start_soon(create_customers, port)
    assert customers_created(upstream) == 4
    assert sorted(replayed) == [False] * 4 + [True] * 20
    async with open_store(store_url) as store:
        assert (await store.verify()).first_broken is None


@on_both_databases
async def test_kill_9_before_the_answer_leaves_the_truth_on_record(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    """The record says that the write was sent, and nothing says that it was answered."""
    config = write_config(tmp_path, upstream, store_url, local="write")
    delay = {"operation": "create_customer", "fault": "delay", "seconds": 20, "times": 1}
    httpx2.post(f"{upstream}/__sandbox/faults", json=delay, timeout=PATIENCE).raise_for_status()
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "create_customer",
            "arguments": {**NEW_CUSTOMER, "idempotency_key": "order-4711"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            },
        },
    }
    command = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **SECRETS}
    ) as server:
        assert server.stdin is not None
        server.stdin.write((json.dumps(request) + "\n").encode())
        server.stdin.flush()
        until(lambda: bool(httpx2.get(f"{upstream}/__sandbox/state", timeout=PATIENCE).json()["customers"]))
        server.kill()
    async with open_store(store_url) as store:
        (record,) = [stored.record async for stored in store.records()]
        assert (await store.verify()).first_broken is None
    assert (record.tool, record.phase, record.client) == ("create_customer", "sent", "test")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal on Windows")
@pytest.mark.parametrize(("reply", "code"), [(b"yes\n", 0), (b"no\n", 3), (b"y\n", 0), (b"\n", 3)])
def test_at_a_terminal_the_person_is_asked(reply: bytes, code: int, upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, local="confirm")
    keyboard, terminal = os.openpty()
    command = [sys.executable, "-m", "roadster_server", "call", "create_customer", json.dumps(NEW_CUSTOMER)]
    with subprocess.Popen(
        [*command, "--config", str(config)],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **SECRETS},
    ) as process:
        os.write(keyboard, reply)
        _, stderr = process.communicate(timeout=PATIENCE)
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == code
    assert b"Create a customer at University Mazda (umazda)?" in stderr
    assert customers_created(upstream) == (1 if code == 0 else 0)
