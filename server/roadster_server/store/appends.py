"""The records to add to the audit, and the interface of their writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .records import AuditRecord, Claim, ClaimLost


@dataclass(frozen=True)
class Append:
    """A record to add. With a claim, it is that of a write, and the claim is marked as sent."""

    record: AuditRecord
    claim: Claim | None = None


class Appender(Protocol):
    """Adds to the audit of one database, over a connection of its own."""

    async def write(self, appends: Sequence[Append], wait_so_far: float) -> Sequence[ClaimLost | None]:
        """Adds all records in one transaction, except those that lost their claims. Without any, it only looks.

        `wait_so_far` are the seconds that one of the calls has waited for the store. Raises StoreError.
        """

    async def close(self) -> None: ...
