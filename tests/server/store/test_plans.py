"""Every statement of the store finds its rows by an index, in the order that it asks for."""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from roadster_server.store import AuditQuery, AuditSubject, Claim, NewEvent, NewSession, open_store
from roadster_server.store.sql import SqlStore
from roadster_tools.gate.customers import CustomerPlace, CustomerQuery
from roadster_tools.gate.inbox import EventPlace, EventQuery

from .databases import NOON, RECORD, path_of

pytestmark = pytest.mark.anyio

DEALERS = ("umazda", "hyundaidemo")
DAY = timedelta(days=1)

Statement = tuple[str, tuple[Any, ...]]


@pytest.fixture
async def small_store(url: str) -> AsyncIterator[SqlStore]:
    """A store whose batches end after a few rows, so that also the second batch of each work is seen."""
    async with open_store(url) as store:
        yield replace(store, contact_key=b"key", page_rows=2, batch_rows=2)


async def test_no_statement_reads_or_sorts_a_whole_table(url: str, small_store: SqlStore) -> None:
    await fill(small_store)
    statements: dict[str, Statement] = {}

    def collect(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        if "roadster_" in text:
            is_many = bool(parameters) and isinstance(parameters[0], tuple)
            statements.setdefault(text, (text, tuple(parameters[0] if is_many else parameters)))

    event.listen(small_store.database.driver.engine, "before_cursor_execute", collect)
    await use(small_store)
    assert len(statements) > 50
    explain = sqlite_problems if url.startswith("sqlite") else postgresql_problems
    problems = await explain(url, [*statements.values()])
    assert not problems, "\n\n".join(problems)


def new_event(number: int, dealer: str = "umazda", **values: Any) -> NewEvent:
    person = {"id": number, "email": f"c{number}@example.com", "first_name": "Ana", "last_name": "Silva"}
    event = NewEvent(
        source="roadster",
        event_id=f"{dealer} {number}",
        event_type="message",
        dealer=dealer,
        customer="7",
        order=str(number),
        delivery=None,
        happened_at=NOON + number * DAY,
        body=json.dumps({"customer": person}),
    )
    return replace(event, **values)


async def fill(store: SqlStore) -> None:
    await store.add_owned("umazda", "delivery", "d-1")
    for number in range(9):
        at = NOON + number * DAY
        await store.add_events([new_event(number), new_event(number, "unknown")], dealers=DEALERS, now=at)
        await store.append(RECORD)


async def use(store: SqlStore) -> None:
    """Calls every method of the store, in each of its ways. A method that is added and not called here fails."""
    calls = {name for name, method in inspect.getmembers(SqlStore) if name[0] != "_" and inspect.isfunction(method)}
    for name in sorted(calls):
        ways = WAYS[name]
        for arguments, options in ways:
            result = getattr(store, name)(*arguments, **options)
            if inspect.isasyncgen(result):
                async for _ in result:
                    pass
            else:
                await result


def way(*arguments: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return arguments, options


def event_ways() -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    times = (None, NOON)
    places = (None, EventPlace(10**15, 10**15, "f"))
    for customer, kind, since, until, place in product((None, 7), (None, "message"), times, times, places):
        yield way("umazda", EventQuery(customer, kind, since, until), before=place, most=5)


def customer_ways() -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    queries = (
        CustomerQuery("name", ("silva",)),
        CustomerQuery("name", ("an", "silva")),
        CustomerQuery("email", ("c1@example.com",)),
        CustomerQuery("phone", ("16505551234",)),
    )
    for query, place in product(queries, (None, CustomerPlace("a", "1"))):
        yield way("umazda", query, after=place, most=5)


CLAIM = Claim("scope", "token")
SUBJECT = AuditSubject("umazda", "ab", ("cd", "ef"))
LATER: datetime = NOON + 9 * DAY
WAYS: dict[str, Sequence[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "append": [way(RECORD)],
    "record_sent": [way(RECORD, None)],
    "claim": [way("scope", "arguments", now=NOON)] * 2,
    "find_claim": [way("scope", "arguments", now=NOON)],
    "finish": [way(CLAIM, b"result")],
    "release": [way(CLAIM)],
    "leave_unknown": [way(CLAIM)],
    "use_once": [way("nonce", expires_at=NOON + DAY, now=NOON)],
    "revoke": [way(["ab", "work:steve"], RECORD, now=NOON)],
    "revocations": [way(0)],
    "add_session": [way(NewSession("ab", "work:steve", "sealed", NOON + DAY), now=NOON)],
    "session": [way("ab", now=NOON, idle=DAY), way("ab", now=NOON + DAY / 2, idle=DAY)],
    "end_session": [way("ab")],
    "belongs": [way("umazda", "order", "1")],
    "add_owned": [way("umazda", "order", "1"), way("umazda", "delivery", "d-2")],
    "owned_ids": [way("umazda", "order", prefix, 5) for prefix in ("", "1")],
    "add_events": [way([new_event(30), new_event(31, delivery="d-1", dealer=None)], dealers=DEALERS, now=LATER)],
    "events": [*event_ways()],
    "add_customer": [way("umazda", "7", email="c7@example.com", phone="+16505551234")],
    "customers": [*customer_ways()],
    "index_events": [way(DEALERS, most=2), way([*DEALERS, "unknown"], most=2)],
    "forget_customer": [way("umazda", "7", RECORD)],
    "knows_dealer": [way("umazda")],
    "knows_customer": [way("umazda", "7")],
    "tidy_events": [way(received_before=NOON + DAY, dealers=[*DEALERS, "unknown"], now=LATER)],
    "doubt": [way(received_before=NOON + DAY, now=LATER)],
    "count_events": [way(received_before=NOON + DAY)],
    "forget_events": [way(received_before=NOON + 2 * DAY)],
    "probe": [way()],
    "verify": [way()],
    "count_calls": [way(NOON, 16, dealers) for dealers in (None, DEALERS)],
    "recent_events": [way(NOON, dealers) for dealers in (None, DEALERS)],
    "quarantined_events": [way()],
    "release_events": [way(DEALERS, now=LATER)],
    "records": [
        *(
            way(AuditQuery(*parts), last=last)
            for parts in product((None, NOON), (None, SUBJECT), (None, "desk"), (None, "work:steve"))
            for last in (None, 2)
        ),
        way(
            AuditQuery(until=LATER, approval="ab", tool="t", outcome="done", dealers=frozenset(DEALERS), before=9),
            last=2,
        ),
    ],
}


async def sqlite_problems(url: str, statements: Sequence[Statement]) -> list[str]:
    with closing(sqlite3.connect(path_of(url))) as connection:
        partial = {name for name, text in _indexes(connection) if " WHERE " in text}
        problems = []
        for text, parameters in statements:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
            if any(
                step.startswith("SCAN anon_") for step in plan
            ):  # a subquery with a limit: its few rows may be sorted
                plan = [step for step in plan if not step.startswith("USE TEMP B-TREE")]
            bad = [step for step in plan if _is_bad_step(step, text, partial)]
            if bad:
                problems.append("\n".join([text, *plan]))
    return problems


def _indexes(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL").fetchall()


def _is_bad_step(step: str, text: str, partial: set[str]) -> bool:
    if step.startswith("USE TEMP B-TREE FOR ORDER BY"):
        return True
    # The first rows of a whole table in the order of an index are no reading of all.
    takes_first = " WHERE " not in " ".join(text.split()) and "LIMIT" in text
    return step.startswith("SCAN roadster_") and not takes_first and not partial & set(step.split())


async def postgresql_problems(url: str, statements: Sequence[Statement]) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        for setting in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin"):
            await connection.execute(f"SET enable_{setting} = off")
        partial = {
            row["indexname"]
            for row in await connection.fetch("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% WHERE %'")
        }
        problems = []
        for text, parameters in statements:
            plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *parameters))
            if any(_is_bad_node(node, partial) for node in _nodes(plan[0]["Plan"])):
                problems.append(f"{text}\n{json.dumps(plan, indent=1)}")
    finally:
        await connection.close()
    return problems


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _is_bad_node(node: dict[str, Any], partial: set[str]) -> bool:
    kind = node["Node Type"]
    if kind in ("Sort", "Incremental Sort"):
        return True
    if kind == "Seq Scan":
        return bool(node["Relation Name"].startswith("roadster_"))
    is_scan = kind in ("Index Scan", "Index Only Scan")
    return is_scan and "Index Cond" not in node and "Filter" in node and node["Index Name"] not in partial
