"""Puts the audit records of ended calls into the store. A slow store does not delay the answers of reads for long."""

from __future__ import annotations

import asyncio

import anyio

from roadster_server.store import AuditRecord, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.store.waiting import one_wait
from roadster_server.telemetry.logs import log
from roadster_server.turns import turn_given_back_after

_SOUND_SECONDS = 0.1
"""Seconds in which a store that works has a record on the disk, also with many at once."""


class Recorder:
    """Adds records to the audit. Wait for `close` before you close the store.

    `put_soon` waits `patience` seconds for a record. At most `most_late` records may be late at once.
    """

    def __init__(self, store: LazyStore, patience: float, most_late: int = 100) -> None:
        self._store = store
        self._patience = patience
        self._most_late = most_late
        self._late: set[asyncio.Task[None]] = set()

    async def put(self, record: AuditRecord) -> None:
        """Returns when the record is stored. Raises StoreError."""
        with turn_given_back_after(_SOUND_SECONDS):
            await self._store.append(record)

    async def put_soon(self, record: AuditRecord) -> None:
        """Returns when the record is stored, or after a while, and then stores it later. Raises StoreError.

        If too many records are late, it waits for this one. So calls slow down, but no record is dropped.
        """
        if len(self._late) >= self._most_late:
            await self.put(record)
            return
        # A task of its own, because a statement that waits for a lock cannot be cancelled.
        task = asyncio.create_task(self._put_later(record))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        with turn_given_back_after(_SOUND_SECONDS):
            await asyncio.wait({task}, timeout=self._patience)
        if task.done():
            task.result()
        else:
            log.info("the audit is slow: this call's record is written later", extra={"call": record.call_id})
            task.add_done_callback(lambda task: _log_failure(task, record.call_id))

    async def _put_later(self, record: AuditRecord) -> None:
        with one_wait():  # its own, because the call does not wait for it
            await self.put(record)

    async def close(self) -> None:
        """Returns when all late records are stored."""
        with anyio.CancelScope(shield=True):
            while self._late:
                await asyncio.wait(self._late)


def _log_failure(task: asyncio.Task[None], call_id: str) -> None:
    error = None if task.cancelled() else task.exception()
    if task.cancelled() or error is not None:
        reason = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.error("call not on record", extra={"call": call_id, "reason": reason})
