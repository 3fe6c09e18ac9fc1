"""The events that web hooks brought. Each function is part of a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import insert_new
from .expiry import forget_expired, milliseconds
from .records import EventSearch, Keeping, KeptEvent, NewEvent, Place
from .tables import belongings, events


async def keep(
    connection: AsyncConnection, new: Sequence[NewEvent], dealers: Collection[str], received: datetime
) -> list[Keeping]:
    """Each once for its event id; dealers come to know their customers and orders in the same transaction."""
    rows: dict[str, dict[str, Any]] = {}
    for event in new:
        row = await _row(connection, event, dealers, received)
        rows.setdefault(row["key"], row)
    # In one order everywhere, so that no two transactions wait for each other.
    ordered = [rows[key] for key in sorted(rows)]
    kept = set((await connection.scalars(insert_new(connection, events), ordered)).all())
    await _make_known(connection, [row for row in ordered if row["key"] in kept and not row["quarantined"]], received)
    return [_became(rows, kept, _key(event)) for event in new]


def _became(rows: dict[str, dict[str, Any]], kept: set[str], key: str) -> Keeping:
    if key not in kept:
        return "duplicate"
    kept.remove(key)  # what else has this key came after it
    return "quarantined" if rows[key]["quarantined"] else "kept"


def _key(event: NewEvent) -> str:
    return hashlib.sha256(f"{event.source} {event.event_id}".encode()).hexdigest()


async def _row(
    connection: AsyncConnection, event: NewEvent, dealers: Collection[str], received: datetime
) -> dict[str, Any]:
    dealer = await _dealer(connection, event, dealers)
    return {
        "key": _key(event),
        "source": event.source,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "dealer": dealer or event.dealer,
        "quarantined": dealer is None,
        "customer": event.customer,
        "order": event.order,
        "delivery": event.delivery,
        "happened": milliseconds(event.happened),
        "received": milliseconds(received),
        "body": event.body,
    }


async def _dealer(connection: AsyncConnection, event: NewEvent, dealers: Collection[str]) -> str | None:
    """Whose event it is, None where that is nobody whom the configuration has."""
    if event.delivery is None:
        return event.dealer if event.dealer in dealers else None
    return await _owner(connection, event.delivery, dealers)


async def _owner(connection: AsyncConnection, delivery: str, dealers: Collection[str]) -> str | None:
    owners = select(belongings.c.dealer).where(
        belongings.c.dealer.in_(sorted(dealers)), belongings.c.kind == "delivery", belongings.c.id == delivery
    )
    found = (await connection.scalars(owners)).all()
    return found[0] if len(found) == 1 else None


async def _make_known(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    named = {(row["dealer"], kind, row[kind]) for row in rows for kind in ("customer", "order") if row[kind]}
    if named:
        values = [
            {"dealer": dealer, "kind": kind, "id": id_, "added": milliseconds(now)}
            for dealer, kind, id_ in sorted(named)
        ]
        await connection.execute(insert_new(connection, belongings), values)


async def newest(
    connection: AsyncConnection, dealer: str, search: EventSearch, before: Place | None, most: int
) -> list[KeptEvent]:
    columns = events.c
    found = select(events).where(columns.dealer == dealer, columns.quarantined.is_(False))
    if search.customer is not None:
        found = found.where(columns.customer == search.customer)
    if search.event_type is not None:
        found = found.where(columns.event_type == search.event_type)
    if search.since is not None:
        found = found.where(columns.happened >= milliseconds(search.since))
    if search.until is not None:
        found = found.where(columns.happened < milliseconds(search.until))
    order = (columns.happened, columns.received, columns.key)
    if before is not None:
        found = found.where(tuple_(*order) < tuple_(*before))
    rows = await connection.execute(found.order_by(*(column.desc() for column in order)).limit(most))
    return [
        KeptEvent(
            source=row.source,
            event_id=row.event_id,
            event_type=row.event_type,
            customer=row.customer,
            order=row.order,
            delivery=row.delivery,
            body=row.body,
            place=(row.happened, row.received, row.key),
        )
        for row in rows
    ]


async def release(connection: AsyncConnection, dealers: Collection[str], now: datetime) -> int:
    """Takes out of quarantine what is a configured dealer's by now. Returns how many events that were."""
    columns = events.c
    held = (
        select(columns.key, columns.dealer, columns.delivery, columns.customer, columns.order)
        .where(columns.quarantined.is_(True), or_(columns.delivery.is_not(None), columns.dealer.in_(sorted(dealers))))
        .with_for_update(skip_locked=True)
    )
    released: list[dict[str, Any]] = []
    for row in (await connection.execute(held)).all():
        owner = row.dealer if row.delivery is None else await _owner(connection, row.delivery, dealers)
        if owner is not None:
            mine = update(events).where(columns.key == row.key).values(dealer=owner, quarantined=False)
            await connection.execute(mine)
            released.append({**row._asdict(), "dealer": owner})
    await _make_known(connection, released, now)
    return len(released)


async def count_quarantined(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).where(events.c.quarantined.is_(True))) or 0


async def forget_received_before(connection: AsyncConnection, before: datetime) -> None:
    await forget_expired(connection, events.c.received, before)


async def forget_customer(connection: AsyncConnection, dealer: str, customer: str) -> int:
    """Deletes the customer's events, and that the dealer knows the customer and their orders.

    Returns how many events there were.
    """
    theirs = and_(events.c.dealer == dealer, events.c.customer == customer)
    orders = select(events.c.order).where(theirs, events.c.order.is_not(None))
    named = or_(
        and_(belongings.c.kind == "customer", belongings.c.id == customer),
        and_(belongings.c.kind == "order", belongings.c.id.in_(orders)),
    )
    await connection.execute(delete(belongings).where(belongings.c.dealer == dealer, named))
    return (await connection.execute(delete(events).where(theirs))).rowcount


async def knows_dealer(connection: AsyncConnection, dealer: str) -> bool:
    named = or_(exists().where(events.c.dealer == dealer), exists().where(belongings.c.dealer == dealer))
    return bool(await connection.scalar(select(named)))
