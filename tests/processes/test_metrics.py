"""Metrics of several processes."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.server.telemetry.test_metrics import figure
from tests.servers import PATIENCE, free_port, serving

pytestmark = pytest.mark.anyio


async def test_metrics_of_several_processes_are_one(tmp_path: Path) -> None:
    """They share prometheus_client's folder for several processes, so each answers for all."""
    folder = tmp_path / "figures"
    folder.mkdir()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "XDG_STATE_HOME": str(tmp_path)}
    ports = [free_port() for _ in range(2)]
    first, second = (
        serving(
            *("serve", "--transport", "http", "--sandbox", "--port", str(port)),
            url=f"http://127.0.0.1:{port}/healthz",
            **environment,
        )
        for port in ports
    )
    with first, second:
        for port in ports:
            async with httpx2.AsyncClient(timeout=PATIENCE) as http:
                transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
                async with Client(transport) as client:
                    await client.call_tool("list_inventory", {"dealer": "umazda"})
        for port in ports:
            text = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE).text
            assert figure(text, "calls_total", tool="list_inventory", outcome="done") == 2
            assert figure(text, "call_seconds_count", tool="list_inventory") == 2
            assert figure(text, "upstream_breakers_open", api="roadster") == 0
            assert "pid=" not in text
