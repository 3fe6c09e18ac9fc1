"""A server whose store cannot be opened, is locked, or is taken away."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.callers import NEW_CUSTOMER, SECRETS, customers_created, open_client, write_config
from tests.command_line import run_process
from tests.conftest import kind_of
from tests.servers import PATIENCE, free_port, serving

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_world")]


def test_over_http_a_store_that_cannot_be_opened_stops_the_start(upstream: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    config = write_config(tmp_path, upstream, local="read")
    end = run_process("serve", "--transport", "http", "--port", "0", "--config", str(config), **SECRETS)
    assert end.returncode == 2
    assert len(end.stderr.strip().splitlines()) == 1
    assert "store" in end.stderr


def test_over_stdio_it_stops_once_the_client_has_its_tools(upstream: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    config = write_config(tmp_path, upstream, local="read")
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    command = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **SECRETS}
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write((json.dumps(request) + "\n").encode())
        server.stdin.flush()
        assert len(json.loads(server.stdout.readline())["result"]["tools"]) == 2
        assert server.wait(timeout=PATIENCE) == 2
        assert b"roadster-mcp: " in server.stderr.read()


async def test_a_store_that_is_removed_takes_no_more_writes(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, bot="write")
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    url = f"http://127.0.0.1:{port}"
    with serving(*command, url=f"{url}/healthz", **SECRETS):
        async with open_client(url, "2026-07-28", "bot") as client:
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) is None
            for file in tmp_path.glob("store.db*"):
                file.unlink()
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) == "unrecorded"
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None
        assert httpx2.get(f"{url}/readyz", timeout=PATIENCE).status_code == 503
    assert customers_created(upstream) == 1


@pytest.mark.reliability("a store that another process has locked", "`/readyz` is 503 while it is, `/healthz` 200")
@pytest.mark.reliability("a start while the store is not migrated yet", "it listens, and `/readyz` is 503 until it is")
async def test_readyz_is_false_before_the_migration_and_while_locked(upstream: str, tmp_path: Path) -> None:
    """A lock holds up the migration, and a later one the writes."""
    config = write_config(tmp_path, upstream, bot="read")
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))

    def status(probe: str) -> int:
        return httpx2.get(f"http://127.0.0.1:{port}/{probe}", timeout=PATIENCE).status_code

    lock = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        assert (status("readyz"), status("healthz")) == (503, 200)
        lock.rollback()
        with anyio.fail_after(PATIENCE):
            while status("readyz") != 200:
                await anyio.sleep(0.05)
        lock.execute("BEGIN EXCLUSIVE")
        with anyio.fail_after(PATIENCE):
            while status("readyz") != 503:  # it looks every few seconds
                await anyio.sleep(0.05)
        assert status("healthz") == 200
        lock.close()
