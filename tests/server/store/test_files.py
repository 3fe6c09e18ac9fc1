"""Requests for files and the files that wait, on both databases."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from roadster_server.store import FileRequest, open_store
from roadster_server.store.sql import SqlStore

from .databases import NOON, RECORD

pytestmark = pytest.mark.anyio

NOW = int(NOON.timestamp() * 1000)
MINUTE = 60_000
REQUEST = FileRequest(
    file="f1",
    link="l1",
    caller="sales-bot",
    principal="work:steve",
    dealer="umazda",
    customer="1650260",
    purpose="upload_document license",
    expires=NOW + 10 * MINUTE,
)


async def _hand_over(store: SqlStore, content: str = "c1", now: int = NOW, link: str = "l1") -> bool:
    await store.files.add_part("f1", content, 1, f"{content} second".encode(), expires=NOW + 60 * MINUTE)
    await store.files.add_part("f1", content, 0, f"{content} first".encode(), expires=NOW + 60 * MINUTE)
    return await store.files.end(link, content, "facts", now=now, expires=NOW + 60 * MINUTE, record=RECORD)


async def test_a_request_is_found_by_its_link_and_by_its_file(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    by_link, by_file = await store.files.by_link("l1", now=NOW), await store.files.by_file("f1", now=NOW)
    assert by_link is not None
    assert by_link == by_file
    assert (by_link.request, by_link.content) == (REQUEST, "")
    assert await store.files.by_link("f1", now=NOW) is None
    assert await store.files.by_file("l1", now=NOW) is None


async def test_calls_at_once_ask_for_as_many_files_as_allowed_and_no_more(url: str) -> None:
    answers: list[bool] = []
    async with open_store(url) as one, open_store(url) as other:

        async def ask(store: SqlStore, number: int) -> None:
            request = replace(REQUEST, file=f"f{number}", link=f"l{number}")
            answers.append(await store.files.request(request, now=NOW, most=5))

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(ask, (one, other)[number % 2], number)
    assert sum(answers) == 5


async def test_a_file_is_there_in_order_and_on_record_once_it_is_whole(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert await _hand_over(store)
    stored = await store.files.by_file("f1", now=NOW + 11 * MINUTE)
    assert stored is not None
    assert (stored.content, stored.facts) == ("c1", "facts")
    assert await store.files.parts("f1", "c1") == [b"c1 first", b"c1 second"]
    assert [entry.record async for entry in store.records()] == [RECORD]


async def test_only_the_first_file_is_taken(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert await _hand_over(store)
    assert not await _hand_over(store, "c2")
    await store.files.drop_attempt("f1", "c2")
    assert await store.files.begin("l1", now=NOW, most=5) is None
    assert await store.files.parts("f1", "c1") == [b"c1 first", b"c1 second"]
    assert await store.files.parts("f1", "c2") == []
    assert len([entry async for entry in store.records()]) == 1


async def test_attempts_are_counted(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert [await store.files.begin("l1", now=NOW, most=2) is not None for _ in range(3)] == [True, True, False]


async def test_a_link_that_is_over_takes_nothing(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    late = NOW + 10 * MINUTE
    assert await store.files.by_link("l1", now=late) is None
    assert await store.files.begin("l1", now=late, most=5) is None
    assert not await _hand_over(store, now=late)


async def test_what_is_over_is_deleted_with_its_parts(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert await _hand_over(store)
    await store.files.request(replace(REQUEST, file="f2", link="l2", expires=NOW + 90 * MINUTE), now=NOW, most=9)
    await store.files.forget_expired(now=NOW + 60 * MINUTE)
    assert await store.files.parts("f1", "c1") == []
    assert await store.files.by_file("f1", now=NOW) is None
    assert await store.files.by_file("f2", now=NOW) is not None


async def test_a_file_that_was_used_is_removed(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert await _hand_over(store)
    await store.files.remove("f1")
    assert await store.files.by_file("f1", now=NOW) is None
    assert await store.files.parts("f1", "c1") == []


async def test_forget_deletes_the_files_of_that_customer_alone(store: SqlStore) -> None:
    await store.files.request(REQUEST, now=NOW, most=9)
    assert await _hand_over(store)
    await store.files.add_part("f1", "unfinished", 0, b"half", expires=NOW + 60 * MINUTE)
    await store.files.request(replace(REQUEST, file="f2", link="l2", customer="1650261"), now=NOW, most=9)
    await store.files.request(replace(REQUEST, file="f3", link="l3", dealer="hyundaidemo"), now=NOW, most=9)
    counts = await store.forget_customer("umazda", "1650260", RECORD)
    assert counts.files == 1
    assert await store.files.by_file("f1", now=NOW) is None
    assert [await store.files.parts("f1", content) for content in ("c1", "unfinished")] == [[], []]
    assert await store.files.by_file("f2", now=NOW) is not None
    assert await store.files.by_file("f3", now=NOW) is not None
    assert not await _hand_over(store), "an attempt that was under way comes to nothing"


async def test_nothing_of_a_deleted_file_stays_in_the_sqlite_file(migrated_store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(migrated_store, tmp_path / "store.db"))
    mark = b"a part of a licence" * 20
    async with open_store(f"sqlite:///{path}") as store:
        await store.files.request(REQUEST, now=NOW, most=9)
        await store.files.add_part("f1", "c1", 0, mark, expires=NOW + 60 * MINUTE)
        await store.files.remove("f1")
    assert mark not in path.read_bytes()
