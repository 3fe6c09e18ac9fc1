"""The SIGHUPs by which an operator asks for a reload."""

from __future__ import annotations

import signal

import anyio


class Hangups:
    """The SIGHUPs of this process. Each of them asks for a reload."""

    def __init__(self) -> None:
        self._came = anyio.Event()

    async def listen(self) -> None:
        if hasattr(signal, "SIGHUP"):  # not on Windows
            with anyio.open_signal_receiver(signal.SIGHUP) as signals:
                async for _ in signals:
                    self._came.set()

    async def came_within(self, seconds: float) -> bool:
        """Returns whether one has come since the last time, or comes within the seconds."""
        with anyio.move_on_after(seconds):
            await self._came.wait()
        if not self._came.is_set():
            return False
        self._came = anyio.Event()
        return True
