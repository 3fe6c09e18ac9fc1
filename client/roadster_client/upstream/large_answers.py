"""Work on answers so large that nobody else should wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

_ResultT = TypeVar("_ResultT")

LARGE = 500_000
"""Bytes. To parse as many takes 3 ms, and to look through them as many again. A page of 100 vehicles has 150,000."""

_AT_ONCE = CapacityLimiter(1)
"""Threads share one interpreter, so two of them would take longer and twice the memory."""


async def run_beside_others(size: int, work: Callable[[], _ResultT]) -> _ResultT:
    """Returns the result of `work` on an answer of `size` bytes. A large one is for a thread."""
    return await to_thread.run_sync(work, limiter=_AT_ONCE) if size > LARGE else work()
