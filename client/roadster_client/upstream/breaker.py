"""A circuit breaker: what has failed several times in a row is left alone for a while, then tried with one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from roadster_client import errors
from roadster_client.operations import Operation

FAILURES_IN_A_ROW = 5
"""Calls, each with its retries. One that the upstream answers, be it with a refusal, starts the count anew."""

OPEN_SECONDS = 10.0
"""Shorter than the shortest deadline: nobody learns later of a recovery than from a call that hangs."""


class Breaker:
    """Closed, it lets every call pass; open, none; and after `OPEN_SECONDS` one, whose outcome decides.

    `opened` is called when it opens.
    """

    def __init__(self, opened: Callable[[], None] = lambda: None) -> None:
        self._opened = opened
        self._failures = 0
        self._open_until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether it is, also while it waits for the one call that decides."""
        return self._open_until is not None

    @contextmanager
    def guard(self, operation: Operation) -> Iterator[None]:
        """One call, whose failure counts. Raises CircuitOpen at once where it would not be sent."""
        trial = self._admit(operation)
        try:
            yield
        except (errors.Unavailable, errors.TimedOut, errors.OutcomeUnknown):
            self._failed(trial)
            raise
        except (errors.Busy, errors.RateLimited):
            raise  # says nothing of whether the upstream works
        except errors.ClientError:
            self._answered()
            raise
        else:
            self._answered()
        finally:
            if trial:
                self._trying = False

    def open(self) -> None:
        """Opens it: also because another process has seen the upstream fail."""
        self._open_until = anyio.current_time() + OPEN_SECONDS

    def _admit(self, operation: Operation) -> bool:
        """Whether the call is the one that tries."""
        if self._open_until is None:
            return False
        left = self._open_until - anyio.current_time()
        if left > 0 or self._trying:
            raise errors.CircuitOpen(
                operation.name,
                f"the upstream has failed at this {FAILURES_IN_A_ROW} times in a row for this dealer",
                retry_after=max(1.0, left),
            )
        self._trying = True
        return True

    def _failed(self, trial: bool) -> None:
        self._failures += 1
        if trial or (self._open_until is None and self._failures >= FAILURES_IN_A_ROW):
            self.open()
            self._opened()

    def _answered(self) -> None:
        self._failures = 0
        self._open_until = None
