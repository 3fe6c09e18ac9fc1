"""The audit table: appending to the chain, reading it.

Reading goes page by page, and each page is a transaction of its own. So a slow reader locks nothing and keeps no
transaction open, and the table is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, not_, or_, select

from roadster_server.store.databases.database import Database, Turn, take_turn
from roadster_server.store.errors import StoreError, UnreadableText
from roadster_server.store.records import AuditQuery, AuditRecord, StoredRecord
from roadster_server.store.tables import audit

from .chain import GENESIS, digest, row_of, stored_record, stored_time

NEWEST = select(audit).order_by(audit.c.seq.desc()).limit(2)
"""The newest two rows."""


def append(connection: Connection, record: AuditRecord) -> None:
    """Adds a record in a transaction that also does something else. Others are added by an `Appender`."""
    take_turn(connection, Turn.APPEND)
    seq, previous = _next_place(connection)
    connection.execute(insert(audit).values(row_of(seq, record, previous)))


def _next_place(connection: Connection) -> tuple[int, str]:
    return place_after([row._asdict() for row in (connection.execute(NEWEST)).all()])


def place_after(newest: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Returns the number of the next record, and the hash before it. `newest` are the rows of `NEWEST`.

    Raises StoreError where the newest record is not as it was written: nothing can follow such a record.
    """
    if not newest:
        return 1, GENESIS
    head, (seq, previous) = newest[0], (newest[1]["seq"], newest[1]["hash"]) if len(newest) > 1 else (0, GENESIS)
    if head["seq"] != seq + 1 or head["hash"] != digest(previous, head):
        raise StoreError(
            "the newest record of the audit is not as it was written; keep the store, see audit verify, and put a "
            "backup in its place"
        )
    return head["seq"] + 1, head["hash"]


OnUnreadable = Callable[[int], None]
"""Called with the number of a record that was changed so that it cannot be read."""


def refuse_unreadable(seq: int) -> None:
    raise StoreError(f"audit record {seq} was changed and cannot be read; audit verify says where the chain breaks")


async def records(
    database: Database,
    page_rows: int,
    query: AuditQuery,
    last: int | None,
    on_unreadable: OnUnreadable,
) -> AsyncIterator[StoredRecord]:
    # Each page is a range of the key, however few of its records the conditions hold for.
    conditions = _conditions(query)
    position = 0 if last is None else await _place_before(database, page_rows, conditions, last)
    while True:
        end = await database.read(_page_end, position, page_rows)
        if end is None:
            return
        for row in await _readable_rows(database, conditions, position + 1, end, on_unreadable):
            try:
                record = stored_record(row._asdict())
            except (ValueError, TypeError):
                on_unreadable(row.seq)
            else:
                yield record
        position = end


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    same = ("caller", "principal", "approval", "tool", "outcome")
    values = ((name, getattr(query, name)) for name in same)
    conditions: list[ColumnElement[bool]] = [audit.c[name] == value for name, value in values if value is not None]
    if query.since is not None:
        conditions.append(audit.c.time >= stored_time(query.since))
    if query.until is not None:
        conditions.append(audit.c.time < stored_time(query.until))
    if query.before is not None:
        conditions.append(audit.c.seq < query.before)
    if query.dealers is not None:
        conditions.append(audit.c.dealer.in_(sorted(query.dealers)))
    about = query.about
    if about is not None:
        refused_there = or_(
            audit.c.arguments.contains(f'"dealer":"{about.dealer_hash}"'), not_(audit.c.arguments.contains('"dealer":'))
        )
        conditions.append(or_(audit.c.dealer == about.dealer, and_(audit.c.dealer.is_(None), refused_there)))
        # A hash stands in no other place than as an argument's value, and the column is text.
        conditions.append(or_(*(audit.c.arguments.contains(f'"{hash_}"') for hash_ in about.customer_hashes)))
    return conditions


async def _readable_rows(
    database: Database, conditions: Sequence[ColumnElement[bool]], first: int, end: int, on_unreadable: OnUnreadable
) -> Sequence[Row[Any]]:
    """Returns the rows from `first` to `end`. A row that is no text fails its whole page, so it is found by halves."""
    page = select(audit).where(*conditions, audit.c.seq.between(first, end)).order_by(audit.c.seq)
    try:
        return await database.read(_rows, page)
    except UnreadableText:
        if first == end:
            on_unreadable(first)
            return []
    middle = (first + end) // 2
    return [
        *await _readable_rows(database, conditions, first, middle, on_unreadable),
        *await _readable_rows(database, conditions, middle + 1, end, on_unreadable),
    ]


async def _place_before(
    database: Database, page_rows: int, conditions: Sequence[ColumnElement[bool]], last: int
) -> int:
    """Returns the number of the newest record that the conditions hold for and that `last` such records follow."""
    place: int | None = None
    while True:
        place, numbers = await database.read(_numbers_before, place, page_rows, conditions, last + 1)
        if place is None:
            return 0
        if len(numbers) > last:
            return numbers[last]
        last -= len(numbers)


def _page_end(connection: Connection, position: int, page_rows: int) -> int | None:
    """Returns the last number of the page behind `position`, None where nothing is behind it."""
    ahead = select(audit.c.seq).where(audit.c.seq > position).order_by(audit.c.seq).limit(page_rows).subquery()
    end: int | None = connection.scalar(select(func.max(ahead.c.seq)))
    return end


def _rows(connection: Connection, page: Select[Any]) -> Sequence[Row[Any]]:
    return connection.execute(page).all()


def _numbers_before(
    connection: Connection, place: int | None, page_rows: int, conditions: Sequence[ColumnElement[bool]], most: int
) -> tuple[int | None, Sequence[int]]:
    """Returns the first number of the page before `place`, and up to `most` numbers in it, the newest first."""
    below = [] if place is None else [audit.c.seq < place]
    behind = select(audit.c.seq).where(*below).order_by(audit.c.seq.desc()).limit(page_rows).subquery()
    first = connection.scalar(select(func.min(behind.c.seq)))
    if first is None:
        return None, []
    page = select(audit.c.seq).where(*conditions, *below, audit.c.seq >= first)
    return first, connection.scalars(page.order_by(audit.c.seq.desc()).limit(most)).all()
