"""The events that web hooks brought. Every function needs a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from roadster_server.store.database import insert_new
from roadster_server.store.records import DeletedCounts, EventOutcome, NewEvent, StoredEvent
from roadster_server.store.tables import belongings, events
from roadster_server.store.tables import contacts as contact_rows
from roadster_tools.gate.inbox import EventPlace, EventQuery

from . import contacts
from .clock import newest_confirmed
from .contacts import ContactKey
from .expiry import forget_expired, milliseconds


async def add(
    connection: AsyncConnection, new: Sequence[NewEvent], dealers: Collection[str], key: ContactKey, now: datetime
) -> list[EventOutcome]:
    """Stores each event once, by its event id, with the ids of its customer and order, and with its contact data.

    An event in quarantine is not indexed. `contacts.index_events` does that when its dealer is known.
    """
    rows: dict[str, dict[str, Any]] = {}
    # While the clock is behind, an event would be received long ago, and deleted too early.
    receipt = max(milliseconds(now), await newest_confirmed(connection) or 0)
    for event in new:
        row = await _row(connection, event, dealers, key, receipt)
        rows.setdefault(row["key"], row)
    # Every transaction inserts in the same order, so that no two wait for each other.
    sorted_rows = [rows[key] for key in sorted(rows)]
    new_keys = set((await connection.scalars(insert_new(connection, events), sorted_rows)).all())
    owned_rows = [row for row in sorted_rows if row["key"] in new_keys and not row["quarantined"]]
    await _add_owned_ids(connection, owned_rows, now)
    await contacts.add_of_events(connection, key, owned_rows)
    return [_outcome(rows, new_keys, _key(event)) for event in new]


def _outcome(rows: dict[str, dict[str, Any]], new_keys: set[str], key: str) -> EventOutcome:
    if key not in new_keys:
        return "duplicate"
    new_keys.remove(key)  # a later event of this key is a duplicate
    return "quarantined" if rows[key]["quarantined"] else "kept"


def _key(event: NewEvent) -> str:
    return hashlib.sha256(f"{event.source} {event.event_id}".encode()).hexdigest()


async def _row(
    connection: AsyncConnection, event: NewEvent, dealers: Collection[str], key: ContactKey, receipt: int
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
        "happened": milliseconds(event.happened_at) if event.happened_at else receipt,
        "received": receipt,
        "body": event.body,
        "indexed": "" if dealer is None else key.mark,
    }


async def _dealer(connection: AsyncConnection, event: NewEvent, dealers: Collection[str]) -> str | None:
    """Returns the dealer whose event it is, or None if that is not one of `dealers`."""
    if event.delivery is None:
        return event.dealer if event.dealer in dealers else None
    return await _owner(connection, event.delivery, dealers)


async def _owner(connection: AsyncConnection, delivery: str, dealers: Collection[str]) -> str | None:
    owners = select(belongings.c.dealer).where(
        belongings.c.dealer.in_(sorted(dealers)), belongings.c.kind == "delivery", belongings.c.id == delivery
    )
    ids = (await connection.scalars(owners)).all()
    return ids[0] if len(ids) == 1 else None


async def _add_owned_ids(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Records the customers and orders of the rows as their dealers'."""
    ids = {(row["dealer"], kind, row[kind]) for row in rows for kind in ("customer", "order") if row[kind]}
    if ids:
        values = [
            {"dealer": dealer, "kind": kind, "id": id_, "added": milliseconds(now)} for dealer, kind, id_ in sorted(ids)
        ]
        await connection.execute(insert_new(connection, belongings), values)


