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
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

import anyio

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
    """The turn of one call. The call can wait in several places at once, and works again once it waits in none."""

    def __init__(self, of_caller: _CallerTurns) -> None:
        self._of_caller = of_caller
        self._open_waits = 0
        self._is_over = False

    def give_back(self) -> None:
        self._open_waits += 1
        if self._open_waits == 1 and not self._is_over:
            self._of_caller.leave()

    def resume(self) -> None:
        self._open_waits -= 1
        if not self._open_waits and not self._is_over:
            self._of_caller.working += 1

    def end(self) -> None:
        self._is_over = True
        if not self._open_waits:
            self._of_caller.leave()


_current_turn: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


def give_turn_back() -> None:
    """Lets another call of the caller begin, because the one of this context waits until its end."""
    turn = _current_turn.get()
    if turn is not None:
        turn.give_back()


def _resume_turn() -> None:
    turn = _current_turn.get()
    if turn is not None:
        turn.resume()


@contextmanager
def turn_given_back() -> Iterator[None]:
    """Lets another call of the caller begin while the block waits, also where it ends in an error.

    After it, the caller's next call begins only once fewer than two work.
    """
    give_turn_back()
    try:
        yield
    finally:
        _resume_turn()


@contextmanager
def turn_given_back_after(seconds: float) -> Iterator[None]:
    """Lets another call of the caller begin if the block takes longer."""
    with ExitStack() as wait:
        timer = asyncio.get_running_loop().call_later(seconds, wait.enter_context, turn_given_back())
        try:
            yield
        finally:
            timer.cancel()
