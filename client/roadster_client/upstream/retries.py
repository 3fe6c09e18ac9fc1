"""Decides after a failure whether to try again, and when, within a budget of retries for the upstream."""

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
"""The first one and at most two retries."""

SHARE = 0.2
"""Retries for each call, so a failing upstream sees at most 1.2 times the calls."""

TRANSIENT_STATUSES = frozenset({502, 503, 504})
"""Answers of a proxy in front of the upstream, and of one that is not ready. They are likely to pass soon."""

_FIRST_FEW = 2
"""Retries allowed before any call has been counted: as many as one call can make."""

_SAVED = 10
"""Cap on saved retries, so a long healthy period cannot fund a retry storm."""

_FIRST_WAIT, _JITTER = 0.1, 0.2
"""Seconds. The second wait doubles the first. Short, because a person waits, and the deadline goes on."""


class RetryBudget:
    """The retries that one upstream may still see."""

    def __init__(self) -> None:
        self._allowance = 0.0
        self._retries = 0

    def count_call(self) -> None:
        """Adds the call's share to the allowance."""
        self._allowance = min(self._allowance + SHARE, self._retries + _SAVED)

    def take_retry(self) -> bool:
        """Counts one more retry and returns True, or returns False if the budget has none left."""
        if self._retries + 1 > max(_FIRST_FEW, self._allowance):
            return False
        self._retries += 1
        return True


def attempts(operation: Operation, budget: RetryBudget, begin_by: float) -> AsyncIterator[Attempt]:
    """Yields attempts to enter one after the other. None begins after `begin_by` on the loop's clock."""
    import stamina  # noqa: PLC0415 - slow to import, and only a request needs it

    budget.count_call()
    return stamina.retry_context(
        on=_Judge(operation, budget, begin_by),
        attempts=None,  # the judge counts them
        timeout=None,
        wait_initial=_FIRST_WAIT,
        wait_jitter=_JITTER,
    ).__aiter__()


class _Judge:
    """A callable that tells stamina, for each failure of one call, not to retry, to retry, or after which seconds."""

    def __init__(self, operation: Operation, budget: RetryBudget, begin_by: float) -> None:
        self._operation = operation
        self._budget = budget
        self._begin_by = begin_by
        self._attempts = 0

    def __call__(self, error: BaseException) -> bool | float:
        self._attempts += 1
        if self._attempts == ATTEMPTS or not _is_transient(self._operation, error):
            return False
        retry_after = error.retry_after if isinstance(error, errors.ClientError) else None
        longest_wait = (retry_after or _FIRST_WAIT * self._attempts) + _JITTER
        if anyio.current_time() + longest_wait >= self._begin_by:
            return False
        # An upstream that names the time of the next attempt expects it, and Admission sends only one ahead.
        is_expected = isinstance(error, errors.RateLimited) and retry_after is not None
        if not is_expected and not self._budget.take_retry():
            return False
        if retry_after is None:
            return True
        return retry_after + random.uniform(0, _JITTER)  # noqa: S311 - spreads the load, and is no secret


def _is_transient(operation: Operation, error: BaseException) -> bool:
    """Returns whether another attempt may succeed and does no harm. A write is repeated only if nothing was sent."""
    match error:
        case errors.Untrusted():
            return False
        case errors.ProxyFailed(status=status):
            return status is None or status in TRANSIENT_STATUSES
        case errors.Unreachable():
            return True
        case errors.RateLimited():
            return not operation.writes
        case errors.Unavailable(status=status):
            return not operation.writes and (status is None or status in TRANSIENT_STATUSES)
        case _:
            return False
