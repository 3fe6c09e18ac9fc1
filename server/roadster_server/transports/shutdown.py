"""How a serving process ends: the first SIGTERM or SIGINT asks for it, the second one ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

from roadster_server.telemetry.logs import flush_logs, log

_KILLED = 128
"""Added to a signal's number, it is the exit code by which shells know a process that the signal ended."""


class Stop:
    """`requested` is set once the process is to end; it has ended `within` seconds later, whatever holds it up.

    `discard` removes what an exit that waits for nothing would leave behind.
    """

    def __init__(self, *, within: float, discard: Callable[[], None]) -> None:
        self.requested = anyio.Event()
        self._within = within
        self._discard = discard
        self._signalled = False

    def begin(self, reason: str) -> None:
        """Asks for the end; only the first time counts."""
        if self.requested.is_set():
            return
        log.info("stopping", extra={"reason": reason})
        self.requested.set()
        # A thread, because what holds up the exit may well hold up the event loop.
        last_resort = threading.Timer(self._within, self._give_up)
        last_resort.daemon = True
        last_resort.start()

    def heed_signals(self, *, watched: bool = False) -> None:
        """From now on, to the end of the process.

        Where it is `watched`, a second signal is no more than a first: a service manager sends one to every process
        of a service, and the process that watches this one passes on its own. That one ends it, if need be.
        """
        loop = asyncio.get_running_loop()

        def received(number: int, _frame: Any) -> None:
            if self._signalled and not watched:
                self._exit(_KILLED + number)
            self._signalled = True
            with suppress(RuntimeError):  # the event loop has ended, and the process is about to
                loop.call_soon_threadsafe(self.begin, signal.Signals(number).name)

        # Not the event loop's own handlers, which Windows has not.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, received)

    def _give_up(self) -> None:
        log.error("stopped before everything had ended")
        self._exit(1)

    def _exit(self, code: int) -> None:
        self._discard()
        flush_logs()
        os._exit(code)
