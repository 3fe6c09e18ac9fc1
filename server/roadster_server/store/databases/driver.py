"""The driver of one kind of database: what `Database` needs of SQLite and of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

from roadster_server.store.errors import ClaimLost
from roadster_server.store.records import AuditRecord, Claim

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True)
class Append:
    """A record to add. With a claim, it is that of a write, and the claim is marked as sent."""

    record: AuditRecord
    claim: Claim | None = None


class Driver(Protocol):
    """Runs functions, each in a transaction of its own, which ends with the function.

    A call waits up to `seconds` for its turn and for locks. Its failures are errors of SQLAlchemy, or `errors`.
    """

    engine: Engine
    errors: tuple[type[Exception], ...]

    async def write(
        self, function: Callable[[Connection], _ResultT], seconds: float, *, is_durable: bool
    ) -> _ResultT: ...

    async def read(self, function: Callable[[Connection], _ResultT], seconds: float) -> _ResultT: ...

    async def append(self, appends: Sequence[Append], seconds: float) -> Sequence[ClaimLost | None]:
        """Adds all records in one transaction, except those that lost their claims. Without any, it only looks."""

    async def close(self) -> None: ...
