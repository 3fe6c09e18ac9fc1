"""The end of a serving process: the first SIGTERM or SIGINT asks for it, the second one ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio

from roadster_server.calls.calls import Calls
from roadster_server.telemetry.logs import flush_logs, log

SIGNALLED = 128
"""Added to a signal's number. Shells give this exit code to a process that the signal ended."""

INTERRUPTED_SECONDS = 1.0
"""Seconds for interrupted calls to be answered and to get on record."""


class Stop:
    """The request that the process ends. `requested` is set from then on.

    The process has ended `within` seconds later, whatever holds it up. `discard` removes what the process keeps on
    disk: such an exit does not wait for anything else to do it.
    """

    def __init__(self, *, within: float, discard: Callable[[], None]) -> None:
        self.requested = anyio.Event()
        self._within = within
        self._discard = discard
        self._has_signal = False

    def begin(self, reason: str) -> None:
        """Asks for the end. Only the first time counts."""
        if self.requested.is_set():
            return
        log.info("stopping", extra={"reason": reason})
        self.requested.set()
        # A thread, because the event loop itself may hold up the exit.
        last_resort = threading.Timer(self._within, self._give_up)
        last_resort.daemon = True
        last_resort.start()

    def heed_signals(self, *, is_watched: bool = False) -> None:
        """Handles SIGINT and SIGTERM from now on, to the end of the process.

        `is_watched` says that another process watches this one and ends it if need be. Then a second signal is no more
        than the first: a service manager sends one to every process of a service, and the watching process passes its
        own one on.
        """
        loop = asyncio.get_running_loop()

        def handle(number: int, _frame: Any) -> None:
            if self._has_signal and not is_watched:
                self._exit(SIGNALLED + number)
            self._has_signal = True
            with suppress(RuntimeError):  # the event loop has ended, and the process is about to
                loop.call_soon_threadsafe(self.begin, signal.Signals(number).name)

        # Not the event loop's own handlers: Windows has none.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handle)

    def _give_up(self) -> None:
        log.error("stopped before everything had ended")
        self._exit(1)

    def _exit(self, code: int) -> None:
        self._discard()
        flush_logs()
        os._exit(code)


async def drain(calls: Calls, seconds: float, idle: Callable[[], Awaitable[None]]) -> None:
    """Gives the calls in flight `seconds` to end, then interrupts the rest. `idle` returns once none is left."""
    with anyio.move_on_after(seconds):
        await idle()
    calls.interrupt()
    with anyio.move_on_after(INTERRUPTED_SECONDS):
        await idle()
