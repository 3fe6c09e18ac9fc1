"""Idempotency keys and nonces, on both databases. The tests choose the time."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta

import anyio
import asyncpg
import pytest

from roadster_server.store import (
    Claim,
    ClaimLost,
    Conflict,
    InProgress,
    Replay,
    Unknown,
    open_store,
)
from roadster_server.store.sql import SqlStore
from tests.servers import PATIENCE

from .databases import NOON, RECORD, execute, path_of

pytestmark = pytest.mark.anyio


async def take_claim(store: SqlStore, *, scope: str = "s", arguments: str = "a", now: datetime = NOON) -> Claim:
    claim = await store.claim(scope, arguments, now=now)
    assert isinstance(claim, Claim)
    return claim


async def test_claim_finished_is_replayed_for_a_day(store: SqlStore) -> None:
    claim = await take_claim(store)
    await store.record_sent(RECORD, claim)
    await store.finish(claim, b'{"id": "\x00"}')
    day = timedelta(hours=24)
    assert await store.claim("s", "a", now=NOON) == Replay(b'{"id": "\x00"}')
    assert await store.claim("s", "a", now=NOON + day) == Replay(b'{"id": "\x00"}')
    assert await store.claim("other", "a", now=NOON + day) != claim
    await take_claim(store, arguments="b", now=NOON + day + timedelta(milliseconds=1))


async def test_claim_with_other_arguments_conflicts_in_each_state(store: SqlStore) -> None:
    claim = await take_claim(store)
    later = NOON + timedelta(minutes=3)
    assert await store.claim("s", "b", now=NOON) == Conflict("a")
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.record_sent(RECORD, claim)
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.leave_unknown(claim)
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await store.finish(claim, b"")
    assert await store.claim("s", "b", now=later) == Conflict("a")


async def test_claim_not_ended_is_in_progress(store: SqlStore) -> None:
    claim = await take_claim(store)
    at = NOON + timedelta(seconds=120)
    assert await store.claim("s", "a", now=at) == InProgress()
    await store.record_sent(RECORD, claim)
    assert await store.claim("s", "a", now=at) == InProgress()


async def test_claim_is_answered_while_another_process_writes(url: str) -> None:
    """A waiting call looks often, so a look must not queue with those that write, or lock them out."""
    async with open_store(url) as store:
        finished, open_claim = await take_claim(store), await take_claim(store, scope="t")
        await store.finish(finished, b"")
        with anyio.fail_after(PATIENCE):
            async with AsyncExitStack() as writer:
                if url.startswith("sqlite"):
                    other = writer.enter_context(closing(sqlite3.connect(path_of(url), isolation_level=None)))
                    other.execute("BEGIN IMMEDIATE")
                else:
                    connection = await asyncpg.connect(url)
                    writer.push_async_callback(connection.close)
                    await writer.enter_async_context(connection.transaction())
                    await connection.execute("LOCK TABLE roadster_claims IN EXCLUSIVE MODE")
                assert await store.claim("s", "a", now=NOON) == Replay(b"")
                assert await store.claim("s", "b", now=NOON) == Conflict("a")
                assert await store.claim("t", "a", now=NOON) == InProgress()
        await store.release(open_claim)


async def test_claim_abandoned_is_taken_over_for_good(store: SqlStore) -> None:
    first = await take_claim(store)
    second = await take_claim(store, now=NOON + timedelta(seconds=121))
    assert second.token != first.token
    with pytest.raises(ClaimLost, match="nothing was sent"):
        await store.record_sent(RECORD, first)
    assert (await store.verify()).count == 0
    await store.finish(first, b"first")
    await store.leave_unknown(first)
    await store.release(first)
    assert await store.claim("s", "a", now=NOON + timedelta(seconds=240)) == InProgress()
    await store.record_sent(RECORD, second)
    await store.finish(second, b"second")
    assert await store.claim("s", "a", now=NOON) == Replay(b"second")


async def test_claim_sent_and_not_ended_is_unknown_for_a_day(store: SqlStore) -> None:
    await store.record_sent(RECORD, await take_claim(store))
    assert await store.claim("s", "a", now=NOON + timedelta(seconds=121)) == Unknown()
    assert await store.claim("s", "a", now=NOON + timedelta(hours=24)) == Unknown()
    await take_claim(store, now=NOON + timedelta(hours=25))


async def test_claim_with_a_lost_answer_is_unknown_until_it_comes(store: SqlStore) -> None:
    claim = await take_claim(store)
    await store.record_sent(RECORD, claim)
    await store.leave_unknown(claim)
    assert await store.claim("s", "a", now=NOON) == Unknown()
    with pytest.raises(ClaimLost):
        await store.record_sent(RECORD, claim)
    await store.finish(claim, b"late")
    assert await store.claim("s", "a", now=NOON) == Replay(b"late")


async def test_claim_released_is_free(store: SqlStore) -> None:
    await store.release(await take_claim(store))
    await take_claim(store, arguments="b")


async def test_claim_finished_stays_finished(store: SqlStore) -> None:
    claim = await take_claim(store)
    await store.finish(claim, b"first")
    await store.finish(claim, b"second")
    await store.leave_unknown(claim)
    await store.release(claim)
    assert await store.claim("s", "a", now=NOON) == Replay(b"first")


async def test_claims_and_nonces_are_deleted_when_they_expire(store: SqlStore, url: str) -> None:
    for number in range(3):
        await take_claim(store, scope=f"s-{number}")
        assert await store.use_once(f"n-{number}", expires_at=NOON + timedelta(minutes=5), now=NOON)
    later = NOON + timedelta(days=2)
    await take_claim(store, now=later)
    assert await store.use_once("n", expires_at=later + timedelta(minutes=5), now=later)
    assert await execute(url, "SELECT scope FROM roadster_claims") == [("s",)]
    assert await execute(url, "SELECT nonce FROM roadster_nonces") == [("n",)]


@pytest.mark.parametrize("age", [None, timedelta(minutes=3), timedelta(days=2)], ids=["new", "abandoned", "expired"])
async def test_claims_at_once_exactly_one_wins(url: str, age: timedelta | None) -> None:
    results: list[object] = []

    async def compete(store: SqlStore) -> None:
        results.append(await store.claim("s", "a", now=NOON))

    async with open_store(url) as one, open_store(url) as other:
        if age:
            await take_claim(one, now=NOON - age)
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(compete, one if number % 2 else other)
    assert sum(isinstance(result, Claim) for result in results) == 1
    assert results.count(InProgress()) == 19


async def test_nonce_is_valid_once(store: SqlStore) -> None:
    expires = NOON + timedelta(minutes=5)
    assert await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=expires - timedelta(milliseconds=1))
    assert await store.use_once("m", expires_at=expires, now=NOON)


async def test_nonce_expired_is_not_valid(store: SqlStore) -> None:
    """It may have been used and then deleted."""
    expires = NOON + timedelta(minutes=5)
    assert await store.use_once("n", expires_at=expires, now=NOON)
    assert not await store.use_once("n", expires_at=expires, now=expires)
    assert not await store.use_once("n", expires_at=expires, now=expires + timedelta(days=1))


async def test_nonce_used_at_once_is_valid_once(url: str) -> None:
    results: list[bool] = []

    async def use(store: SqlStore) -> None:
        results.append(await store.use_once("n", expires_at=NOON + timedelta(minutes=5), now=NOON))

    async with open_store(url) as one, open_store(url) as other, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(use, one if number % 2 else other)
    assert sorted(results) == [False] * 19 + [True]
