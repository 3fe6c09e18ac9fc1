"""Turns of the event loop, for work on many rows: other calls have theirs in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Self, TypeVar

from anyio.lowlevel import checkpoint

_ItemT = TypeVar("_ItemT")

_ITEMS_OF_A_TURN = 10
"""Rows of a list. Reading and showing as many takes less than a millisecond."""


class InTurns(Generic[_ItemT]):
    """The items of an iterable. After every few, other calls have their turn before the next one is taken."""

    def __init__(self, items: Iterable[_ItemT]) -> None:
        self._items: Iterator[_ItemT] = iter(items)
        self._count = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _ItemT:
        if self._count and self._count % _ITEMS_OF_A_TURN == 0:
            await checkpoint()
        self._count += 1
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
