"""Records that come at the same time share a transaction, and each caller gets an outcome of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from roadster_server.store import AuditRecord, Claim, ClaimLost, StoreError, open_store
from roadster_server.store.databases.driver import Append
from roadster_server.store.databases.sqlite import open_sqlite
from roadster_server.store.rows.audit.chain import row_of
from roadster_server.store.sql import SqlStore, open_sql_store
from roadster_server.store.waiting import one_wait

from .databases import NOON, RECORD, execute, fill, lift_protection, lock, path_of, scalar

pytestmark = pytest.mark.anyio


async def test_appends_at_once_share_transactions(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    append = store.database.driver.append

    async def note(appends: Sequence[Append], seconds: float) -> Sequence[ClaimLost | None]:
        sizes.append(len(appends))
        return await append(appends, seconds)

    monkeypatch.setattr(store.database.driver, "append", note)
    async with anyio.create_task_group() as tasks:
        for number in range(250):
            tasks.start_soon(store.append, replace(RECORD, call_id=f"c-{number}"))
    assert sum(sizes) == 250
    assert len(sizes) < 10
    assert max(sizes) <= 100
    assert [row.record.call_id async for row in store.records()] == [f"c-{number}" for number in range(250)]


async def test_lost_claim_fails_only_its_own_record(store: SqlStore) -> None:
    claims = [await store.claim(key, "a", now=NOON) for key in "abc"]
    assert isinstance(claims[1], Claim)
    await store.release(claims[1])
    outcomes: dict[str, str] = {}

    async def send(key: str, claim: Claim) -> None:
        try:
            await store.record_sent(replace(RECORD, call_id=key), claim)
        except ClaimLost:
            outcomes[key] = "lost"
        else:
            outcomes[key] = "sent"

    async with anyio.create_task_group() as tasks:
        for key, claim in zip("abc", claims, strict=True):
            assert isinstance(claim, Claim)
            tasks.start_soon(send, key, claim)
    assert outcomes == {"a": "sent", "b": "lost", "c": "sent"}
    assert [row.record.call_id async for row in store.records()] == ["a", "c"]
    assert (await store.verify()).first_broken is None


async def test_task_that_is_ended_by_force_leaves_its_record_and_those_of_others(store: SqlStore) -> None:
    """An event loop that closes ends its tasks past every shield."""
    tasks = [asyncio.create_task(store.append(replace(RECORD, call_id=str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, False, False]
    await store.append(replace(RECORD, call_id="3"))
    assert [row.record.call_id async for row in store.records()] == ["0", "1", "2", "3"]


async def test_call_that_has_waited_does_not_shorten_the_wait_of_others(store_url: str) -> None:
    database = await open_sqlite(path_of(store_url))
    store = SqlStore(database)
    outcomes: list[str] = []
    unlock = anyio.Event()

    async def append_late() -> None:
        with one_wait() as wait:
            wait.seconds = 20.0
            with pytest.raises(StoreError, match="was locked by another process"):
                await store.append(replace(RECORD, call_id="late"))
        outcomes.append("late")
        unlock.set()

    async def append_early() -> None:
        await store.append(replace(RECORD, call_id="early"))
        outcomes.append("early")

    try:
        async with anyio.create_task_group() as tasks:
            with lock(store_url):
                tasks.start_soon(append_late)
                tasks.start_soon(append_early)
                await unlock.wait()
        assert outcomes == ["late", "early"]
        assert [row.record.call_id async for row in store.records()] == ["early"]
    finally:
        await database.close()


async def test_head_that_changes_behind_an_open_store_takes_no_record(store: SqlStore, url: str) -> None:
    await fill(store, 3)
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET outcome = 'refused' WHERE seq = 3")
    for write in (store.append(RECORD), store.probe()):
        with pytest.raises(StoreError, match="put a backup in its place"):
            await write
    await execute(url, "UPDATE roadster_audit SET outcome = 'done' WHERE seq = 3")
    await store.append(RECORD)
    assert (await store.verify()).first_broken is None


async def test_stores_that_take_turns_keep_one_chain(url: str) -> None:
    async with open_store(url) as one, open_store(url) as other:
        for number in range(9):
            await (one, other, one)[number % 3].append(RECORD)
        verification = await one.verify()
    assert (verification.count, verification.first_broken) == (9, None)


async def test_transaction_that_need_not_be_durable_does_not_wait_for_the_disk(url: str) -> None:
    """SQLite syncs at 2, its FULL. At 1, NORMAL, and in PostgreSQL without synchronous_commit, a later commit does."""
    setting, on, off = "PRAGMA synchronous", "2", "1"
    if not url.startswith("sqlite"):
        setting, on, off = "SHOW synchronous_commit", "on", "off"
        await execute(url, f"ALTER DATABASE {urlsplit(url).path.removeprefix('/')} SET synchronous_commit = on")
    async with open_sql_store(url) as store:
        database = store.database
        for write, value in ((database.write, on), (database.write_before_record, off), (database.write, on)):
            assert str(await write(scalar, setting)) == value


async def test_methods_that_do_not_wait_for_the_disk(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[bool] = []
    write = store.database.driver.write

    async def note(function: Callable[[Connection], Any], seconds: float, *, is_durable: bool) -> Any:
        noted.append(is_durable)
        return await write(function, seconds, is_durable=is_durable)

    monkeypatch.setattr(store.database.driver, "write", note)
    for end in (store.release, store.leave_unknown):
        claim = await store.claim("s", "a", now=NOON)
        assert isinstance(claim, Claim)
        await end(claim)
    await store.finish(claim, b"")
    await replace(store, contact_key=b"key").add_customer("umazda", "7", email="c@example.com", phone=None)
    assert noted == [False] * 6
    await store.use_once("n", expires_at=NOON, now=NOON)
    await store.add_owned("umazda", "order", "1")
    assert noted[6:] == [True, True]


TEXT = st.text(max_size=20)
RECORDS = st.builds(
    AuditRecord,
    call_id=TEXT,
    phase=st.sampled_from(("sent", "ended")),
    time=st.datetimes(timezones=st.just(UTC)),
    caller=TEXT,
    principal=st.none() | TEXT,
    client=TEXT,
    protocol=TEXT,
    tool=TEXT,
    dealer=st.none() | TEXT,
    verdict=st.sampled_from(("allowed", "refused")),
    setting=TEXT,
    outcome=TEXT,
    upstream_request_id=st.none() | TEXT,
    latency_ms=st.none() | st.integers(-(2**63), 2**63 - 1),
    arguments=st.dictionaries(TEXT, TEXT, max_size=3),
    approval=st.none() | TEXT,
)


@given(record=RECORDS, seq=st.integers(1, 2**63 - 1), previous=st.text("0123456789abcdef", min_size=64, max_size=64))
def test_row_is_hashed_as_the_first_version_did(record: AuditRecord, seq: int, previous: str) -> None:
    """A byte more or less would break the chain of every store that is there."""

    def canonical(value: object) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)

    def storable(value: object) -> object:
        escaped = value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        return escaped.replace("\0", "\\x00") if isinstance(escaped, str) else escaped

    row = {name: storable(value) for name, value in asdict(record).items()}
    row |= {"seq": seq, "time": record.time.isoformat(timespec="microseconds")}
    row["arguments"] = canonical(dict(record.arguments))
    # The first version had no principals and no approvals.
    hashed = {name: value for name, value in row.items() if value is not None or name not in ("principal", "approval")}
    hash_ = sha256(f"{previous}{canonical(hashed)}".encode()).hexdigest()
    assert row_of(seq, record, previous) == row | {"hash": hash_}
