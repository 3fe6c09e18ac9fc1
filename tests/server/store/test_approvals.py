"""Approvals in the store, on both databases: each is decided once, and answers once for its call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import anyio
import pytest

from roadster_server.store import Approval, ApprovalState, AuditQuery, open_store
from roadster_server.store.sql import SqlStore

from .databases import NOON, RECORD

pytestmark = pytest.mark.anyio

AT_NOON = int(NOON.timestamp() * 1000)
HOUR = timedelta(hours=1)
ONE = Approval(
    id="a-1",
    call="call-1",
    principal="sales-bot",
    dealer="umazda",
    tool="create_customer",
    customer=None,
    created=AT_NOON,
    expires=AT_NOON + 3_600_000,
    question=b"question",
    content=b"content",
)
DECISION = replace(RECORD, phase="decided", outcome="approved", approval="a-1")


async def add(store: SqlStore, new: Approval = ONE, *, hours: float = 0, most: int = 10) -> Approval | None:
    return await store.approvals.add(new, now=NOON + hours * HOUR, most=most)


async def decide(store: SqlStore, state: ApprovalState = "approved", *, hours: float = 0, by: str = "work:eva") -> bool:
    return await store.approvals.decide("a-1", state, by, None, DECISION, now=NOON + hours * HOUR)


async def test_an_approval_is_read_as_it_was_stored(store: SqlStore) -> None:
    assert await add(store) == ONE
    assert await store.approvals.one("a-1") == ONE
    assert await store.approvals.of_call("call-1", now=NOON) == replace(ONE, content=b"")
    for other in ("a-2", "a-1\0"):
        assert await store.approvals.one(other) is None
    assert await store.approvals.of_call("call-2", now=NOON) is None


async def test_one_approval_answers_for_a_call(store: SqlStore) -> None:
    await add(store)
    assert await add(store, replace(ONE, id="a-2")) == ONE
    assert await store.approvals.one("a-2") is None


async def test_one_of_several_calls_at_once_makes_the_approval(url: str) -> None:
    answers: set[str] = set()
    async with open_store(url) as one, open_store(url) as other:

        async def ask(store: SqlStore, number: int) -> None:
            approval = await add(store, replace(ONE, id=f"a-{number}"))
            assert approval is not None
            answers.add(approval.id)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(ask, (one, other)[number % 2], number)
        stored = await one.approvals.waiting(["umazda"], ["create_customer"], now=NOON, most=100)
    assert answers == {approval.id for approval in stored}
    assert len(answers) == 1


async def test_calls_at_once_leave_as_many_waiting_as_allowed_and_no_more(url: str) -> None:
    answers: list[Approval | None] = []
    async with open_store(url) as one, open_store(url) as other:

        async def ask(store: SqlStore, number: int) -> None:
            answers.append(await add(store, replace(ONE, id=f"a-{number}", call=f"call-{number}"), most=5))

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(ask, (one, other)[number % 2], number)
    assert len([approval for approval in answers if approval is not None]) == 5


async def test_after_its_time_a_call_is_asked_about_anew(store: SqlStore) -> None:
    await add(store)
    assert await store.approvals.of_call("call-1", now=NOON + HOUR) is None
    new = replace(ONE, id="a-2", expires=AT_NOON + 7_200_000)
    assert await add(store, new, hours=1) == new
    assert await store.approvals.of_call("call-1", now=NOON + HOUR) == replace(new, content=b"")
    assert not await decide(store, hours=1)


async def test_a_write_that_is_sent_answers_for_its_call_after_its_time(store: SqlStore) -> None:
    await add(store)
    assert await decide(store, hours=0.9)
    late = await add(store, replace(ONE, id="a-2"), hours=2)
    assert late is not None
    assert (late.id, late.state) == ("a-1", "approved")


async def test_one_of_several_decisions_at_once_counts(url: str) -> None:
    decisions: list[tuple[str, bool]] = []
    async with open_store(url) as one, open_store(url) as other:
        await add(one)

        async def decide_as(store: SqlStore, name: str, state: ApprovalState) -> None:
            decisions.append((name, await decide(store, state, by=name)))

        async with anyio.create_task_group() as group:
            for number in range(10):
                state: ApprovalState = "approved" if number % 3 else "declined"
                group.start_soon(decide_as, (one, other)[number % 2], f"work:{number}", state)
        approval = await one.approvals.one("a-1")
        rows = [row.record async for row in one.records()]
    assert approval is not None
    assert [name for name, counts in decisions if counts] == [approval.approver]
    assert rows == [DECISION]


@pytest.mark.parametrize("state", ["approved", "declined", "withdrawn"])
async def test_nothing_is_decided_after_its_time(state: ApprovalState, store: SqlStore) -> None:
    await add(store)
    assert not await decide(store, state, hours=1)
    assert await store.approvals.one("a-1") == ONE
    assert [row async for row in store.records()] == []


async def test_an_approved_write_ends_once_and_loses_its_content(store: SqlStore) -> None:
    await add(store)
    assert not await store.approvals.finish("a-1", "done", b"answer", "17")
    assert await decide(store)
    assert await store.approvals.finish("a-1", "done", b"answer", "17")
    assert not await store.approvals.finish("a-1", "unknown", b"", None)
    approval = await store.approvals.one("a-1")
    assert approval is not None
    assert (approval.state, approval.outcome, approval.content, approval.customer) == ("done", b"answer", b"", "17")
    assert len([row async for row in store.records(last=10)]) == 1


async def test_a_declined_write_loses_its_content(store: SqlStore) -> None:
    await add(store)
    assert await decide(store, "declined")
    approval = await store.approvals.one("a-1")
    assert approval is not None
    assert (approval.state, approval.content, approval.question) == ("declined", b"", b"question")


async def test_a_list_has_the_dealers_and_tools_of_its_reader(store: SqlStore) -> None:
    for number, (dealer, tool) in enumerate(
        [("umazda", "create_customer"), ("other", "create_customer"), ("umazda", "assign_agent")]
    ):
        await add(store, replace(ONE, id=f"a-{number}", call=f"call-{number}", dealer=dealer, tool=tool))
    reader = ["umazda"], ["create_customer"]
    assert [approval.id for approval in await store.approvals.waiting(*reader, now=NOON, most=10)] == ["a-0"]
    assert await store.approvals.count_waiting(*reader, now=NOON) == 1
    assert await store.approvals.waiting([], ["create_customer"], now=NOON, most=10) == []
    assert await store.approvals.waiting(*reader, now=NOON + HOUR, most=10) == [], "it has expired"
    assert await store.approvals.count_waiting(*reader, now=NOON + HOUR) == 0
    assert await store.approvals.waiting(*reader, now=NOON, most=10, after="a-1") == await store.approvals.waiting(
        *reader, now=NOON, most=10
    ), "the place of another dealer's approval is no place here"


async def test_those_that_wait_come_page_by_page_the_first_to_expire_first(store: SqlStore) -> None:
    for number, minutes in enumerate((50, 30, 30, 40, 10)):
        expires = AT_NOON + minutes * 60_000
        await add(store, replace(ONE, id=f"a-{number}", call=f"call-{number}", expires=expires))
    assert await pages_of(partial(store.approvals.waiting, now=NOON)) == [["a-4", "a-1"], ["a-2", "a-3"], ["a-0"]]


async def test_those_that_were_decided_come_page_by_page_the_newest_decision_first(store: SqlStore) -> None:
    for number, minutes in enumerate((5, 20, 10, 20)):
        await add(store, replace(ONE, id=f"a-{number}", call=f"call-{number}", created=AT_NOON + number))
        now = NOON + timedelta(minutes=minutes)
        assert await store.approvals.decide(f"a-{number}", "declined", "work:eva", None, DECISION, now=now)
    await add(store, replace(ONE, id="a-9", call="call-9"))
    decided = store.approvals.decided
    assert await pages_of(partial(decided, now=NOON + HOUR)) == [["a-1", "a-3"], ["a-2", "a-0"]]
    assert await pages_of(partial(decided, now=NOON + timedelta(hours=24, minutes=7))) == [["a-1", "a-3"], ["a-2"]]
    of_one_that_waits = await decided(["umazda"], ["create_customer"], now=NOON + HOUR, most=9, after="a-9")
    assert [approval.id for approval in of_one_that_waits] == ["a-1", "a-3", "a-2", "a-0"]


async def pages_of(read: Callable[..., Awaitable[list[Approval]]]) -> list[list[str]]:
    """Returns the ids of all pages with two approvals each."""
    pages: list[list[str]] = []
    while True:
        last = pages[-1][-1] if pages else None
        page = await read(["umazda"], ["create_customer"], most=2, after=last)
        if not page:
            return pages
        pages.append([approval.id for approval in page])


async def test_a_caller_has_few_that_wait(store: SqlStore) -> None:
    for number in range(3):
        await add(store, replace(ONE, id=f"a-{number}", call=f"call-{number}"))
    fourth = replace(ONE, id="a-3", call="call-3")
    assert await add(store, fourth, most=3) is None
    other = replace(fourth, principal="service-bot")
    assert await add(store, other, most=3) == other
    again = replace(ONE, id="a-4", call="call-4", expires=AT_NOON + 9_000_000)
    assert await add(store, again, hours=1, most=3) == again


async def test_old_ones_are_deleted(store: SqlStore) -> None:
    await add(store)
    await store.approvals.forget_old(now=NOON + 25 * HOUR)
    assert await store.approvals.one("a-1") == ONE
    await store.approvals.forget_old(now=NOON + 25 * HOUR + timedelta(seconds=1))
    assert await store.approvals.one("a-1") is None


async def test_those_about_a_forgotten_customer_are_deleted(store: SqlStore) -> None:
    await add(store, replace(ONE, customer="17"))
    await add(store, replace(ONE, id="a-2", call="call-2", customer="18"))
    await store.forget_customer("umazda", "17", RECORD)
    assert await store.approvals.one("a-1") is None
    assert await store.approvals.one("a-2") is not None


async def test_the_records_of_an_approval_are_found(store: SqlStore) -> None:
    await store.append(RECORD)
    await add(store)
    assert await decide(store)
    rows = [row.record async for row in store.records(AuditQuery(approval="a-1"))]
    assert rows == [DECISION]
    assert (await store.verify()).first_broken is None
