"""The probes: /healthz and /readyz."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Unavailable = Callable[[], Awaitable[str | None]]
"""Names what does not answer."""


_PROBE_SECONDS = 2.0


class Probes:
    """What an orchestrator asks: is the process alive, and can it take calls?"""

    def __init__(self, missing: Unavailable, stopping: Callable[[], bool]) -> None:
        self._missing = missing
        self._stopping = stopping
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def alive(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        if self._stopping():
            return JSONResponse({"status": "the server is stopping"}, 503)
        # A store that hangs is waited for elsewhere: a statement cannot be cancelled, and a probe must be answered.
        answered = anyio.Event()
        missing: str | None = "the store"

        async def ask() -> None:
            nonlocal missing
            missing = await self._missing()
            answered.set()

        if self._tasks is not None:
            self._tasks.start_soon(ask)
            with anyio.move_on_after(_PROBE_SECONDS):
                await answered.wait()
        if missing is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": f"{missing} does not answer"}, 503)
