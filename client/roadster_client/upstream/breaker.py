"""A circuit breaker: after several failures in a row it sends nothing for a while, then tries one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from roadster_client import errors
from roadster_client.operations import Operation

FAILURES_IN_A_ROW = 5
"""Calls, each with its retries. Any answer of the upstream, even a refusal, starts the count again."""

OPEN_SECONDS = 10.0
"""Shorter than the shortest deadline, so a probe runs before a waiting call gives up."""


class Breaker:
    """A breaker that lets every call pass while closed, and none while open.

    `OPEN_SECONDS` after it opened, one call passes as a trial, and its outcome closes or opens the breaker again.
    Calls `on_open` when failures open it.
    """

    def __init__(self, on_open: Callable[[], None] = lambda: None) -> None:
        self._on_open = on_open
        self._failures = 0
        self._open_until: float | None = None
        self._is_trial_under_way = False

    @property
    def is_open(self) -> bool:
        """Returns whether it is open or waits for the outcome of a trial."""
        return self._open_until is not None

    @contextmanager
    def guard(self, operation: Operation) -> Iterator[None]:
        """Counts the outcome of one call. Raises CircuitOpen at once if the call must not be sent."""
        is_trial = self._admit(operation)
        try:
            yield
        except (errors.Unavailable, errors.TimedOut, errors.OutcomeUnknown):
            self._count_failure(is_trial=is_trial)
            raise
        except (errors.Busy, errors.RateLimited):
            raise  # does not tell whether the upstream works
        except errors.ClientError:
            self._close()
            raise
        else:
            self._close()
        finally:
            if is_trial:
                self._is_trial_under_way = False

    def open(self) -> None:
        """Opens the breaker, also when another process has seen the upstream fail."""
        self._open_until = anyio.current_time() + OPEN_SECONDS

    def _admit(self, operation: Operation) -> bool:
        """Returns whether the call is a trial. Raises CircuitOpen."""
        if self._open_until is None:
            return False
        seconds_left = self._open_until - anyio.current_time()
        if seconds_left > 0 or self._is_trial_under_way:
            raise errors.CircuitOpen(
                operation.name,
                f"the upstream has failed at this {FAILURES_IN_A_ROW} times in a row for this dealer",
                retry_after=max(1.0, seconds_left),
            )
        self._is_trial_under_way = True
        return True

    def _count_failure(self, *, is_trial: bool) -> None:
        self._failures += 1
        if is_trial or (self._open_until is None and self._failures >= FAILURES_IN_A_ROW):
            self.open()
            self._on_open()

    def _close(self) -> None:
        self._failures = 0
        self._open_until = None
