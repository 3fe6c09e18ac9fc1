"""MCP over the process's stdin and stdout: one caller, the one that started the process."""

from __future__ import annotations

import os
import signal
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from .logs import log


async def serve_stdio(server: Server[Any]) -> None:
    """Serves until stdin ends or a signal comes."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_exit_on_signal)
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _exit_on_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for received in signals:
            log.info("stopped", extra={"signal": signal.Signals(received).name})
            # The thread that reads stdin cannot be woken, and an ordinary exit would wait for it.
            os._exit(0)
