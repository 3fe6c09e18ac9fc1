"""The store of a server that starts: it is opened at the first call of a method, not at the start.

Its libraries would make the start of a stdio server a third longer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import anyio

from . import StoreError, open_store

if TYPE_CHECKING:  # for start time: it imports SQLAlchemy
    from .sql import SqlStore

_P = ParamSpec("_P")
_ResultT = TypeVar("_ResultT")

PROBE_EVERY = 3.0
"""Seconds. A probe writes, and anybody may ask for one."""

OpenStore = Callable[[str], "AbstractAsyncContextManager[SqlStore]"]
"""`open_store`, or what a test opens instead."""


def _opening(
    method: Callable[[SqlStore], Callable[_P, Awaitable[_ResultT]]],
) -> Callable[Concatenate[LazyStore, _P], Awaitable[_ResultT]]:
    """Returns the method of LazyStore that opens the store and calls `method` of it, with the same signature."""

    async def call(lazy: LazyStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _ResultT:
        return await method(await lazy.open())(*args, **kwargs)

    return call


class LazyStore:
    """A store that is opened at the first call. `SqlStore` describes the methods. `lazy_store` makes and closes it."""

    def __init__(self, url: str, contact_key: bytes, stack: AsyncExitStack, open_store: OpenStore) -> None:
        self._url = url
        self._contact_key = contact_key
        self._stack = stack
        self._open_store = open_store
        self._lock = anyio.Lock()
        self._store: SqlStore | None = None
        self._failure: StoreError | None = None
        self._failure_count = 0
        self._probing = anyio.Lock()
        self._next_probe = 0.0
        self._problem: str | None = None
        self.wanted_soon = anyio.Event()
        """Set once a client has the list of tools: from then on nobody waits for the start."""

    async def open(self) -> SqlStore:
        """Opens the store, the first time. Raises StoreError, and tries again at the next call."""
        failures_before = self._failure_count
        async with self._lock:
            if self._store is None:
                # Calls that wait here share the failure of the one before them: a locked store holds up each attempt.
                if self._failure_count > failures_before and self._failure is not None:
                    raise copy(self._failure)
                self._store = await self._open()
            return self._store

    async def _open(self) -> SqlStore:
        try:
            store = await self._stack.enter_async_context(self._open_store(self._url))
        except StoreError as error:
            self._failure, self._failure_count = error, self._failure_count + 1
            raise copy(error) from None
        return replace(store, contact_key=self._contact_key)

    append = _opening(lambda store: store.append)
    record_sent = _opening(lambda store: store.record_sent)
    claim = _opening(lambda store: store.claim)
    find_claim = _opening(lambda store: store.find_claim)
    finish = _opening(lambda store: store.finish)
    release = _opening(lambda store: store.release)
    leave_unknown = _opening(lambda store: store.leave_unknown)
    use_once = _opening(lambda store: store.use_once)
    revocations = _opening(lambda store: store.revocations)
    add_session = _opening(lambda store: store.add_session)
    session = _opening(lambda store: store.session)
    end_session = _opening(lambda store: store.end_session)
    belongs = _opening(lambda store: store.belongs)
    add_owned = _opening(lambda store: store.add_owned)
    owned_ids = _opening(lambda store: store.owned_ids)
    add_events = _opening(lambda store: store.add_events)
    events = _opening(lambda store: store.events)
    tidy_events = _opening(lambda store: store.tidy_events)
    add_customer = _opening(lambda store: store.add_customer)
    customers = _opening(lambda store: store.customers)
    index_events = _opening(lambda store: store.index_events)
    add_approval = _opening(lambda store: store.approvals.add)
    approval_of_call = _opening(lambda store: store.approvals.of_call)
    approval = _opening(lambda store: store.approvals.one)
    waiting_approvals = _opening(lambda store: store.approvals.waiting)
    decided_approvals = _opening(lambda store: store.approvals.decided)
    count_waiting_approvals = _opening(lambda store: store.approvals.count_waiting)
    decide_approval = _opening(lambda store: store.approvals.decide)
    finish_approval = _opening(lambda store: store.approvals.finish)
    forget_old_approvals = _opening(lambda store: store.approvals.forget_old)
    mirror_state = _opening(lambda store: store.mirrors.state)
    lease_mirror = _opening(lambda store: store.mirrors.lease)
    put_vehicles = _opening(lambda store: store.mirrors.put)
    count_vehicles = _opening(lambda store: store.mirrors.numbers)
    search_vehicles = _opening(lambda store: store.mirrors.search)
    other_vehicles = _opening(lambda store: store.mirrors.others)
    mirrored_vehicle = _opening(lambda store: store.mirrors.one)
    mark_vehicle = _opening(lambda store: store.mirrors.mark)
    request_file = _opening(lambda store: store.files.request)
    offer_file = _opening(lambda store: store.files.offer)
    file_request_by_link = _opening(lambda store: store.files.by_link)
    file_request = _opening(lambda store: store.files.by_file)
    use_file_link = _opening(lambda store: store.files.use)
    begin_file = _opening(lambda store: store.files.begin)
    add_file_part = _opening(lambda store: store.files.add_part)
    end_file = _opening(lambda store: store.files.end)
    file_parts = _opening(lambda store: store.files.parts)
    drop_file_attempt = _opening(lambda store: store.files.drop_attempt)
    remove_file = _opening(lambda store: store.files.remove)
    forget_expired_files = _opening(lambda store: store.files.forget_expired)

    async def problem(self) -> str | None:
        """Returns why the store cannot be opened or written to, or None. It looks at most once in `PROBE_EVERY`."""
        async with self._probing:
            if anyio.current_time() >= self._next_probe:
                try:
                    await (await self.open()).probe()
                except StoreError as error:
                    self._problem = str(error)
                else:
                    self._problem = None
                self._next_probe = anyio.current_time() + PROBE_EVERY
            return self._problem


@asynccontextmanager
async def lazy_store(url: str, *, contact_key: bytes, open_store: OpenStore = open_store) -> AsyncIterator[LazyStore]:
    """Yields a store that is not open yet. Closes it at the end of the block, if it was opened."""
    async with AsyncExitStack() as stack:
        yield LazyStore(url, contact_key, stack, open_store)
