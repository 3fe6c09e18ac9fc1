"""The port through which an upstream reports its work, for metrics and traces.

Nothing that it reports comes from a call's contents, or names its caller or dealer.
"""

from __future__ import annotations

from typing import Protocol

from roadster_client.operations import ApiName, Operation


class Attempt(Protocol):
    """One attempt at an operation, from the moment when it waits to be sent."""

    def on_begin(self) -> None:
        """Runs when the attempt is sent. An attempt that waits in vain ends without it."""

    def on_answer(self, status: int) -> None:
        """Runs when the upstream has answered with this HTTP status."""

    def on_end(self, outcome: str) -> None:
        """Runs last and once. `outcome` is `done`, `timed_out`, `cancelled`, `defect`, or an error in snake case."""


class Observer(Protocol):
    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        """Runs when an attempt begins to wait. The first attempt has number 1."""

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        """Runs with the number of open breakers: operations of one dealer that failed several times in a row."""


class NoObserver:
    """An observer that does nothing."""

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        del operation, number
        return _NO_ATTEMPT

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        pass


class _NoAttempt:
    def on_begin(self) -> None:
        pass

    def on_answer(self, status: int) -> None:
        pass

    def on_end(self, outcome: str) -> None:
        pass


_NO_ATTEMPT = _NoAttempt()
