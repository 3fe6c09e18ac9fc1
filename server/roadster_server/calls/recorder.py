"""Puts the audit records of ended calls into the store. Those that it does not take wait in memory until it does."""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Callable
from contextlib import suppress

import anyio

from roadster_server.store import AuditRecord, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.store.waiting import one_wait
from roadster_server.telemetry.logs import log
from roadster_server.turns import turn_given_back_after

_SOUND_SECONDS = 0.1
"""Seconds in which a store that works has a record on the disk, also with many at once."""

_RETRY_SECONDS = 1.0
"""Between two attempts to store the records that wait."""

_CLOSING_SECONDS = 1.0
"""At the end, before the log says how many records wait: the process has a time limit, and may be ended by force."""

_AT_ONCE = 100
"""Records that are stored at the same time."""


class Recorder:
    """Adds records to the audit. Call `close` before you close the store.

    `put_soon` waits `patience` seconds for a record. While `most` records wait, `is_full` is True and no call may
    begin. Calls that have begun by then add theirs all the same. `on_waiting` is told how many wait.
    """

    def __init__(
        self, store: LazyStore, patience: float, on_waiting: Callable[[int], None], most: int = 10_000
    ) -> None:
        self._store = store
        self._patience = patience
        self._on_waiting = on_waiting
        self.most = most
        self._under_way: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()
        """Those under way for which no call waits any more."""
        self._waiting: list[AuditRecord] = []
        """The records that the store has not taken, the oldest first."""
        self._retries: asyncio.Task[None] | None = None
        self._retry_soon = asyncio.Event()
        self._is_closing = False
        self._reason = ""
        """Why the newest attempt failed."""

    @property
    def is_full(self) -> bool:
        return self._count() >= self.most

    async def put(self, record: AuditRecord) -> None:
        """Returns when the record is stored. Raises StoreError, and then the record is not kept."""
        with turn_given_back_after(_SOUND_SECONDS):
            await self._store.append(record)
        self._retry_soon.set()  # the store works

    async def put_soon(self, record: AuditRecord) -> None:
        """Returns when the record is stored, or after a while, and then it is stored later."""
        if self._waiting or len(self._late) >= _AT_ONCE:
            self.keep(record)
            return
        # A task of its own, because a statement that waits for a lock cannot be cancelled.
        task = asyncio.create_task(self._put_or_keep(record))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        with turn_given_back_after(_SOUND_SECONDS):
            await asyncio.wait({task}, timeout=self._patience)
        if task.done():
            task.result()
        else:
            log.info("the audit is slow: this call's record is written later", extra={"call": record.call_id})
            self._late.add(task)
            task.add_done_callback(self._on_late_end)
            self._tell()

    def keep(self, record: AuditRecord, reason: StoreError | None = None) -> None:
        """Stores a record later, after the older ones that wait."""
        if reason is not None and not self._waiting:
            log.error("the store takes no audit records, so they wait in memory", extra={"reason": str(reason)})
        bisect.insort(self._waiting, record, key=lambda waiting: waiting.time)
        self._tell()
        if self._retries is None:
            self._retries = asyncio.create_task(self._retry())

    async def close(self) -> None:
        """Stores what waits, if the store takes it now. The log says how many records are lost."""
        self._is_closing = True
        self._retry_soon.set()
        with anyio.CancelScope(shield=True):
            is_late = False
            while rest := [*self._under_way, *filter(None, [self._retries])]:
                _, open_tasks = await asyncio.wait(rest, timeout=_CLOSING_SECONDS)
                if open_tasks and not is_late:
                    is_late = True
                    count = len(self._under_way) + len(self._waiting)
                    log.warning("stopping, while calls are not on record yet", extra={"count": count})
        if self._waiting:
            log.error("calls not on record", extra={"count": len(self._waiting), "reason": self._reason})

    def _count(self) -> int:
        return len(self._late) + len(self._waiting)

    def _tell(self) -> None:
        self._on_waiting(self._count())

    def _on_late_end(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        self._tell()

    async def _put_or_keep(self, record: AuditRecord) -> None:
        try:
            with one_wait():  # its own, because the call does not wait for it
                await self._store.append(record)
        except StoreError as error:
            self.keep(record, error)

    async def _retry(self) -> None:
        """Stores the records that wait. It ends when none does, or when the last attempt has failed."""
        try:
            while self._waiting:
                self._retry_soon.clear()
                is_last = self._is_closing
                try:
                    with one_wait(so_far=math.inf if is_last else 0.0):
                        await self._store_waiting()
                except StoreError as error:
                    self._reason = str(error)
                    if is_last:
                        return
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._retry_soon.wait(), _RETRY_SECONDS)
        finally:
            self._retries = None

    async def _store_waiting(self) -> None:
        """Stores the records that wait, the oldest alone, then many at once. Raises StoreError."""
        batch = self._waiting[:1]
        while batch:
            outcomes = await asyncio.gather(*map(self._store.append, batch), return_exceptions=True)
            places = {id(record) for record, outcome in zip(batch, outcomes, strict=True) if outcome is None}
            self._waiting = [record for record in self._waiting if id(record) not in places]
            self._tell()
            for error in filter(None, outcomes):
                raise error
            batch = self._waiting[:_AT_ONCE]
        log.info("the audit has all records that waited for the store")
