"""Samples of records, and direct access to the database of a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, text

from roadster_server.store import AuditRecord, StoreError, open_store
from roadster_server.store.sql import SqlStore
from roadster_server.store.tables import VERSION_TABLE

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


RECORD = AuditRecord(
    call_id="c-1",
    phase="ended",
    time=NOON,
    caller="sales-bot",
    principal="sales-bot",
    client="claude/1.0",
    protocol="2026-07-28",
    tool="create_customer",
    dealer="umazda",
    verdict="allowed",
    setting="callers.sales-bot.access.customers",
    outcome="done",
    upstream_request_id="req-7",
    latency_ms=120,
    arguments={"vin": "ab12", "customer": "cd34"},
    approval="a-7",
)


REFUSED = replace(
    RECORD, call_id="c-2", dealer=None, verdict="refused", upstream_request_id=None, latency_ms=None, arguments={}
)


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


async def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs a statement in the database, past this program."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(path_of(url), isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def scalar(connection: Connection, statement: str) -> Any:
    """Returns one value of a store, in one of its own transactions."""
    return connection.scalar(text(statement))


@contextmanager
def lock(store_url: str) -> Iterator[None]:
    """Locks the store as a backup or a stuck process does."""
    holder = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


async def undo_pages(url: str) -> None:
    """Puts the tables back to schema 0012, which has nothing of the pages for people."""
    for table in ("approvals", "sessions", "file_parts", "file_requests"):
        await execute(url, f"DROP TABLE roadster_{table}")
    await execute(url, "ALTER TABLE roadster_audit DROP COLUMN approval")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0012'")


async def undo_principal(url: str) -> None:
    """Puts the tables back to schema 0010, in which the audit names no person."""
    await undo_pages(url)
    await execute(url, "DROP TABLE roadster_revocations")
    await execute(url, "ALTER TABLE roadster_audit DROP COLUMN principal")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0010'")


async def undo_indexes(url: str) -> None:
    """Puts the tables back to schema 0008, in which some queries have no index."""
    await undo_principal(url)
    names = ("events_type", "events_customer_type", "events_quarantined", "events_confirmed", "belongings_newest")
    for name in (*names, "claims_answered"):
        await execute(url, f"DROP INDEX roadster_{name}")
    await execute(url, "CREATE INDEX ix_roadster_claims_claimed ON roadster_claims (claimed)")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0008'")


async def undo_mirrors(url: str) -> None:
    """Puts the tables back to schema 0007, which has no vehicles."""
    await undo_indexes(url)
    for table in ("mirrors", "vehicles", "vehicle_documents"):
        await execute(url, f"DROP TABLE roadster_{table}")
    await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '0007'")


async def undo_marks(url: str) -> None:
    """Puts the tables back to schema 0006, which has no marks and does not number the idempotency keys."""
    await undo_mirrors(url)
    for statement in (
        "DROP TABLE roadster_marks",
        "DROP INDEX ix_roadster_claims_number",
        "ALTER TABLE roadster_claims DROP COLUMN number",
        f"UPDATE {VERSION_TABLE} SET version_num = '0006'",
    ):
        await execute(url, statement)


async def undo_search(url: str) -> None:
    """Puts the tables back to schema 0004, which has no index of contact data."""
    await undo_marks(url)
    for statement in (
        "DROP TABLE roadster_contacts",
        "DROP INDEX roadster_events_indexed",
        "ALTER TABLE roadster_events DROP COLUMN indexed",
        f"UPDATE {VERSION_TABLE} SET version_num = '0004'",
    ):
        await execute(url, statement)


async def lift_protection(url: str) -> None:
    """Removes the triggers that refuse changes of the audit."""
    if url.startswith("sqlite"):
        for kind in ("update", "delete", "replace"):
            await execute(url, f"DROP TRIGGER roadster_audit_{kind}")
    else:
        await execute(url, "ALTER TABLE roadster_audit DISABLE TRIGGER ALL")


async def fill(store: SqlStore, count: int) -> None:
    """Adds `count` records, one a minute from noon."""
    for number in range(1, count + 1):
        await store.append(replace(RECORD, call_id=f"c-{number}", time=NOON + timedelta(minutes=number)))


async def refusal(url: str) -> str:
    """Returns the error of a store that cannot be opened or written."""
    with pytest.raises(StoreError) as error:
        async with open_store(url) as store:
            await store.append(RECORD)
    assert "\n" not in str(error.value)
    return str(error.value)
