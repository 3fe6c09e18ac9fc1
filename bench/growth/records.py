"""How the work on the store grows with its audit records and its events.

    .venv/bin/python -m bench.growth.records [--quick]

Opens a SQLite store in this process and fills it up to each size in turn. The rows are made as the server makes them,
but many in one transaction: their number is measured here, not how they come. All events are of one dealer, which is
the worst case. Prints the median milliseconds of each kind of work, the whole time with its waits for the disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from roadster_server.store import AuditQuery, AuditRecord, NewEvent, open_store
from roadster_server.store.rows.audit.chain import GENESIS, row_of
from roadster_server.store.sql import SqlStore
from roadster_server.store.tables import audit, contacts, events
from roadster_tools.gate.customers import CustomerQuery
from roadster_tools.gate.inbox import EventQuery

SIZES = (10_000, 100_000, 1_000_000)
_DEALER = "umazda"
_EVENTS_OF_A_CUSTOMER = 10
_REPEATS = 15
_numbers = itertools.count()

Costs = dict[str, list[float]]
"""The seconds of each kind of work, the smallest size first."""


def main() -> int:
    parser = argparse.ArgumentParser(description="How the work on the store grows with its rows.")
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 rows")
    sizes = (1_000, 10_000) if parser.parse_args().quick else SIZES
    for costs in (measure_audit(sizes), measure_events(sizes)):
        for name, seconds in costs.items():
            print(f"{name:34} {'  '.join(f'{value * 1000:9.2f}' for value in seconds)} ms")
    return 0


def measure_audit(sizes: Sequence[int]) -> Costs:
    """Returns what appending to the audit, reading its newest records, and checking its chain cost."""
    return _measure(sizes, _fill_audit, _audit_costs)


def measure_events(sizes: Sequence[int]) -> Costs:
    """Returns what receiving an event, and the queries of the tools cost."""
    return _measure(sizes, _fill_events, _event_costs)


def _measure(
    sizes: Sequence[int],
    fill: Callable[[sqlite3.Connection, int], None],
    costs_of: Callable[[SqlStore], Awaitable[dict[str, float]]],
) -> Costs:
    costs: Costs = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        for size in sizes:
            for name, seconds in anyio.run(_at_size, path, fill, size, costs_of).items():
                costs.setdefault(name, []).append(seconds)
    return costs


async def _at_size(
    path: Path,
    fill: Callable[[sqlite3.Connection, int], None],
    size: int,
    costs_of: Callable[[SqlStore], Awaitable[dict[str, float]]],
) -> dict[str, float]:
    async with open_store(f"sqlite:///{path}"):
        pass  # the tables are there now
    with sqlite3.connect(path) as connection:
        fill(connection, size)
        connection.execute("ANALYZE")
    connection.close()
    async with open_store(f"sqlite:///{path}") as store:
        return await costs_of(SqlStore(store.database, contact_key=b"bench"))


async def _seconds(work: Callable[[], Awaitable[object]], repeats: int = _REPEATS) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _record() -> AuditRecord:
    return AuditRecord(
        call_id="0" * 32,
        phase="ended",
        time=datetime.now(UTC),
        caller="local",
        principal="local",
        client="bench",
        protocol="2026-07-28",
        tool="get_vehicle",
        dealer=_DEALER,
        verdict="allowed",
        setting="callers.local.access.inventory",
        outcome="done",
        upstream_request_id=None,
        latency_ms=7,
        arguments={"vin": "0" * 64},
    )


def _fill_audit(connection: sqlite3.Connection, size: int) -> None:
    newest = connection.execute("SELECT seq, hash FROM roadster_audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = newest or (0, GENESIS)
    record = _record()

    def more() -> Iterator[dict[str, Any]]:
        nonlocal seq, previous
        while seq < size:
            seq += 1
            row = row_of(seq, record, previous)
            previous = row["hash"]
            yield row

    connection.executemany(_insertion(audit.name, [column.name for column in audit.columns]), more())


async def _audit_costs(store: SqlStore) -> dict[str, float]:
    async def read_newest() -> None:
        assert len([record async for record in store.records(AuditQuery(), last=20)]) == 20

    async def verify() -> None:
        verification = await store.verify()
        assert verification.first_broken is None

    return {
        "append a record": await _seconds(lambda: store.append(_record())),
        "read the newest 20": await _seconds(read_newest),
        "verify": await _seconds(verify, 1),
    }


def _fill_events(connection: sqlite3.Connection, size: int) -> None:
    (rows,) = connection.execute(f"SELECT count(*) FROM {events.name}").fetchone()
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    names = [column.name for column in events.columns]
    body = json.dumps({"event_type": "customer.updated", "customer": {"first_name": "Steve"}, "text": "x" * 300})
    more = (
        (
            f"{number:064}",
            "roadster",
            f"event-{number}",
            ("order.created", "customer.updated", "message.sent")[number % 3],
            _DEALER,
            False,
            str(number // _EVENTS_OF_A_CUSTOMER),
            None,
            None,
            begin + number,
            begin + number + 1,
            body,
            "indexed",
        )
        for number in range(rows, size)
    )
    connection.executemany(f"INSERT INTO {events.name} VALUES ({', '.join('?' * len(names))})", more)
    people = (
        (_DEALER, "name", f"name{number:07}", str(number), begin)
        for number in range(rows // _EVENTS_OF_A_CUSTOMER, size // _EVENTS_OF_A_CUSTOMER)
    )
    connection.executemany(f"INSERT INTO {contacts.name} VALUES (?, ?, ?, ?, ?)", people)


async def _event_costs(store: SqlStore) -> dict[str, float]:
    async def add() -> None:
        number = next(_numbers)
        event = NewEvent(
            source="roadster",
            event_id=f"new-{number}",
            event_type="customer.updated",
            dealer=_DEALER,
            customer="7",
            order=None,
            delivery=None,
            happened_at=datetime(2025, 12, 1, tzinfo=UTC) + timedelta(seconds=number),
            body="{}",
        )
        await store.add_events([event], dealers=[_DEALER], now=datetime.now(UTC))

    def newest(query: EventQuery) -> Callable[[], Awaitable[object]]:
        return lambda: store.events(_DEALER, query, before=None, most=21)

    search = CustomerQuery("name", ("name0000",))
    return {
        "receive an event": await _seconds(add),
        "the newest 20": await _seconds(newest(EventQuery())),
        "the newest of a customer": await _seconds(newest(EventQuery(7))),
        "the newest of a type": await _seconds(newest(EventQuery(None, "order.created"))),
        "of a type that nobody sent": await _seconds(newest(EventQuery(None, "order.lost"))),
        "a customer's of such a type": await _seconds(newest(EventQuery(7, "order.lost"))),
        "search customers by name": await _seconds(lambda: store.customers(_DEALER, search, after=None, most=21)),
    }


def _insertion(table: str, names: Sequence[str]) -> str:
    columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({columns}) VALUES ({values})"


if __name__ == "__main__":
    sys.exit(main())
