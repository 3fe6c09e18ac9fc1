"""Idempotency keys and nonces, on both databases. The tests choose the time."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta

import anyio
import asyncpg
import pytest

from roadster_server.store import (
    AnswerGone,
    Claim,
    ClaimLost,
    Conflict,
    InProgress,
    Replay,
    Unknown,
    open_store,
)
from roadster_server.store.rows import claims, nonces
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


async def test_claim_is_used_for_good_and_its_answer_is_deleted_after_a_day(store: SqlStore, url: str) -> None:
    claim = await take_claim(store)
    await store.record_sent(RECORD, claim)
    await store.finish(claim, b"an answer")
    later = NOON + timedelta(hours=24, milliseconds=1)
    assert await store.claim("s", "a", now=later) == AnswerGone()
    assert await store.claim("s", "b", now=later) == Conflict("a")
    await take_claim(store, scope="other", now=later)
    assert await execute(url, "SELECT result FROM roadster_claims WHERE scope = 's'") == [(None,)]
    assert await store.claim("s", "a", now=later) == AnswerGone()


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


async def test_claim_sent_and_not_ended_is_unknown(store: SqlStore) -> None:
    await store.record_sent(RECORD, await take_claim(store))
    assert await store.claim("s", "a", now=NOON + timedelta(seconds=121)) == Unknown()
    assert await store.claim("s", "a", now=NOON + timedelta(hours=25)) == Unknown()


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


async def test_claims_and_nonces_are_deleted_when_they_expired_and_many_came_after(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_KEPT_KEYS", 2)
    monkeypatch.setattr(nonces, "_KEPT", 2)
    for number in range(5):
        await take_claim(store, scope=f"s-{number}")
        assert await store.use_once(f"n-{number}", expires_at=NOON + timedelta(minutes=number + 1), now=NOON)
    assert len(await execute(url, "SELECT 1 FROM roadster_claims")) == 5
    later = NOON + timedelta(days=2)
    await take_claim(store, now=later)
    assert await store.use_once("n", expires_at=later + timedelta(minutes=5), now=later)
    scopes = await execute(url, "SELECT scope FROM roadster_claims ORDER BY number")
    assert scopes == [("s-3",), ("s-4",), ("s",)]
    assert await execute(url, "SELECT nonce FROM roadster_nonces ORDER BY expires") == [("n-3",), ("n-4",), ("n",)]


JUMPS = [timedelta(days=-400), timedelta(minutes=-6), timedelta(minutes=6), timedelta(days=400)]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.reliability("a clock that is set after a write with a key", "an idempotency key that was used stays used")
async def test_clock_that_is_set_frees_no_key(
    store: SqlStore, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others use the store at the wrong time too, and the clock is set right again."""
    monkeypatch.setattr(claims, "_KEPT_KEYS", 20)
    used = [await take_claim(store, scope=scope) for scope in ("sent", "done", "unknown")]
    for claim in used:
        await store.record_sent(RECORD, claim)
    await store.finish(used[1], b"")
    await store.leave_unknown(used[2])
    for number, now in enumerate((NOON + jump, NOON + jump + timedelta(days=2), NOON + timedelta(minutes=1))):
        for other in range(5):
            await take_claim(store, scope=f"{number}-{other}", now=now)
        for claim in used:
            assert not isinstance(await store.claim(claim.scope, "a", now=now), Claim)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_clock_that_is_set_lets_nobody_wait_for_an_abandoned_key(store: SqlStore, jump: timedelta) -> None:
    """Its claim was never sent. The call that held it cannot send it any more."""
    first = await take_claim(store, now=NOON + jump)
    await take_claim(store, now=NOON)
    with pytest.raises(ClaimLost):
        await store.record_sent(RECORD, first)


@pytest.mark.parametrize("kept", [1, 100])
@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.reliability("a clock that is set after a confirmation", "a confirmation that was used is never good again")
async def test_clock_that_is_set_makes_no_nonce_good_again(
    store: SqlStore, kept: int, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "_KEPT", kept)
    minutes = timedelta(minutes=10)
    used = [(f"n-{number}", NOON + minutes + timedelta(seconds=number)) for number in range(3)]
    for nonce, until in used:
        assert await store.use_once(nonce, expires_at=until, now=NOON)
    for number, now in enumerate((NOON + jump, NOON + jump + timedelta(days=2), NOON + timedelta(minutes=1))):
        for other in range(3):
            await store.use_once(f"{number}-{other}", expires_at=now + minutes, now=now)
        for nonce, until in used:
            assert not await store.use_once(nonce, expires_at=until, now=now)


async def test_clock_that_was_far_ahead_spoils_no_later_confirmation(store: SqlStore) -> None:
    ahead, minutes = NOON + timedelta(days=400), timedelta(minutes=10)
    for number in range(3):
        now = ahead + number * minutes
        assert await store.use_once(f"n-{number}", expires_at=now + minutes, now=now)
    assert await store.use_once("n", expires_at=NOON + minutes, now=NOON)


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
