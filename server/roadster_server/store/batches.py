"""Items that come at the same time are written together: the commit takes most of the time, and serves them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from .errors import StoreBusy, StoreError
from .waiting import current_wait

_ItemT = TypeVar("_ItemT")
_OutcomeT = TypeVar("_OutcomeT")

_BATCH_SIZE = 100
"""Items of one transaction. A larger one would hold up the other writers for long."""


@dataclass(eq=False)
class _Waiting(Generic[_ItemT, _OutcomeT]):
    item: _ItemT
    outcome: asyncio.Future[_OutcomeT]
    start_time: float
    """On the monotonic clock, less the seconds that the call had waited for the store before."""

    def seconds(self) -> float:
        return time.monotonic() - self.start_time


class Batches(Generic[_ItemT, _OutcomeT]):
    """Nobody waits for a batch to fill: it holds what came while the one before it was written.

    `write` stores a batch, or nothing of it, and returns an outcome for each item. An outcome that is a StoreError is
    raised to the one who brought the item. It also gets the seconds that a call of the batch has waited at most.
    """

    def __init__(self, write: Callable[[Sequence[_ItemT], float], Awaitable[Sequence[_OutcomeT | StoreError]]]) -> None:
        self._write = write
        self._waiting: list[_Waiting[_ItemT, _OutcomeT]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, item: _ItemT) -> _OutcomeT:
        """Returns the outcome once the item is stored, also if the caller's task is cancelled. Raises StoreError."""
        wait, start_time = current_wait(), time.monotonic()
        mine = _Waiting[_ItemT, _OutcomeT](item, asyncio.get_running_loop().create_future(), start_time - wait.seconds)
        self._waiting.append(mine)
        if self._task is None:
            # A task of its own, because no caller's end may stop what others wait for. It ends when nobody waits.
            self._task = asyncio.create_task(self._write_all())
        try:
            with anyio.CancelScope(shield=True):
                outcome = await mine.outcome
        finally:
            wait.seconds += time.monotonic() - start_time
        return outcome

    async def close(self) -> None:
        """Returns when nothing waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write_batch()
        finally:
            self._task = None
            waiting, self._waiting = self._waiting, []
            _fail(waiting, StoreError("the write was given up"))

    async def _write_batch(self) -> None:
        batch = self._waiting[:_BATCH_SIZE]
        patient: list[_Waiting[_ItemT, _OutcomeT]] = []
        try:
            longest = max(waiting.seconds() for waiting in batch)
            outcomes = await self._write([waiting.item for waiting in batch], longest)
            pairs = list(zip(batch, outcomes, strict=True))
        except StoreBusy as error:
            late = {waiting for waiting in batch if waiting.seconds() >= error.seconds}
            patient = [waiting for waiting in batch if waiting not in late]
            _fail(late, error)
        except Exception as error:  # noqa: BLE001 - also a defect is told to each caller
            _fail(batch, error)
        else:
            for waiting, outcome in pairs:
                if isinstance(outcome, StoreError):
                    _fail([waiting], outcome)
                elif not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)
        self._waiting[: len(batch)] = patient  # what came meanwhile stands behind them


def _fail(batch: Iterable[_Waiting[_ItemT, _OutcomeT]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():  # it is, where the caller's task was ended by force
            waiting.outcome.set_exception(copy(error))
