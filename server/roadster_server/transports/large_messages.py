"""The places for large messages: a few of each caller are received at once, and a few in all. Others wait in turn.

A large message takes about ten times its size while it is read. Without a bound, a caller could fill the memory.
"""

from __future__ import annotations

from typing import Self

import anyio

LARGE_BYTES = 64 * 1024
"""Bytes of a body. A call without a file has less."""

_MOST_OF_A_CALLER = 2
_MOST_RECEIVED = 16
_MOST_READ = 2
_WAIT_SECONDS = 20.0
"""Seconds until a place is free. Clients give up after 60 or so."""


class NoPlaceFree(Exception):
    """All places stayed taken."""


class LargeMessages:
    """The places of one process. Those who wait get one in the order in which they came."""

    def __init__(
        self,
        *,
        most_of_a_caller: int = _MOST_OF_A_CALLER,
        most_received: int = _MOST_RECEIVED,
        most_read: int = _MOST_READ,
        wait_seconds: float = _WAIT_SECONDS,
    ) -> None:
        self._most_of_a_caller = most_of_a_caller
        self._receiving = anyio.CapacityLimiter(most_received)
        self._reading = anyio.CapacityLimiter(most_read)
        self._of_callers: dict[str, anyio.CapacityLimiter] = {}
        self._wait_seconds = wait_seconds

    def place(self, caller: str) -> Place:
        """Returns a place for one message of the caller, which is not taken yet."""
        own = self._of_callers.setdefault(caller, anyio.CapacityLimiter(self._most_of_a_caller))
        # The caller's own comes first: those who wait for it must not keep others out.
        return Place((own, self._receiving), self._reading, self._wait_seconds)


class Place:
    """The place of one message. As a context manager it gives the place back at the end.

    It has two parts, because there may be many bodies, and only a few parsed documents. A body that comes slowly must
    not keep other callers out.
    """

    def __init__(
        self, receiving: tuple[anyio.CapacityLimiter, ...], reading: anyio.CapacityLimiter, wait_seconds: float
    ) -> None:
        self._receiving = receiving
        self._reading = reading
        self._wait_seconds = wait_seconds
        self._held: list[anyio.CapacityLimiter] = []

    async def wait_to_receive(self, size: int) -> None:
        """Waits, once, if the body has more than `LARGE_BYTES`. Raises NoPlaceFree."""
        if size > LARGE_BYTES and not self._held:
            for limiter in self._receiving:
                await self._take(limiter)

    async def wait_to_read(self) -> None:
        """Waits before the body is parsed, if it was large. Raises NoPlaceFree."""
        if self._held:
            await self._take(self._reading)

    async def _take(self, limiter: anyio.CapacityLimiter) -> None:
        try:
            with anyio.fail_after(self._wait_seconds):
                await limiter.acquire_on_behalf_of(self)
        except TimeoutError:
            raise NoPlaceFree from None
        self._held.append(limiter)

    def give_back(self) -> None:
        while self._held:
            self._held.pop().release_on_behalf_of(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
