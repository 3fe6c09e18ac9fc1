"""What an upstream tells of itself while it works: for figures and traces, which this package knows nothing of.

Nothing that it tells is of a call's contents, nor of its caller or dealer.
"""

from __future__ import annotations

from typing import Protocol

from roadster_client.operations import ApiName, Operation


class Attempt(Protocol):
    """One attempt at an operation, from when it asks to be let in."""

    def on_begin(self) -> None:
        """It is let in, and sent now. One that is not let in ends without."""

    def on_answer(self, status: int) -> None:
        """The upstream has answered with this status."""

    def on_end(self, outcome: str) -> None:
        """Comes last, once: `done`, `timed_out`, `cancelled`, `defect`, or one of `errors` in snake case."""


class Observer(Protocol):
    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        """An attempt asks to be let in: the first one has the number 1."""

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        """So many operations, each of one dealer, have failed several times in a row, and none has succeeded since."""


class NoObserver:
    """Observes nothing."""

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        del operation, number
        return _UNOBSERVED

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        pass


class _UnobservedAttempt:
    def on_begin(self) -> None:
        pass

    def on_answer(self, status: int) -> None:
        pass

    def on_end(self, outcome: str) -> None:
        pass


_UNOBSERVED = _UnobservedAttempt()
