"""A flood of connections that send nothing, at a server that may have few descriptors."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.transports.test_connections import until_status
from tests.server.transports.test_http import SECRETS, write_config
from tests.servers import PATIENCE, ROADSTER_MCP, free_port, serving

pytestmark = pytest.mark.anyio

DESCRIPTORS = 256
FLOOD = 2 * DESCRIPTORS


@pytest.mark.reliability(
    "a flood of silent connections",
    "the server answers others; the log says so once",
)
async def test_flood_of_silent_connections_ends_and_never_uses_up_the_descriptors(tmp_path: Path) -> None:
    """The soft limit is raised to the hard one. The flood comes from several addresses, and stays until it is ended."""
    limits = f'ulimit -Sn {DESCRIPTORS // 2} && ulimit -Hn {DESCRIPTORS} && exec "$@"'
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = write_config(tmp_path, "http://127.0.0.1:1")
    arguments = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    log = tmp_path / "log"
    command = ("bash", "-c", limits, "bash", *ROADSTER_MCP)
    with serving(*arguments, url=f"{url}/healthz", command=command, log=log, **SECRETS), ExitStack() as flood:
        for number in range(FLOOD):
            source = (f"127.0.0.{number % 8 + 2}", 0)
            flood.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE, source))
        await until_status(200, url)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines if line["level"] != "info"] == [
        "fewer connections than http.connections",
        "too many connections, the one that waits longest makes room",
    ]
