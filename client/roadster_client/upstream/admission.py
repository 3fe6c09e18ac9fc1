"""When an exchange with one upstream may begin: few at once, callers in turn, and no one while it asks for a pause.

Who cannot begin in time is told so, with the seconds to wait: the queue is bounded in length and in time.
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
"""Exchanges with one upstream: more than it answers in parallel for one account, and as many as a pool keeps."""

AT_ONCE_FOR_A_CALLER = 8
"""A quarter of them: it takes four callers that do their worst to make a fifth wait for one exchange to end."""

WAITING_FOR_A_CALLER = 256
"""Above what Roadie takes in a minute, so that nobody is turned away who could wait for the next one."""

LONGEST_PAUSE = 60.0
"""Seconds for which a 429 is obeyed before one call asks again: upstreams count by the minute, and a pause that was
meant in earnest is asked for anew."""

_PROBE_EVERY = 1.0
"""Seconds. After a pause one exchange goes first, and the others once it has passed; a slow one is not waited for."""


@dataclass(eq=False)
class _Waiting:
    caller: str
    granted: bool = False
    probes: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)


class Admission:
    """Lets exchanges with one upstream begin."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._queues: dict[str, deque[_Waiting]] = {}
        """By caller, the one whose turn is next first."""
        self._paused_until: float | None = None
        self._next_probe = 0.0
        self._usual = 1.0

    @asynccontextmanager
    async def turn(self, operation: Operation, caller: str, begin_by: float) -> AsyncIterator[None]:
        """One exchange, which begins before `begin_by` on the loop's clock. A RateLimited within it is a pause for all.

        Raises Busy where there is no room in time, and RateLimited where the upstream's pause lasts longer than that.
        """
        waiting = _Waiting(caller)
        await self._wait(waiting, operation, begin_by)
        began = anyio.current_time()
        try:
            yield
        except errors.RateLimited as error:
            if error.retry_after is not None:
                self._pause(error.retry_after)
            raise
        except errors.ClientError:
            self._passed(waiting)
            raise
        else:
            self._passed(waiting)
        finally:
            self._usual += (anyio.current_time() - began - self._usual) / 8  # a moving average of the last few
            self._leave(caller)

    async def _wait(self, waiting: _Waiting, operation: Operation, begin_by: float) -> None:
        queue = self._queues.setdefault(waiting.caller, deque())
        if len(queue) >= WAITING_FOR_A_CALLER:
            raise self._busy(operation, waiting.caller)
        queue.append(waiting)
        self._let_in()
        try:
            while not waiting.granted:
                self._check_time(operation, waiting.caller, begin_by)
                wake_at = begin_by if self._paused_until is None else min(begin_by, self._next_probe)
                with anyio.CancelScope(deadline=wake_at):
                    await waiting.changed.wait()
                waiting.changed = anyio.Event()
                self._let_in()
        except BaseException:
            if waiting.granted:
                self._leave(waiting.caller)
            else:
                self._forget(waiting)
            raise

    def _check_time(self, operation: Operation, caller: str, begin_by: float) -> None:
        now = anyio.current_time()
        if self._paused_until is not None and max(self._paused_until, now) >= begin_by:
            raise errors.RateLimited(
                operation.name, "the upstream asks for fewer requests", retry_after=max(1.0, self._paused_until - now)
            )
        if now >= begin_by:
            raise self._busy(operation, caller)

    def _let_in(self) -> None:
        """Grants what may begin now, one caller after the other."""
        now = anyio.current_time()
        while self._running.total() < AT_ONCE:
            probes = self._paused_until is not None
            if probes and now < self._next_probe:
                return
            caller = next((name for name in self._queues if self._running[name] < AT_ONCE_FOR_A_CALLER), None)
            if caller is None:
                return
            waiting = self._queues[caller][0]
            self._forget(waiting)
            if caller in self._queues:
                self._queues[caller] = self._queues.pop(caller)  # to the end
            if probes:
                self._next_probe = now + _PROBE_EVERY
            waiting.granted, waiting.probes = True, probes
            self._running[caller] += 1
            waiting.changed.set()

    def _passed(self, waiting: _Waiting) -> None:
        if waiting.probes:
            self._paused_until = None

    def _leave(self, caller: str) -> None:
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        self._let_in()

    def _forget(self, waiting: _Waiting) -> None:
        queue = self._queues[waiting.caller]
        queue.remove(waiting)
        if not queue:
            del self._queues[waiting.caller]

    def _pause(self, seconds: float) -> None:
        # A pause of no time would be no pause, and all would come at once.
        ends = anyio.current_time() + max(seconds, _PROBE_EVERY)
        self._paused_until = self._next_probe = max(ends, self._paused_until or 0.0)
        for queue in self._queues.values():
            for waiting in queue:
                waiting.changed.set()  # each looks anew whether it can wait that long

    def _busy(self, operation: Operation, caller: str) -> errors.Busy:
        before = len(self._queues.get(caller, ())) + 1
        return errors.Busy(
            operation.name,
            "too many calls are under way",
            retry_after=min(LONGEST_PAUSE, math.ceil(max(1.0, self._usual * before / AT_ONCE_FOR_A_CALLER))),
        )
