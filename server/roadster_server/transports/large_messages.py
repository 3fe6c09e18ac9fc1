"""The places for large messages: a few of each caller are read at once, and a few in all. Others wait in turn.

A large message takes about ten times its size while it is read. Without a bound, a caller could fill the memory.
"""

from __future__ import annotations

from typing import Self

import anyio

LARGE_BYTES = 64 * 1024
"""Bytes of a body. A call without a file has less."""

_OF_A_CALLER = 2
_IN_ALL = 4
_WAIT_SECONDS = 20.0
"""Seconds until a place is free. Clients give up after 60 or so."""


class NoPlaceFree(Exception):
    """All places stayed taken."""


class LargeMessages:
    """The places of one process. Those who wait get one in the order in which they came."""

    def __init__(
        self, *, of_a_caller: int = _OF_A_CALLER, in_all: int = _IN_ALL, wait_seconds: float = _WAIT_SECONDS
    ) -> None:
        self._of_a_caller = of_a_caller
        self._in_all = anyio.CapacityLimiter(in_all)
        self._of_callers: dict[str, anyio.CapacityLimiter] = {}
        self._wait_seconds = wait_seconds

    def place(self, caller: str) -> Place:
        """Returns a place for one message of the caller, which is not taken yet."""
        own = self._of_callers.setdefault(caller, anyio.CapacityLimiter(self._of_a_caller))
        # The caller's own place comes first: those who wait for one must not keep others out.
        return Place((own, self._in_all), self._wait_seconds)


class Place:
    """The place of one message. As a context manager it gives the place back at the end."""

    def __init__(self, limiters: tuple[anyio.CapacityLimiter, ...], wait_seconds: float) -> None:
        self._limiters = limiters
        self._wait_seconds = wait_seconds
        self._held: list[anyio.CapacityLimiter] = []

    async def take_if_large(self, size: int) -> None:
        """Waits for the place if the message has that many bytes or more. Raises NoPlaceFree."""
        if size <= LARGE_BYTES or self._held:
            return
        try:
            with anyio.fail_after(self._wait_seconds):
                for limiter in self._limiters:
                    await limiter.acquire_on_behalf_of(self)
                    self._held.append(limiter)
        except TimeoutError:
            raise NoPlaceFree from None

    def give_back(self) -> None:
        while self._held:
            self._held.pop().release_on_behalf_of(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
