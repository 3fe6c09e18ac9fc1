"""The seconds that one call waits for the store, however many transactions it needs.

A store that is locked holds up each transaction. If each one waited its own time, a call of five transactions would
wait five times as long as anybody expects.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_LEAST_SECONDS = 0.1


@dataclass
class Wait:
    """The wait of one call so far, in seconds."""

    seconds: float = 0.0


_WAIT: ContextVar[Wait | None] = ContextVar("roadster_server.store.waiting", default=None)


@contextmanager
def one_wait(so_far: float = 0.0) -> Iterator[Wait]:
    """Lets all transactions of the block wait together as long as one. Tasks that it starts share the wait.

    With `so_far` it has waited before. With infinity, each transaction gets a moment only.
    """
    wait = Wait(so_far)
    token = _WAIT.set(wait)
    try:
        yield wait
    finally:
        _WAIT.reset(token)


def current_wait() -> Wait:
    """Returns the wait of the call that is running, or a new one outside of calls."""
    return _WAIT.get() or Wait()


def seconds_left(most: float, so_far: float) -> float:
    """Returns the seconds that a call may still wait: a moment at least, because the store may be free again."""
    return max(most - so_far, _LEAST_SECONDS)
