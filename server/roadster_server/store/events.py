"""The events that web hooks brought. Each function is part of a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import insert_new
from .expiry import forget_expired, milliseconds
from .records import EventSearch, Keeping, KeptEvent, NewEvent, Place
from .tables import belongings, events


async def keep(connection: AsyncConnection, event: NewEvent, dealers: Collection[str], received: datetime) -> Keeping:
    """Once for each event id; its dealer comes to know the customer and the order in the same transaction."""
    dealer = await _dealer(connection, event, dealers)
    key = hashlib.sha256(f"{event.source} {event.event_id}".encode()).hexdigest()
    row = {
        "key": key,
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
    if (await connection.execute(insert_new(connection, events).values(row))).first() is None:
        return "duplicate"
    if dealer is None:
        return "quarantined"
    await _make_known(connection, dealer, event.customer, event.order, received)
    return "kept"


async def _dealer(connection: AsyncConnection, event: NewEvent, dealers: Collection[str]) -> str | None:
    """Whose event it is, None where that is nobody whom the configuration has."""
    if event.delivery is None:
        return event.dealer if event.dealer in dealers else None
    found = await _owners(connection, event.delivery, dealers)
    return found[0] if len(found) == 1 else None


async def _owners(connection: AsyncConnection, delivery: str, dealers: Collection[str]) -> Sequence[str]:
    owners = select(belongings.c.dealer).where(
        belongings.c.dealer.in_(sorted(dealers)), belongings.c.kind == "delivery", belongings.c.id == delivery
    )
    return (await connection.scalars(owners)).all()


async def _make_known(
    connection: AsyncConnection, dealer: str, customer: str | None, order: str | None, now: datetime
) -> None:
    named = [
        {"dealer": dealer, "kind": kind, "id": id_, "added": milliseconds(now)}
        for kind, id_ in (("customer", customer), ("order", order))
        if id_ is not None
    ]
    if named:
        await connection.execute(insert_new(connection, belongings).values(named))


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
    released = 0
    for row in (await connection.execute(held)).all():
        owners = [row.dealer] if row.delivery is None else await _owners(connection, row.delivery, dealers)
        if len(owners) != 1:
            continue
        await connection.execute(
            update(events).where(columns.key == row.key).values(dealer=owners[0], quarantined=False)
        )
        await _make_known(connection, owners[0], row.customer, row.order, now)
        released += 1
    return released


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
