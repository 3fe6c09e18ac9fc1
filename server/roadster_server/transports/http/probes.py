"""The probes of an orchestrator: /healthz and /readyz."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Unavailable = Callable[[], Awaitable[str | None]]
"""Returns what is wrong with a dependency, or None. No reason of it is in the words: anybody may read them."""

PROBE_SECONDS = 2.0
"""Seconds until /readyz answers, also while the store hangs. An orchestrator's own limit must be longer."""


class Probes:
    """/healthz says that the process is alive, /readyz whether it can take calls."""

    def __init__(self, unavailable: Unavailable, is_stopping: Callable[[], bool]) -> None:
        self._unavailable = unavailable
        self._is_stopping = is_stopping
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def alive(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        if self._is_stopping():
            return JSONResponse({"status": "the server is stopping"}, 503)
        # Another task waits for a store that hangs: a statement cannot be cancelled, and the probe needs an answer.
        has_answer = anyio.Event()
        unavailable: str | None = "the store does not answer"

        async def ask() -> None:
            nonlocal unavailable
            unavailable = await self._unavailable()
            has_answer.set()

        if self._tasks is not None:
            self._tasks.start_soon(ask)
            with anyio.move_on_after(PROBE_SECONDS):
                await has_answer.wait()
        if unavailable is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": unavailable}, 503)
