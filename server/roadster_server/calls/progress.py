"""Progress of a call that lasts: tells a client that asked for it what the call waits for.

The texts are this program's own. They hold nothing of the call, so no personal data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count

import anyio

from roadster_client import ApiName, Attempt, Observer, Operation
from roadster_server.telemetry.logs import log

from .context import API_NAMES, CallContext, Context, PageOrigin

_UNDER_WAY = "under way"

_step: ContextVar[list[str] | None] = ContextVar("step", default=None)
"""The present step of the call that runs in this context, as the only item. A list, so that its tasks can change it."""


def set_step(step: str) -> None:
    """Notes what the call waits for from now on. Does nothing if nobody has asked for progress."""
    current = _step.get()
    if current is not None:
        current[0] = step


@asynccontextmanager
async def reported_progress(ctx: CallContext, seconds: float) -> AsyncIterator[None]:
    """Reports every `seconds` while the block runs, if the request of `ctx` has a progress token."""
    if isinstance(ctx, PageOrigin) or (ctx.meta or {}).get("progress_token") is None:
        yield
        return
    step = [_UNDER_WAY]
    reset_token = _step.set(step)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_report, ctx, step, seconds)
            yield
            tasks.cancel_scope.cancel()
    finally:
        _step.reset(reset_token)


async def _report(ctx: Context, step: list[str], seconds: float) -> None:
    for number in count(1):
        await anyio.sleep(seconds)
        try:
            await ctx.session.report_progress(number, message=step[0])
        except Exception as error:  # noqa: BLE001 - it would end the call, which goes on without progress
            log.warning("progress not sent", extra={"error": type(error).__name__})
            return


class ProgressObserver:
    """Notes the step of each attempt at an upstream, and passes all events on to another observer."""

    def __init__(self, other: Observer) -> None:
        self._other = other

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        name = API_NAMES[operation.api]
        set_step(f"waiting for a turn at {name}")
        return _Attempt(name, self._other.on_attempt(operation, number))

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        self._other.on_breakers_open(api, count)


class _Attempt:
    def __init__(self, name: str, other: Attempt) -> None:
        self._name = name
        self._other = other

    def on_begin(self) -> None:
        set_step(f"waiting for {self._name} to answer")
        self._other.on_begin()

    def on_answer(self, status: int) -> None:
        self._other.on_answer(status)

    def on_end(self, outcome: str) -> None:
        set_step(_UNDER_WAY if outcome == "done" else f"an attempt at {self._name} has failed")
        self._other.on_end(outcome)
