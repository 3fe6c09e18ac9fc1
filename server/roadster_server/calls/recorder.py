"""The records of ended calls, put into the store without letting it hold up what it cannot protect."""

from __future__ import annotations

import asyncio

import anyio

from roadster_server.store import AuditRecord, StoreError
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.logs import log


class Recorder:
    """`close` must be awaited before the store closes."""

    def __init__(self, store: LazyStore, patience: float, most_late: int = 100) -> None:
        self._store = store
        self._patience = patience
        self._most_late = most_late
        self._late: set[asyncio.Task[None]] = set()

    async def put(self, record: AuditRecord) -> None:
        """On record when it returns. Raises StoreError."""
        await self._store.append(record)

    async def put_soon(self, record: AuditRecord) -> None:
        """On record when it returns, or where the store is slow, as soon as it can be. Raises StoreError.

        Where too many are late, this one is waited for: the calls slow down, and no record is dropped.
        """
        if len(self._late) >= self._most_late:
            await self.put(record)
            return
        # A task of its own, because a statement that waits for a lock cannot be cancelled.
        putting = asyncio.create_task(self.put(record))
        self._late.add(putting)
        putting.add_done_callback(self._late.discard)
        await asyncio.wait({putting}, timeout=self._patience)
        if putting.done():
            putting.result()
        else:
            log.info("the audit is slow: this call's record is written later", extra={"call": record.call_id})
            putting.add_done_callback(lambda done: _log_lost(done, record.call_id))

    async def close(self) -> None:
        """Returns once no record is late."""
        with anyio.CancelScope(shield=True):
            while self._late:
                await asyncio.wait(self._late)


def _log_lost(done: asyncio.Task[None], call_id: str) -> None:
    error = None if done.cancelled() else done.exception()
    if done.cancelled() or error is not None:
        reason = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.error("call not on record", extra={"call": call_id, "reason": reason})
