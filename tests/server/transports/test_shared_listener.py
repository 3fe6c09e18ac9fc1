"""Servers at one listener, as the workers of `serve --workers` are."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import anyio
import pytest
from starlette.applications import Starlette

from roadster_server.settings.live import LiveSettings
from roadster_server.transports.http.listening.http_server import http_server
from tests.conftest import settings_for
from tests.servers import PATIENCE

pytestmark = pytest.mark.anyio

CONNECTIONS = 40


async def test_connections_that_come_at_once_are_shared(store_url: str) -> None:
    """They all wait in the one backlog first, so none is refused."""
    live = LiveSettings(settings_for(store_url))
    servers = [http_server(Starlette(), live, descriptors=4096) for _ in range(2)]
    with socket.create_server(("127.0.0.1", 0)) as listener, listener.dup() as second, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for server, own in zip(servers, (listener, second), strict=True):
                tasks.start_soon(server.serve, [own])
            while not all(server.started for server in servers):
                await anyio.sleep(0)
            with ExitStack() as clients:
                for _ in range(CONNECTIONS):
                    clients.enter_context(socket.create_connection(listener.getsockname(), timeout=PATIENCE))
                counts = [0, 0]
                while sum(counts) < CONNECTIONS:
                    await anyio.sleep(0)
                    counts = [len(server.server_state.connections) for server in servers]
            assert min(counts) >= CONNECTIONS // 4
            for server in servers:
                server.should_exit = True
