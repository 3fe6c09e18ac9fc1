"""The check of the audit chain that people start on a page: one at a time in a process, because it reads the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from roadster_server.store import Verification
from roadster_server.store.sql import SqlStore


@dataclass(frozen=True)
class ChainState:
    """The result of a check, and when it ended."""

    time: datetime
    chain: Verification


class ChainCheck:
    """The check of this process. `last` is what the newest one found."""

    def __init__(self) -> None:
        self.last: ChainState | None = None
        self.progress: tuple[int, int] | None = None
        """The records that are checked so far and those that there are, None while no check runs."""

    async def run(self, store: SqlStore) -> None:
        """Checks the chain. Where a check runs already, it returns at once: that one's result is for everybody.

        Raises StoreError.
        """
        if self.progress is not None:
            return
        self.progress = 0, 0
        try:
            chain = await store.verify(self._note)
            self.last = ChainState(datetime.now(UTC), chain)
        finally:
            self.progress = None

    def _note(self, count: int, total: int) -> None:
        self.progress = count, total
