"""The writes that wait for a person's approval, in the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from .databases.database import Database
from .records import Approval, ApprovalState, AuditRecord
from .rows import approvals
from .rows.audit import audit
from .rows.expiry import milliseconds


@dataclass(frozen=True)
class SqlApprovals:
    """The approvals. Every method is one transaction, and raises StoreError."""

    database: Database

    async def add(self, new: Approval, *, now: datetime, most: int) -> Approval | None:
        """Stores an approval, and returns it. Returns the one that already answers for the call, if there is one.

        Returns None, and stores nothing, where `most` of the principal's wait.
        """
        return await self.database.write(approvals.add, new, milliseconds(now), most)

    async def of_call(self, call: str, *, now: datetime) -> Approval | None:
        """Returns the approval that answers for the call, without its content."""
        return await self.database.read(approvals.of_call, call, milliseconds(now))

    async def one(self, id_: str) -> Approval | None:
        """Returns the approval with its content. The id may be any text of a client's."""
        if "\0" in id_:  # PostgreSQL refuses such a text, which would look like a failure of the store
            return None
        return await self.database.read(approvals.one, id_)

    async def waiting(
        self, dealers: Collection[str], tools: Collection[str], *, now: datetime, most: int, after: str | None = None
    ) -> list[Approval]:
        """Returns approvals that wait on pages, at these dealers of these tools, without their contents.

        The first to expire is the first. `after` is the id of the last one of the page before.
        """
        return await self.database.read(approvals.waiting, dealers, tools, milliseconds(now), most, after)

    async def decided(
        self, dealers: Collection[str], tools: Collection[str], *, now: datetime, most: int, after: str | None = None
    ) -> list[Approval]:
        """Returns approvals that were decided on pages in the last day in the same way, the newest decision first."""
        return await self.database.read(approvals.decided, dealers, tools, milliseconds(now), most, after)

    async def count_waiting(self, dealers: Collection[str], tools: Collection[str], *, now: datetime) -> int:
        """Returns how many approvals wait on pages at these dealers of these tools."""
        return await self.database.read(approvals.count_waiting, dealers, tools, milliseconds(now))

    async def decide(
        self,
        id_: str,
        state: ApprovalState,
        approver: str,
        reason: bytes | None,
        record: AuditRecord,
        *,
        now: datetime,
    ) -> bool:
        """Moves an approval that waits to `state`, and adds `record` to the audit.

        Returns False, and changes nothing, for one that does not wait any more.
        """

        def decide(connection: Connection) -> bool:
            is_decided = approvals.decide(connection, id_, state, approver, reason, milliseconds(now))
            if is_decided:
                audit.append(connection, record)
            return is_decided

        return await self.database.write(decide)

    async def finish(self, id_: str, state: ApprovalState, outcome: bytes, customer: str | None) -> bool:
        """Moves an approved one to its end. Returns False for one that has its end already."""
        return await self.database.write(approvals.finish, id_, state, outcome, customer)

    async def forget_old(self, *, now: datetime) -> None:
        """Deletes approvals that expired a day ago, some at a time."""
        await self.database.write(approvals.forget_old, milliseconds(now))
