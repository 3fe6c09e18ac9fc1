"""Which failures are worth another attempt, when, and how many an upstream may see."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio

from roadster_client import errors
from roadster_client.operations import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stamina import Attempt

ATTEMPTS = 3
"""The first, and at most two more."""

SHARE = 0.2
"""Of the calls, how many attempts may come on top: a failing upstream sees at most 1.2 times the calls."""

TRANSIENT_STATUSES = frozenset({502, 503, 504})
"""What a proxy in front answers, and an upstream that is not ready: likely over soon."""

_FIRST_FEW = 2
"""Attempts on top that need no calls before them: as many as one call can make."""

_SAVED = 10
"""What many good calls save up, so that an upstream that then fails does not pay for its good days."""

_FIRST_WAIT, _JITTER = 0.1, 0.2
"""Seconds; the second wait doubles the first. Short, because a person waits, and the deadline does not wait at all."""


class RetryBudget:
    """What is left of `SHARE` for one upstream."""

    def __init__(self) -> None:
        self._earned = 0.0
        self._spent = 0

    def earn(self) -> None:
        """Counts a call."""
        self._earned = min(self._earned + SHARE, self._spent + _SAVED)

    def spend(self) -> bool:
        """Whether one more attempt may be made; it is then counted."""
        if self._spent + 1 > max(_FIRST_FEW, self._earned):
            return False
        self._spent += 1
        return True


def attempts(operation: Operation, budget: RetryBudget, begin_by: float) -> AsyncIterator[Attempt]:
    """Attempts to be entered one after the other; none begins after `begin_by` on the loop's clock."""
    import stamina  # noqa: PLC0415 - for the first request, not for the start

    budget.earn()
    return stamina.retry_context(
        on=_Judge(operation, budget, begin_by),
        attempts=None,  # the judge counts them
        timeout=None,
        wait_initial=_FIRST_WAIT,
        wait_jitter=_JITTER,
    ).__aiter__()


class _Judge:
    """Says of each failure of one call whether to try again: no, yes, or in how many seconds."""

    def __init__(self, operation: Operation, budget: RetryBudget, begin_by: float) -> None:
        self._operation = operation
        self._budget = budget
        self._begin_by = begin_by
        self._made = 0

    def __call__(self, error: BaseException) -> bool | float:
        self._made += 1
        if self._made == ATTEMPTS or not _passing(self._operation, error):
            return False
        asked = error.retry_after if isinstance(error, errors.ClientError) else None
        longest = (asked or _FIRST_WAIT * self._made) + _JITTER
        if anyio.current_time() + longest >= self._begin_by:
            return False
        # Whoever names the time for the next attempt has planned for it, and Admission sends one ahead.
        planned = isinstance(error, errors.RateLimited) and asked is not None
        if not planned and not self._budget.spend():
            return False
        return True if asked is None else asked + random.uniform(0, _JITTER)  # noqa: S311 - spreads load, no secret


def _passing(operation: Operation, error: BaseException) -> bool:
    """Whether another attempt may go better, and does no harm: a write, only where nothing was sent."""
    match error:
        case errors.Untrusted():
            return False
        case errors.Unreachable():
            return True
        case errors.RateLimited():
            return not operation.writes
        case errors.Unavailable(status=status):
            return not operation.writes and (status is None or status in TRANSIENT_STATUSES)
        case _:
            return False
