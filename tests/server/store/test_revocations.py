"""Revoked tokens and people, on both databases."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from roadster_server.store import open_store
from roadster_server.store.sql import SqlStore

from .databases import NOON, RECORD

pytestmark = pytest.mark.anyio

NOON_MILLISECONDS = int(NOON.timestamp() * 1000)


async def test_a_reader_learns_what_is_new_to_it(store: SqlStore) -> None:
    nothing = await store.revocations(0)
    assert (nothing.number, nothing.times) == (0, {})
    await store.revoke(["ab", "cd"], RECORD, now=NOON)
    first = await store.revocations(nothing.number)
    assert first.times == {"ab": NOON_MILLISECONDS, "cd": NOON_MILLISECONDS}
    assert (await store.revocations(first.number)).times == {}
    await store.revoke(["work:steve"], RECORD, now=NOON)
    second = await store.revocations(first.number)
    assert second.times == {"work:steve": NOON_MILLISECONDS}
    assert len((await store.revocations(0)).times) == 3


async def test_what_is_revoked_again_has_the_later_time(store: SqlStore) -> None:
    await store.revoke(["work:steve"], RECORD, now=NOON)
    known = await store.revocations(0)
    await store.revoke(["work:steve"], RECORD, now=NOON + timedelta(seconds=1))
    assert (await store.revocations(known.number)).times == {"work:steve": NOON_MILLISECONDS + 1000}


async def test_each_revocation_is_on_record(store: SqlStore) -> None:
    await store.revoke(["ab"], RECORD, now=NOON)
    assert [row.record async for row in store.records()] == [RECORD]
    assert (await store.verify()).first_broken is None


async def test_a_reader_misses_none_of_those_at_once(url: str) -> None:
    subjects = {f"work:{number}" for number in range(20)}
    found: dict[str, int] = {}

    async with open_store(url) as one, open_store(url) as other, open_store(url) as reader:

        async def read() -> None:
            number = 0
            while len(found) < len(subjects):
                new = await reader.revocations(number)
                number = new.number
                found.update(new.times)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for number, subject in enumerate(sorted(subjects)):
                store = one if number % 2 else other
                group.start_soon(lambda store=store, subject=subject: store.revoke([subject], RECORD, now=NOON))
    assert found.keys() == subjects
