"""The places for large messages.

Only a file makes a message large, and it is in the memory until its call ends. Without a bound, a caller could fill the
memory with calls that an upstream is slow to answer. So a message keeps its place until its call ends.
"""

from __future__ import annotations

from typing import Self
from weakref import WeakValueDictionary

import anyio

LARGE_BYTES = 64 * 1024
"""Bytes of a message. One without a file has less."""

MOST_LARGE = 16
"""Messages of all callers. `bench/messages.py` measures the memory for them."""
_MOST_OF_A_CALLER = 4
_WAIT_SECONDS = 20.0
"""Seconds until a place is free, for a message's whole wait. Clients give up after 60 or so."""


class NoPlaceFree(Exception):
    """All places stayed taken."""


class LargeMessages:
    """A few places of each caller, and a few in all. Those who wait get one in the order in which they came."""

    def __init__(
        self, *, most_of_a_caller: int = _MOST_OF_A_CALLER, most: int = MOST_LARGE, wait_seconds: float = _WAIT_SECONDS
    ) -> None:
        self._most_of_a_caller = most_of_a_caller
        self._of_all = anyio.CapacityLimiter(most)
        self._of_callers = WeakValueDictionary[str, anyio.CapacityLimiter]()
        """Without callers of whom there is no message: people come and go."""
        self._wait_seconds = wait_seconds

    def place(self, caller: str) -> MessagePlace:
        """Returns a place for one message of the caller, which is not taken yet."""
        own = self._of_callers.setdefault(caller, anyio.CapacityLimiter(self._most_of_a_caller))
        # The caller's own comes first: those who wait for it must not keep others out.
        return MessagePlace((own, self._of_all), self._wait_seconds)


class MessagePlace:
    """The place of one message. As a context manager it is given back at the end, unless a call `keep`s it."""

    def __init__(self, limiters: tuple[anyio.CapacityLimiter, ...], wait_seconds: float) -> None:
        self._limiters = limiters
        self._wait_seconds = wait_seconds
        self._held: list[anyio.CapacityLimiter] = []
        self._is_kept = False

    async def wait(self, size: int) -> None:
        """Waits, once, if the message has more than `LARGE_BYTES`. Raises NoPlaceFree."""
        if size <= LARGE_BYTES or self._held:
            return
        try:
            with anyio.fail_after(self._wait_seconds):
                for limiter in self._limiters:
                    await limiter.acquire_on_behalf_of(self)
                    self._held.append(limiter)
        except TimeoutError:
            raise NoPlaceFree from None

    def take_at_once(self, size: int) -> None:
        """Takes the place without waiting, if the message is that large. Raises NoPlaceFree."""
        if size <= LARGE_BYTES:
            return
        try:
            for limiter in self._limiters:
                limiter.acquire_on_behalf_of_nowait(self)
                self._held.append(limiter)
        except anyio.WouldBlock:
            self.give_back()
            raise NoPlaceFree from None

    def keep(self) -> None:
        """Keeps the place after the end of the context, for a call that goes on. It is then given back by hand."""
        self._is_kept = True

    def give_back(self) -> None:
        while self._held:
            self._held.pop().release_on_behalf_of(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_kept:
            self.give_back()
