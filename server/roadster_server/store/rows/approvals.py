"""Approvals of writes. Every function needs a transaction. Times are milliseconds since 1970.

An approval goes pending → declined or withdrawn, or pending → approved → done, failed or unknown. Each step is one
conditional update, so two people at once cannot both decide. Once it is decided for good, its content is deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, or_, select, update

from roadster_server.store.databases.database import insert_new, take_turn_of
from roadster_server.store.records import Approval, ApprovalState
from roadster_server.store.tables import approvals

_DAY = 24 * 60 * 60 * 1000
_KEPT_FOR = _DAY
"""After an approval has expired. Its outcome can be read so long."""

_FORGET_AT_ONCE = 100

_WITHOUT_CONTENT = select(*(column for column in approvals.columns if column.name != "content"))


def add(connection: Connection, new: Approval, now: int, most: int) -> Approval | None:
    take_turn_of(connection, new.principal)  # so that no two count the same ones before they add theirs
    forget_old(connection, now)
    while True:
        row = connection.execute(select(approvals).where(approvals.c.call == new.call).with_for_update()).first()
        if row is not None and _answers(row, now):
            return _approval(row)
        if row is not None:
            connection.execute(update(approvals).where(approvals.c.id == row.id).values(call=None))
        own = select(func.count()).where(approvals.c.principal == new.principal, _waits(now))
        if (connection.scalar(own) or 0) >= most:
            return None
        # Another transaction may have added one for the same call since. Then that one is read.
        if connection.execute(insert_new(connection, approvals), asdict(new)).first():
            return new


def of_call(connection: Connection, call: str, now: int) -> Approval | None:
    row = connection.execute(_WITHOUT_CONTENT.where(approvals.c.call == call)).first()
    return _approval(row) if row is not None and _answers(row, now) else None


def one(connection: Connection, id_: str) -> Approval | None:
    row = connection.execute(select(approvals).where(approvals.c.id == id_)).first()
    return _approval(row) if row else None


def waiting(
    connection: Connection, dealers: Collection[str], tools: Collection[str], now: int, most: int, after: str | None
) -> list[Approval]:
    """Returns those that wait, the first to expire first: a page of them that follows the one with the id `after`."""
    page = _WITHOUT_CONTENT.where(_is_of(dealers, tools), _waits(now)).order_by(approvals.c.expires, approvals.c.id)
    last = _one_of(connection, dealers, tools, after)
    if last is not None:
        is_same_time = and_(approvals.c.expires == last.expires, approvals.c.id > last.id)
        page = page.where(or_(approvals.c.expires > last.expires, is_same_time))
    return [_approval(row) for row in connection.execute(page.limit(most)).all()]


def decided(
    connection: Connection, dealers: Collection[str], tools: Collection[str], now: int, most: int, after: str | None
) -> list[Approval]:
    """Returns those that were decided in the last day, the newest decision first, like `waiting` in pages."""
    is_listed = and_(approvals.c.state != "pending", approvals.c.decided > now - _DAY)
    order = approvals.c.decided.desc(), approvals.c.id
    page = _WITHOUT_CONTENT.where(_is_of(dealers, tools), is_listed).order_by(*order)
    last = _one_of(connection, dealers, tools, after)
    if last is not None and last.decided is not None:
        is_same_time = and_(approvals.c.decided == last.decided, approvals.c.id > last.id)
        page = page.where(or_(approvals.c.decided < last.decided, is_same_time))
    return [_approval(row) for row in connection.execute(page.limit(most)).all()]


def count_waiting(connection: Connection, dealers: Collection[str], tools: Collection[str], now: int) -> int:
    return connection.scalar(select(func.count()).where(_is_of(dealers, tools), _waits(now))) or 0


def _is_of(dealers: Collection[str], tools: Collection[str]) -> ColumnElement[bool]:
    is_on_page = approvals.c.way == "page"  # a card is the requester's own
    return and_(is_on_page, approvals.c.dealer.in_(sorted(dealers)), approvals.c.tool.in_(sorted(tools)))


def _waits(now: int) -> ColumnElement[bool]:
    return and_(approvals.c.state == "pending", approvals.c.expires > now)


def _one_of(
    connection: Connection, dealers: Collection[str], tools: Collection[str], id_: str | None
) -> Row[Any] | None:
    return connection.execute(_WITHOUT_CONTENT.where(_is_of(dealers, tools), approvals.c.id == id_)).first()


def decide(
    connection: Connection, id_: str, state: ApprovalState, approver: str, reason: bytes | None, now: int
) -> bool:
    values: dict[str, Any] = {"state": state, "approver": approver, "decided": now, "reason": reason}
    if state != "approved":
        values["content"] = b""
    return connection.execute(update(approvals).where(approvals.c.id == id_, _waits(now)).values(values)).rowcount == 1


def finish(connection: Connection, id_: str, state: ApprovalState, outcome: bytes, customer: str | None) -> bool:
    values: dict[str, Any] = {"state": state, "outcome": outcome, "content": b""}
    if customer is not None:
        values["customer"] = customer
    is_approved = and_(approvals.c.id == id_, approvals.c.state == "approved")
    return connection.execute(update(approvals).where(is_approved).values(values)).rowcount == 1


def forget_old(connection: Connection, now: int) -> None:
    """Deletes some of the approvals that expired a day ago."""
    old = select(approvals.c.id).where(approvals.c.expires < now - _KEPT_FOR).limit(_FORGET_AT_ONCE)
    # Rows that another transaction has locked are skipped, so that no two deadlock.
    connection.execute(delete(approvals).where(approvals.c.id.in_(old.with_for_update(skip_locked=True))))


def forget_customer(connection: Connection, dealer: str, customer: str) -> int:
    """Deletes the approvals of writes about the customer, also those that wait. Returns how many they were."""
    is_about = and_(approvals.c.dealer == dealer, approvals.c.customer == customer)
    return connection.execute(delete(approvals).where(is_about)).rowcount


def _answers(row: Row[Any], now: int) -> bool:
    """Returns whether the approval answers for its call: until it expires, and longer while its write is sent."""
    return bool(row.expires > now or row.state == "approved")


def _approval(row: Row[Any]) -> Approval:
    return Approval(**row._asdict())
