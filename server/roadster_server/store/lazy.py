"""The store, opened when it is first needed: its libraries would make a stdio start a third longer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from . import Store, StoreError, open_store


class LazyStore:
    """Made by `lazy_store`, which closes it."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._lock = anyio.Lock()
        self._store: Store | None = None
        self.wanted_soon = anyio.Event()
        """Set when a client has shown up, and whatever it waits for first has been answered."""

    async def get(self) -> Store:
        """The open store. Raises StoreError, and tries again the next time."""
        async with self._lock:
            if self._store is None:
                self._store = await self._stack.enter_async_context(open_store(self._url))
            return self._store

    async def healthy(self) -> bool:
        """Whether the store can be written to now."""
        try:
            return await (await self.get()).healthy()
        except StoreError:
            return False


@asynccontextmanager
async def lazy_store(url: str) -> AsyncIterator[LazyStore]:
    """A store that is not open yet, closed at the end of the block where it was opened."""
    async with AsyncExitStack() as stack:
        yield LazyStore(url, stack)
