"""MCP over the process's stdin and stdout: one caller, the one that started the process."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from .backend import Backend
from .logs import log
from .opening import LazyStore
from .store import StoreError

_BREATH = 0.05


async def serve_stdio(server: Server[Any], store: LazyStore, backend: Backend) -> None:
    """Serves until stdin ends or a signal comes; a store that cannot be opened ends it with 2."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_exit_on_signal, backend)
        tasks.start_soon(_open_store, store)
        tasks.start_soon(backend.live.watch)
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _open_store(store: LazyStore) -> None:
    # After the client has its list of tools: until then every millisecond is one that a person waits.
    await store.wanted_soon.wait()
    await anyio.sleep(_BREATH)
    try:
        await store.get()
    except StoreError as error:
        sys.stderr.write(f"roadster-mcp: {error}\n")
        os._exit(2)


async def _exit_on_signal(backend: Backend) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for received in signals:
            log.info("stopped", extra={"signal": signal.Signals(received).name})
            # The thread that reads stdin cannot be woken, and an ordinary exit would wait for it.
            backend.discard()
            os._exit(0)
