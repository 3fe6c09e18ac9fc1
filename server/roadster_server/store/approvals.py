"""The writes that wait for a person's approval, in the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from .database import Database
from .records import Approval, ApprovalState, AuditRecord
from .rows import approvals, audit
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
        """Returns the approval with its content."""
        return await self.database.read(approvals.one, id_)

    async def newest(
        self, dealers: Collection[str], tools: Collection[str], *, now: datetime, most: int
    ) -> list[Approval]:
        """Returns the approvals at these dealers of these tools, without their contents: those that wait first."""
        return await self.database.read(approvals.newest, dealers, tools, milliseconds(now), most)

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

    async def finish(
        self, id_: str, state: ApprovalState, outcome: bytes, customer: str | None, record: AuditRecord | None = None
    ) -> bool:
        """Moves an approved one to its end, and adds `record`. Returns False for one that has its end already."""

        def finish(connection: Connection) -> bool:
            is_finished = approvals.finish(connection, id_, state, outcome, customer)
            if is_finished and record is not None:
                audit.append(connection, record)
            return is_finished

        return await self.database.write(finish)

    async def forget_old(self, *, now: datetime) -> None:
        """Deletes approvals that expired a day ago, some at a time."""
        await self.database.write(approvals.forget_old, milliseconds(now))
