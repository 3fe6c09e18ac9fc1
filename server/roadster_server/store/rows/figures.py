"""Counts of calls and events, for the console. Every function needs a transaction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from roadster_server.store.counts import CallCount, EventCount
from roadster_server.store.databases.database import Database
from roadster_server.store.tables import audit, events

from .audit.chain import stored_time
from .expiry import milliseconds

_SUM = '"refusals":'
"""The beginning of the argument that says for how many refusals one record stands."""


async def count_calls(
    database: Database, page_rows: int, since: datetime, width: int, dealers: Collection[str] | None
) -> list[CallCount]:
    """Returns the calls that ended since a time, by piece of time: the first `width` characters of their times.

    It goes page by page from the newest record on, and ends where a page is older: records are nearly in the order of
    their times. With `dealers`, it counts only calls at these.
    """
    total: Counter[tuple[str, str, str, str, bool]] = Counter()
    place: int | None = None
    while True:
        place, counts = await database.read(_counts_before, place, page_rows, since, width, dealers)
        total.update(counts)
        if place is None:
            return [CallCount(*kind, count) for kind, count in sorted(total.items())]


def _counts_before(
    connection: Connection,
    place: int | None,
    page_rows: int,
    since: datetime,
    width: int,
    dealers: Collection[str] | None,
) -> tuple[int | None, Counter[tuple[str, str, str, str, bool]]]:
    """Returns the first number of the page before `place`, None where no other page is needed, and its counts."""
    columns = audit.c
    below = [] if place is None else [columns.seq < place]
    behind = select(columns.seq, columns.time).where(*below).order_by(columns.seq.desc()).limit(page_rows).subquery()
    first, newest, rows = connection.execute(
        select(func.min(behind.c.seq), func.max(behind.c.time), func.count()).select_from(behind)
    ).one()
    counts: Counter[tuple[str, str, str, str, bool]] = Counter()
    if first is None or newest < stored_time(since):
        return None, counts
    of_dealers = [] if dealers is None else [columns.dealer.in_(sorted(dealers))]
    # A sum of refusals counts as many. All other arguments are only hashes, which nobody counts.
    sums = case((columns.arguments.contains(_SUM), columns.arguments), else_="{}")
    begin = func.substr(columns.time, 1, width)
    kind = (begin, columns.tool, columns.outcome, columns.setting, columns.verdict)
    page = (
        select(*kind, sums, func.count())
        .where(*below, *of_dealers, columns.seq >= first, columns.phase == "ended", columns.time >= stored_time(since))
        .where(columns.protocol.not_in(["page", "command line"]))
        .group_by(*kind, sums)
    )
    for time, tool, outcome, setting, verdict, arguments, count in connection.execute(page):
        refusals = json.loads(arguments).get("refusals", 1)
        counts[time, tool, outcome, setting, verdict == "refused"] += count * int(refusals)
    return (first if rows == page_rows else None), counts


def count_events(connection: Connection, since: datetime, dealers: Collection[str] | None) -> list[EventCount]:
    """Returns the events received since a time: all that left no quarantine, or those of `dealers`."""
    of_dealers = [] if dealers is None else [events.c.dealer.in_(sorted(dealers))]
    recent = _COUNTS.where(events.c.received >= milliseconds(since), events.c.quarantined.is_(False), *of_dealers)
    return _event_counts(connection, recent)


def count_quarantined(connection: Connection) -> list[EventCount]:
    return _event_counts(connection, _COUNTS.where(events.c.quarantined.is_(True)))


_COUNTS = select(events.c.source, func.count(), func.min(events.c.received), func.max(events.c.received)).group_by(
    events.c.source
)


def _event_counts(connection: Connection, selection: Select[Any]) -> list[EventCount]:
    rows = sorted(tuple(row) for row in connection.execute(selection))
    return [EventCount(source, count, _time(oldest), _time(newest)) for source, count, oldest, newest in rows]


def _time(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)
