"""Progress over sockets: a client of either era that asked for it is told while the upstream is silent."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.hanging import hanging_upstream
from tests.server.transports.test_http import SALES, SECRETS, write_config
from tests.servers import PATIENCE, free_port, serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_client_is_told_that_its_call_waits_for_the_upstream(mode: str, tmp_path: Path) -> None:
    messages: list[str | None] = []
    async with hanging_upstream() as upstream:

        async def on_progress(_progress: float, _total: float | None, message: str | None) -> None:
            messages.append(message)
            upstream.release.set()

        port = free_port()
        config = str(write_config(tmp_path, upstream.url))
        command = ("serve", "--transport", "http", "--port", str(port), "--config", config)
        healthz = f"http://127.0.0.1:{port}/healthz"
        headers = {"Authorization": f"Bearer {SALES}"}
        with await anyio.to_thread.run_sync(lambda: serving(*command, url=healthz, **SECRETS)):
            async with (
                httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
                Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http), mode=mode) as client,
            ):
                await client.call_tool("get_dealer", {"dealer": "umazda"}, progress_callback=on_progress)
    assert set(messages) == {"waiting for Roadster to answer"}
