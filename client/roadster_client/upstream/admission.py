"""Decides when an exchange with one upstream may begin: a few at once, callers in turn, none during a pause.

The queue has a limit in length and in time. A call that cannot begin in time fails with the seconds to wait.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from roadster_client import errors
from roadster_client.operations import Operation

AT_ONCE = 32
"""Exchanges with one upstream: more than it answers in parallel for one account."""

AT_ONCE_FOR_A_CALLER = 8
"""A quarter of the slots, so three busy callers cannot make a fourth one wait."""

WAITING_FOR_A_CALLER = 256
"""More than Roadie takes in a minute, so a call is turned away only if it could not begin within a minute."""

LONGEST_PAUSE = 60.0
"""Seconds that a 429 is obeyed before one call tries again. Upstreams count by the minute, and one that needs a longer
pause asks for it again."""

_PROBE_SECONDS = 1.0
"""After a pause one exchange goes first, and the others follow once it has succeeded. If it is slow, another one goes
after this many seconds."""


@dataclass(eq=False)
class _Turn:
    """One exchange's place in its caller's queue."""

    caller: str
    has_begun: bool = False
    is_probe: bool = False
    wake: anyio.Event = field(default_factory=anyio.Event)


class Admission:
    """Lets exchanges with one upstream begin."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        """Exchanges by caller."""
        self._queues: dict[str, deque[_Turn]] = {}
        """Waiting turns by caller. The next caller stands first."""
        self._pause_end: float | None = None
        """None while there is no pause. A pause lasts beyond its end until a probe has succeeded."""
        self._next_probe = 0.0
        self._usual_seconds = 1.0
        """A moving average of the last few exchanges."""

    @asynccontextmanager
    async def turn(self, operation: Operation, caller: str, begin_by: float) -> AsyncIterator[None]:
        """Waits until one exchange may begin, at the latest at `begin_by` on the loop's clock.

        A RateLimited that the block raises becomes a pause for all callers. Raises Busy if there is no free slot in
        time, and RateLimited if the upstream's pause lasts beyond `begin_by`.
        """
        turn = _Turn(caller)
        await self._wait(turn, operation, begin_by)
        start = anyio.current_time()
        try:
            yield
        except errors.RateLimited as error:
            if error.retry_after is not None:
                self._pause(error.retry_after)
            raise
        except errors.ClientError:
            self._end_pause(turn)
            raise
        else:
            self._end_pause(turn)
        finally:
            self._usual_seconds += (anyio.current_time() - start - self._usual_seconds) / 8
            self._leave(caller)

    async def _wait(self, turn: _Turn, operation: Operation, begin_by: float) -> None:
        queue = self._queues.setdefault(turn.caller, deque())
        if len(queue) >= WAITING_FOR_A_CALLER:
            raise self._busy(operation, turn.caller)
        queue.append(turn)
        self._let_in()
        try:
            while not turn.has_begun:
                self._check_time(operation, turn.caller, begin_by)
                wake_at = begin_by if self._pause_end is None else min(begin_by, self._next_probe)
                with anyio.CancelScope(deadline=wake_at):
                    await turn.wake.wait()
                turn.wake = anyio.Event()
                self._let_in()
        except BaseException:
            if turn.has_begun:
                self._leave(turn.caller)
            else:
                self._remove(turn)
            raise

    def _check_time(self, operation: Operation, caller: str, begin_by: float) -> None:
        now = anyio.current_time()
        if self._pause_end is not None and max(self._pause_end, now) >= begin_by:
            raise errors.RateLimited(
                operation.name, "the upstream asks for fewer requests", retry_after=max(1.0, self._pause_end - now)
            )
        if now >= begin_by:
            raise self._busy(operation, caller)

    def _let_in(self) -> None:
        """Begins every exchange that may begin now, one caller after the other."""
        now = anyio.current_time()
        while self._running.total() < AT_ONCE:
            is_probe = self._pause_end is not None
            if is_probe and now < self._next_probe:
                return
            caller = next((name for name in self._queues if self._running[name] < AT_ONCE_FOR_A_CALLER), None)
            if caller is None:
                return
            turn = self._queues[caller][0]
            self._remove(turn)
            if caller in self._queues:
                self._queues[caller] = self._queues.pop(caller)  # to the end
            if is_probe:
                self._next_probe = now + _PROBE_SECONDS
            turn.has_begun, turn.is_probe = True, is_probe
            self._running[caller] += 1
            turn.wake.set()

    def _leave(self, caller: str) -> None:
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._let_in()

    def _remove(self, turn: _Turn) -> None:
        queue = self._queues[turn.caller]
        queue.remove(turn)
        if not queue:
            del self._queues[turn.caller]

    def _pause(self, seconds: float) -> None:
        # A pause of 0 seconds would let all begin at once.
        end = anyio.current_time() + max(seconds, _PROBE_SECONDS)
        self._pause_end = self._next_probe = max(end, self._pause_end or 0.0)
        for queue in self._queues.values():
            for turn in queue:
                turn.wake.set()  # each checks again whether it can wait that long

    def _end_pause(self, turn: _Turn) -> None:
        if turn.is_probe:
            self._pause_end = None

    def _busy(self, operation: Operation, caller: str) -> errors.Busy:
        calls_ahead = len(self._queues.get(caller, ())) + 1
        return errors.Busy(
            operation.name,
            "too many calls are under way",
            retry_after=min(
                LONGEST_PAUSE, math.ceil(max(1.0, self._usual_seconds * calls_ahead / AT_ONCE_FOR_A_CALLER))
            ),
        )