async def newest(
    connection: AsyncConnection, dealer: str, query: EventQuery, before: EventPlace | None, most: int
) -> list[StoredEvent]:
    columns = events.c
    selection = select(events).where(columns.dealer == dealer, columns.quarantined.is_(False))
    if query.customer_id is not None:
        selection = selection.where(columns.customer == str(query.customer_id))
    if query.event_type is not None:
        selection = selection.where(columns.event_type == query.event_type)
    if query.since is not None:
        selection = selection.where(columns.happened >= milliseconds(query.since))
    if query.until is not None:
        selection = selection.where(columns.happened < milliseconds(query.until))
    order = (columns.happened, columns.received, columns.key)
    if before is not None:
        selection = selection.where(tuple_(*order) < tuple_(before.happened_at, before.received_at, before.key))
    rows = await connection.execute(selection.order_by(*(column.desc() for column in order)).limit(most))
    return [
        StoredEvent(
            source=row.source,
            event_id=row.event_id,
            event_type=row.event_type,
            customer=row.customer,
            order=row.order,
            delivery=row.delivery,
            body=row.body,
            place=EventPlace(row.happened, row.received, row.key),
        )
        for row in rows
    ]


async def release(connection: AsyncConnection, dealers: Collection[str], now: datetime) -> int:
    """Takes the events of `dealers` out of quarantine. Returns how many they were."""
    columns = events.c
    candidates = (
        select(columns.key, columns.dealer, columns.delivery, columns.customer, columns.order)
        .where(columns.quarantined.is_(True), or_(columns.delivery.is_not(None), columns.dealer.in_(sorted(dealers))))
        .with_for_update(skip_locked=True)
    )
    owned_rows: list[dict[str, Any]] = []
    for row in (await connection.execute(candidates)).all():
        owner = row.dealer if row.delivery is None else await _owner(connection, row.delivery, dealers)
        if owner is not None:
            release_row = update(events).where(columns.key == row.key).values(dealer=owner, quarantined=False)
            await connection.execute(release_row)
            owned_rows.append({**row._asdict(), "dealer": owner})
    await _add_owned_ids(connection, owned_rows, now)
    return len(owned_rows)


async def count_quarantined(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.count()).where(events.c.quarantined.is_(True))) or 0


async def count_received_before(connection: AsyncConnection, before: datetime) -> int:
    old = select(func.count()).where(events.c.received < milliseconds(before))
    return await connection.scalar(old) or 0


async def has_old(connection: AsyncConnection, before: datetime) -> bool:
    """Returns whether `forget_received_before` would delete anything."""
    old_event = exists().where(events.c.received < milliseconds(before))
    old_contact = exists().where(contact_rows.c.seen < milliseconds(before))
    return bool(await connection.scalar(select(or_(old_event, old_contact))))


async def forget_received_before(connection: AsyncConnection, before: datetime) -> None:
    """Deletes old events, and the contact data that no newer one has."""
    await forget_expired(connection, events.c.received, before)
    await contacts.forget_seen_before(connection, before)


async def forget_customer(connection: AsyncConnection, dealer: str, customer: str) -> DeletedCounts:
    """Deletes the customer's events and contact data, and the ids of the customer and their orders, at the dealer."""
    of_customer = and_(events.c.dealer == dealer, events.c.customer == customer)
    orders = select(events.c.order).where(of_customer, events.c.order.is_not(None))
    owned_ids = or_(
        and_(belongings.c.kind == "customer", belongings.c.id == customer),
        and_(belongings.c.kind == "order", belongings.c.id.in_(orders)),
    )
    ids = (await connection.execute(delete(belongings).where(belongings.c.dealer == dealer, owned_ids))).rowcount
    count = (await connection.execute(delete(events).where(of_customer))).rowcount
    # After the events: another process that indexes one of them has finished by now.
    return DeletedCounts(count, ids, await contacts.forget_customer(connection, dealer, customer))


async def knows_dealer(connection: AsyncConnection, dealer: str) -> bool:
    anything = or_(exists().where(events.c.dealer == dealer), exists().where(belongings.c.dealer == dealer))
    return bool(await connection.scalar(select(anything)))


async def knows_customer(connection: AsyncConnection, dealer: str, customer: str) -> bool:
    id_ = and_(belongings.c.dealer == dealer, belongings.c.kind == "customer", belongings.c.id == customer)
    event = and_(events.c.dealer == dealer, events.c.customer == customer)
    return bool(await connection.scalar(select(or_(exists().where(event), exists().where(id_)))))
