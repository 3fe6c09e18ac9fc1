"""Turns of the callers at the event loop: two calls of each caller work at a time, the others wait in their order.

A caller that floods the server then delays another one by the steps of a few calls, not by those of all. A call has no
turn while it waits for an upstream, a person or another call. Afterwards it goes on at once: a call that has begun
never waits for a turn, so no two calls can wait for each other. While its record is stored, it keeps its turn for as
long as a sound store takes. Many calls that wait for the store would slow it down for all, because its thread and the
loop share one interpreter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

import anyio

from roadster_client import ApiName, Attempt, Observer, Operation

_AT_ONCE = 2
"""While one call waits for a step of the loop, the other one of the caller works."""


class Turns:
    """The turns of all callers of a process."""

    def __init__(self) -> None:
        self._of_callers = WeakValueDictionary[str, _CallerTurns]()
        """Without callers of whom no call is under way: people come and go."""

    async def begin(self, caller: str) -> Turn:
        """Waits until the caller has a turn. It is that of the present context from then on, until `Turn.end`."""
        of_caller = self._of_callers.setdefault(caller, _CallerTurns())
        await of_caller.wait()
        turn = Turn(of_caller)
        _current_turn.set(turn)
        return turn


class _CallerTurns:
    """The turns of one caller."""

    def __init__(self) -> None:
        self.working = 0
        self._waiting: deque[anyio.Event] = deque()

    async def wait(self) -> None:
        if self.working < _AT_ONCE:
            self.working += 1
            return
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.leave()
            else:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        self.working -= 1
        while self._waiting and self.working < _AT_ONCE:
            self.working += 1
            self._waiting.popleft().set()


class Turn:
    """The turn of one call."""

    def __init__(self, of_caller: _CallerTurns) -> None:
        self._of_caller = of_caller
        self._is_held = True
        self._is_over = False

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._of_caller.leave()

    def resume(self) -> None:
        if not self._is_held and not self._is_over:
            self._is_held = True
            self._of_caller.working += 1

    def end(self) -> None:
        self._is_over = True
        self.give_back()


_current_turn: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


def give_turn_back() -> None:
    """Lets another call of the caller begin, because the one of this context is about to wait."""
    turn = _current_turn.get()
    if turn is not None:
        turn.give_back()


@contextmanager
def turn_given_back_after(seconds: float) -> Iterator[None]:
    """Lets another call of the caller begin if the block takes longer."""
    timer = asyncio.get_running_loop().call_later(seconds, give_turn_back)
    try:
        yield
    finally:
        timer.cancel()


def resume_turn() -> None:
    """Notes that the call works again. The caller's next one begins only once fewer than two do."""
    turn = _current_turn.get()
    if turn is not None:
        turn.resume()


class TurnObserver:
    """Gives a call's turn back during each attempt at an upstream, and passes all events on to another observer."""

    def __init__(self, other: Observer) -> None:
        self._other = other

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        give_turn_back()
        return _Attempt(self._other.on_attempt(operation, number))

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        self._other.on_breakers_open(api, count)


class _Attempt:
    def __init__(self, other: Attempt) -> None:
        self._other = other

    def on_begin(self) -> None:
        self._other.on_begin()

    def on_answer(self, status: int) -> None:
        resume_turn()
        self._other.on_answer(status)

    def on_end(self, outcome: str) -> None:
        self._other.on_end(outcome)
