"""The durable store: the audit chain, idempotency keys, single-use nonces, ownership, and web-hook events.

It is a SQLite file or a PostgreSQL database. Several processes may open the same one.

`open_store` opens it at once and gives a `SqlStore`. `lazy.lazy_store` gives a `LazyStore`, which has the same methods
and opens the store at the first call of one. Importing this package does not import SQLAlchemy, because that takes
longer than a stdio server may take to start.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .counts import CallCount, EventCount
from .errors import ClaimLost, StoreBusy, StoreError

if TYPE_CHECKING:
    from .records import (
        DOWNLOAD,
        AnswerGone,
        Approval,
        ApprovalState,
        ApprovalWay,
        AuditQuery,
        AuditRecord,
        AuditSubject,
        Claim,
        ClockDoubt,
        Conflict,
        DeletedCounts,
        EventOutcome,
        EventSource,
        FileRequest,
        InProgress,
        NewEvent,
        NewSession,
        Obstacle,
        Replay,
        RevokedSubjects,
        StoredCustomer,
        StoredEvent,
        StoredFileRequest,
        StoredRecord,
        TidyCounts,
        Unknown,
        Verification,
    )
    from .sql import SqlStore

__all__ = [
    "DOWNLOAD",
    "INDEX_BATCH",
    "AnswerGone",
    "Approval",
    "ApprovalState",
    "ApprovalWay",
    "AuditQuery",
    "AuditRecord",
    "AuditSubject",
    "CallCount",
    "Claim",
    "ClaimLost",
    "ClockDoubt",
    "Conflict",
    "DeletedCounts",
    "EventCount",
    "EventOutcome",
    "EventSource",
    "FileRequest",
    "InProgress",
    "NewEvent",
    "NewSession",
    "Obstacle",
    "Replay",
    "RevokedSubjects",
    "StoreBusy",
    "StoreError",
    "StoredCustomer",
    "StoredEvent",
    "StoredFileRequest",
    "StoredRecord",
    "TidyCounts",
    "Unknown",
    "Verification",
    "default_url",
    "open_store",
]


INDEX_BATCH = 500
"""Events that are indexed in one transaction, which takes less than a second."""


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[SqlStore]:
    """Opens `sqlite:///PATH` or `postgresql://…`, and makes or migrates its tables. Raises StoreError."""
    from .sql import open_sql_store  # noqa: PLC0415 - for start time: it imports SQLAlchemy

    async with open_sql_store(url) as store:
        yield store


def default_url() -> str:
    """Returns the URL of a SQLite file in the folder where this system keeps a user's state.

    Raises StoreError for a user without a home folder.
    """
    from platformdirs import user_state_path  # noqa: PLC0415 - for start time: most configurations name a store

    try:
        folder = user_state_path("roadster-mcp", appauthor=False)
    except RuntimeError:  # a container's user may have no home
        raise StoreError("there is no home folder to keep the store in; name a place with [store] url") from None
    return f"sqlite:///{(folder / 'store.db').as_posix()}"


if not TYPE_CHECKING:  # for start time: the settings need none of the records

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(".records", __name__), name)
        return value
