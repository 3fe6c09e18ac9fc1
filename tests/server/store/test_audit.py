"""The audit chain, on both databases."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import asyncpg
import pytest

from roadster_server.store import AuditQuery, Claim, StoreError, open_store
from roadster_server.store.sql import SqlStore, open_sql_store
from roadster_server.store.tables import audit

from .databases import NOON, RECORD, REFUSED, execute, fill, lift_protection, undo_principal

pytestmark = pytest.mark.anyio


async def test_audit_returns_records_in_order(store: SqlStore) -> None:
    await store.append(RECORD)
    await store.record_sent(REFUSED, None)
    rows = [row async for row in store.records()]
    assert [(row.seq, row.record) for row in rows] == [(1, RECORD), (2, REFUSED)]
    assert (await store.verify()).head == rows[-1].hash


async def test_audit_empty_chain_is_sound(store: SqlStore) -> None:
    verification = await store.verify()
    assert (verification.count, verification.head, verification.first_broken) == (0, "0" * 64, None)
    assert [row async for row in store.records(last=5)] == []


async def test_audit_chain_can_be_checked_without_this_program(store: SqlStore, url: str) -> None:
    """Each hash covers the hash before it and the row, as sorted, compact JSON."""
    await fill(store, 3)
    await store.append(replace(RECORD, principal=None))
    await store.append(replace(RECORD, approval=None))
    await store.append(replace(RECORD, principal=None, approval=None))
    columns = [column.name for column in audit.columns]
    previous = "0" * 64
    for row in await execute(url, f"SELECT {', '.join(columns)} FROM roadster_audit ORDER BY seq"):
        content = dict(zip(columns, row, strict=True))
        for name in ("principal", "approval"):
            if content[name] is None:
                del content[name]
        hash_ = content.pop("hash")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256((previous + canonical).encode()).hexdigest()
        assert hash_ == previous
    assert (await store.verify()).head == previous


async def test_audit_check_tells_its_progress(store: SqlStore) -> None:
    await fill(store, 7)
    progress: list[tuple[int, int]] = []
    verification = await replace(store, page_rows=3).verify(lambda count, total: progress.append((count, total)))
    assert (verification.count, verification.first_broken) == (7, None)
    assert progress == [(3, 7), (6, 7), (7, 7)]


async def test_audit_since_and_last_select_records_across_pages(store: SqlStore) -> None:
    store = replace(store, page_rows=3)
    await fill(store, 10)

    async def numbers(**selection: Any) -> list[int]:
        return [row.seq async for row in store.records(**selection)]

    assert await numbers() == list(range(1, 11))
    assert await numbers(last=4) == [7, 8, 9, 10]
    assert await numbers(last=99) == list(range(1, 11))
    assert await numbers(last=0) == []
    late = AuditQuery(since=NOON + timedelta(minutes=6))
    assert await numbers(query=late) == [6, 7, 8, 9, 10]
    assert await numbers(query=late, last=2) == [9, 10]
    verification = await store.verify()
    assert (verification.count, verification.first_broken) == (10, None)


async def test_audit_is_read_by_caller_and_by_person(store: SqlStore) -> None:
    steve, carlos = ("work:sales", "work:steve"), ("work:sales", "work:carlos")
    who = [("sales-bot", "sales-bot"), steve, carlos, ("work:manager", "work:steve")]
    for caller, principal in who * 2:
        await replace(store, page_rows=3).append(replace(RECORD, caller=caller, principal=principal))

    async def numbers(last: int | None = None, **query: Any) -> list[int]:
        return [row.seq async for row in replace(store, page_rows=3).records(AuditQuery(**query), last=last)]

    assert await numbers(principal="work:steve") == [2, 4, 6, 8]
    assert await numbers(principal="work:steve", last=1) == [8]
    assert await numbers(caller="work:sales") == [2, 3, 6, 7]
    assert await numbers(caller="work:sales", principal="work:steve") == [2, 6]
    assert await numbers(principal="work:stev") == []


OLD_ROWS = [
    ("'sent'", "'umazda'", "'sent'", "NULL", "NULL", '\'{"vin":"ab12"}\''),
    ("'ended'", "'umazda'", "'done'", "'req-7'", "120", '\'{"vin":"ab12"}\''),
    ("'ended'", "NULL", "'refused'", "NULL", "NULL", "'{}'"),
]
OLD_HASHES = [
    "55b920dd3a76dd611e00b6295f22a5dc8ff03bcaf642c94715f7d29aebf429e9",
    "112ecd8a6abe932d51476994ee1537eb3c8720f98b0427476527cbf92206bd8f",
    "f1c691f339c457ac420bd380992d9df9bcbdd60b9907afbd67fd0770f56e487f",
]


async def test_audit_of_the_schema_before_principals_verifies_and_goes_on(new_url: str) -> None:
    """The hashes are those of the code that wrote such records. No record can be given a person, or lose one."""
    async with open_store(new_url):
        pass
    await undo_principal(new_url)
    for number, (row, hash_) in enumerate(zip(OLD_ROWS, OLD_HASHES, strict=True), 1):
        phase, dealer, outcome, request, milliseconds, arguments = row
        await execute(
            new_url,
            f"INSERT INTO roadster_audit VALUES ({number}, 'c-1', {phase}, '2026-11-21T12:00:00.000000+00:00', 'desk', "
            f"'claude/1.0', '2026-07-28', 'create_customer', {dealer}, 'allowed', 'callers.desk.access', {outcome}, "
            f"{request}, {milliseconds}, {arguments}, '{hash_}')",
        )
    async with open_store(new_url) as store:
        before = await store.verify()
        assert (before.count, before.head, before.first_broken) == (3, OLD_HASHES[-1], None)
        await store.append(replace(RECORD, caller="work:sales", principal="work:steve"))
        after = await store.verify()
        assert (after.count, after.first_broken) == (4, None)
        assert [row.record.principal async for row in store.records()] == [None, None, None, "work:steve"]
        await lift_protection(new_url)
        for number, value, original in ((2, "'work:steve'", "NULL"), (4, "NULL", "'work:steve'")):
            await execute(new_url, f"UPDATE roadster_audit SET principal = {value} WHERE seq = {number}")
            assert (await store.verify()).first_broken == number
            await execute(new_url, f"UPDATE roadster_audit SET principal = {original} WHERE seq = {number}")
            assert (await store.verify()).first_broken is None


async def test_audit_reader_that_stops_early_holds_no_lock(store: SqlStore) -> None:
    await fill(store, 3)
    async for _ in store.records():
        await store.append(RECORD)
        break
    await store.append(RECORD)
    assert (await store.verify()).count == 5


async def test_audit_appends_at_once_make_one_chain(url: str) -> None:
    async with open_store(url) as one, open_store(url) as other, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon((one if number % 2 else other).append, RECORD)
    async with open_store(url) as store:
        verification = await store.verify()
    assert (verification.count, verification.first_broken) == (20, None)


async def test_audit_change_of_any_column_breaks_the_chain(store: SqlStore, url: str) -> None:
    await fill(store, 5)
    await lift_protection(url)
    for column in audit.columns:
        name = column.name
        [(before,)] = await execute(url, f"SELECT {name} FROM roadster_audit WHERE seq = 3")
        after = f"-{before}" if isinstance(before, int) else f"'{before[:-1]}~'"
        key = f"-{before}" if name == "seq" else "3"
        await execute(url, f"UPDATE roadster_audit SET {name} = {after} WHERE seq = 3")
        assert (await store.verify()).first_broken == (1 if name == "seq" else 3), name
        original = before if isinstance(before, int) else f"'{before}'"
        await execute(url, f"UPDATE roadster_audit SET {name} = {original} WHERE seq = {key}")
        assert (await store.verify()).first_broken is None, name


async def test_audit_emptied_column_breaks_the_chain(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET dealer = NULL WHERE seq = 2")
    assert (await store.verify()).first_broken == 2


async def test_audit_unreadable_record_is_an_error(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET time = 'yesterday' WHERE seq = 2")
    with pytest.raises(StoreError, match="audit record 2 was changed and cannot be read"):
        assert [row async for row in store.records()]
    assert (await store.verify()).first_broken == 2


def copy_of(row: int, new: int) -> str:
    """Returns a statement that adds a copy of a row with another number."""
    columns = ", ".join(column.name for column in audit.columns if column.name != "seq")
    return f"INSERT INTO roadster_audit (seq, {columns}) SELECT {new}, {columns} FROM roadster_audit WHERE seq = {row}"


@pytest.mark.parametrize(
    ("tampering", "expected"),
    [
        (["DELETE FROM roadster_audit WHERE seq = 4"], (4,)),
        (["DELETE FROM roadster_audit WHERE seq IN (2, 3, 4)"], (2,)),
        (["DELETE FROM roadster_audit WHERE seq = 1"], (1,)),
        (
            [
                "DELETE FROM roadster_audit WHERE seq = 4",
                "UPDATE roadster_audit SET seq = 4 WHERE seq = 5",
                "UPDATE roadster_audit SET seq = 5 WHERE seq = 6",
            ],
            (4, 5),
        ),
        (
            [
                "UPDATE roadster_audit SET seq = 100 WHERE seq = 2",
                "UPDATE roadster_audit SET seq = 2 WHERE seq = 3",
                "UPDATE roadster_audit SET seq = 3 WHERE seq = 100",
            ],
            (2, 3, 4),
        ),
        ([copy_of(6, 7)], (7,)),
        ([copy_of(1, 0)], (1,)),
        ([copy_of(6, 10000000000)], (7,)),
        (["UPDATE roadster_audit SET tool = 'x' WHERE seq IN (1, 3, 6)"], (1, 3, 6)),
        ([f"UPDATE roadster_audit SET hash = '{'0' * 64}' WHERE seq = 2"], (2, 3)),
    ],
    ids=[
        "removed",
        "a page removed",
        "first removed",
        "removed and closed up",
        "reordered",
        "added",
        "put before",
        "put far behind",
        "changed",
        "another hash",
    ],
)
async def test_audit_removed_moved_or_new_row_breaks_the_chain(
    store: SqlStore, url: str, tampering: list[str], expected: tuple[int, ...]
) -> None:
    store = replace(store, page_rows=3)
    await fill(store, 6)
    await lift_protection(url)
    for statement in tampering:
        await execute(url, statement)
    verification = await store.verify()
    assert (verification.breaks, verification.break_count) == (expected, len(expected))


async def test_audit_names_the_first_twenty_breaks(store: SqlStore, url: str) -> None:
    await fill(store, 30)
    head = (await store.verify()).head
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET tool = 'x' WHERE seq > 5")
    verification = await store.verify()
    assert (verification.breaks, verification.break_count) == (tuple(range(6, 26)), 25)
    assert verification.head != head, "it is that of the last record before the first break"


async def test_audit_goes_on_behind_a_record_that_cannot_be_read(sqlite_url: str) -> None:
    """The record behind it has nothing to be compared with. So a break there is not seen, and all others are."""
    async with open_sql_store(sqlite_url) as new_store:
        store = replace(new_store, page_rows=3)
        await fill(store, 9)
        await lift_protection(sqlite_url)
        await execute(sqlite_url, "UPDATE roadster_audit SET tool = CAST(x'ff' AS TEXT) WHERE seq IN (2, 5)")
        await execute(sqlite_url, "UPDATE roadster_audit SET tool = 'x' WHERE seq = 8")
        assert (await store.verify()).breaks == (2, 5, 8)


async def test_audit_duplicate_number_between_pages_is_found(
    postgresql_url: str,
) -> None:
    async with open_sql_store(postgresql_url) as new_store:
        store = replace(new_store, page_rows=3)
        await fill(store, 6)
        await execute(postgresql_url, "ALTER TABLE roadster_audit DROP CONSTRAINT roadster_audit_pkey")
        await execute(postgresql_url, "INSERT INTO roadster_audit SELECT * FROM roadster_audit WHERE seq = 3")
        assert (await store.verify()).first_broken == 4


async def test_audit_lost_tail_changes_only_count_and_head(store: SqlStore, url: str) -> None:
    """Nothing else shows it. So `verify` reports the head, to be noted elsewhere."""
    await fill(store, 6)
    earlier = await store.verify()
    await lift_protection(url)
    await execute(url, "DELETE FROM roadster_audit WHERE seq > 4")
    verification = await store.verify()
    assert (verification.count, verification.first_broken) == (4, None)
    assert verification.head != earlier.head


async def test_audit_table_refuses_changes(store: SqlStore, url: str) -> None:
    await fill(store, 2)
    statements = ["UPDATE roadster_audit SET tool = 'x' WHERE seq = 1", "DELETE FROM roadster_audit WHERE seq = 2"]
    if url.startswith("sqlite"):
        statements.append(copy_of(1, 1).replace("INSERT", "REPLACE"))
    else:
        statements.append("TRUNCATE roadster_audit")
    for statement in statements:
        with pytest.raises((sqlite3.IntegrityError, asyncpg.RaiseError), match="append-only"):
            await execute(url, statement)
    assert (await store.verify()).count == 2


async def test_audit_escapes_text_that_no_database_stores(store: SqlStore) -> None:
    await store.append(replace(RECORD, client="evil\0\ud800 ☃", arguments={"a\0": "\ud800"}))
    [row] = [row async for row in store.records()]
    assert row.record.client == "evil\\x00\\ud800 ☃"
    assert row.record.arguments == {"a\0": "\ud800"}
    assert (await store.verify()).first_broken is None


async def test_audit_and_claims_of_a_cancelled_call_are_complete(store: SqlStore) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append(RECORD)
        claim = await store.claim("s", "a", now=NOON)
        assert isinstance(claim, Claim)
        await store.release(claim)
    assert [row.record async for row in store.records()] == [RECORD]
    assert isinstance(await store.claim("s", "a", now=NOON), Claim)
