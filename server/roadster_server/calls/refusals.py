"""Refusals by a caller's own limit, on record in sums. One record each would let a caller in a loop fill the audit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from roadster_server.store import AuditRecord, StoreError
from roadster_server.store.waiting import one_wait
from roadster_server.telemetry.logs import log

_Key = tuple[str, str, str]
"""The one who calls, the tool and the setting."""


@dataclass
class _Sum:
    newest: AuditRecord
    count: int = 0


class RefusalSums:
    """The first refusal of a caller, a tool and a setting is a record of its own. Those that follow make one sum.

    `write` stores a sum's record, `seconds` after the record before it. `close` stores those that are left.
    """

    def __init__(self, write: Callable[[AuditRecord], Awaitable[None]], seconds: float) -> None:
        self._write = write
        self._seconds = seconds
        self._sums: dict[_Key, _Sum] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def count(self, refusal: AuditRecord) -> bool:
        """Returns True if the refusal is part of a sum, False if it needs a record of its own."""
        key = (refusal.principal or refusal.caller, refusal.tool, refusal.setting)
        if key in self._sums:
            self._sums[key].newest = refusal
            self._sums[key].count += 1
            return True
        self._sums[key] = _Sum(refusal)
        task = asyncio.create_task(self._record(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return False

    async def close(self) -> None:
        """Returns when all sums are stored."""
        self._closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _record(self, key: _Key) -> None:
        """Records the sums of the key until there is none."""
        own = self._sums[key]
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._seconds)
            if not own.count:
                del self._sums[key]
                return
            count, own.count = own.count, 0
            try:
                # At the end of the process a store that is locked gets a moment only.
                with one_wait(so_far=math.inf if self._closing.is_set() else 0.0):
                    await self._write(_record_of(own.newest, count))
            except StoreError as error:
                log.error("refusals not on record", extra={"count": count, "reason": str(error)})
                if not self._closing.is_set():
                    own.count += count


def _record_of(newest: AuditRecord, count: int) -> AuditRecord:
    return replace(newest, dealer=None, latency_ms=None, arguments={"refusals": str(count)})
