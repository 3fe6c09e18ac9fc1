"""The events that web hooks brought. Every function needs a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, tuple_, update

from roadster_server.store.databases.database import insert_new
from roadster_server.store.records import DeletedCounts, EventOutcome, NewEvent, StoredEvent
from roadster_server.store.tables import belongings, events
from roadster_server.store.tables import contacts as contact_rows
from roadster_tools.gate.inbox import EventPlace, EventQuery

from . import contacts, ownership
from .clock import newest_confirmed
from .contacts import ContactKey
from .expiry import forget_expired, milliseconds


def add(
    connection: Connection, new: Sequence[NewEvent], dealers: Collection[str], key: ContactKey, now: datetime
) -> list[EventOutcome]:
    """Stores each event once, by its event id, with the ids of its customer and order, and with its contact data.

    An event in quarantine is not indexed. `contacts.index_events` does that when its dealer is known.
    """
    rows: dict[str, dict[str, Any]] = {}
    # While the clock is behind, an event would be received long ago, and deleted too early.
    receipt = max(milliseconds(now), newest_confirmed(connection) or 0)
    owners = _owners(connection, new)
    for event in new:
        row = _row(event, _dealer_of(event, owners, dealers), key, receipt)
        rows.setdefault(row["key"], row)
    # Every transaction inserts in the same order, so that no two wait for each other.
    sorted_rows = [rows[key] for key in sorted(rows)]
    new_keys = set((connection.scalars(insert_new(connection, events), sorted_rows)).all())
    owned_rows = [row for row in sorted_rows if row["key"] in new_keys and not row["quarantined"]]
    _add_owned_ids(connection, owned_rows, now)
    contacts.add_of_events(connection, key, owned_rows)
    return [_outcome(rows, new_keys, _key(event)) for event in new]


def _outcome(rows: dict[str, dict[str, Any]], new_keys: set[str], key: str) -> EventOutcome:
    if key not in new_keys:
        return "duplicate"
    new_keys.remove(key)  # a later event of this key is a duplicate
    return "quarantined" if rows[key]["quarantined"] else "kept"


def _key(event: NewEvent) -> str:
    return hashlib.sha256(f"{event.source} {event.event_id}".encode()).hexdigest()


def _row(event: NewEvent, dealer: str | None, key: ContactKey, receipt: int) -> dict[str, Any]:
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


def _owners(connection: Connection, items: Iterable[Any]) -> dict[str, str]:
    """Returns the dealers of the deliveries of the events: such an event names no dealer."""
    deliveries = {item.delivery for item in items if item.delivery is not None}
    return ownership.delivery_owners(connection, deliveries) if deliveries else {}


def _add_owned_ids(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Records the customers and orders of the rows as their dealers'."""
    ids = {(row["dealer"], kind, row[kind]) for row in rows for kind in ("customer", "order") if row[kind]}
    if ids:
        values = [
            {"dealer": dealer, "kind": kind, "id": id_, "added": milliseconds(now)} for dealer, kind, id_ in sorted(ids)
        ]
        connection.execute(insert_new(connection, belongings), values)


def newest(
    connection: Connection, dealer: str, query: EventQuery, before: EventPlace | None, most: int
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
    rows = connection.execute(selection.order_by(*(column.desc() for column in order)).limit(most))
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


def releasable(connection: Connection, dealers: Collection[str], after: str, most: int) -> tuple[list[str], str | None]:
    """Looks at `most` events in quarantine, from the key `after` on.

    Returns the keys of those that are of `dealers` by now, and the last key that was looked at, None at the end.
    """
    columns = events.c
    page = select(columns.key, columns.dealer, columns.delivery).where(columns.quarantined.is_(True))
    rows = (connection.execute(page.where(columns.key > after).order_by(columns.key).limit(most))).all()
    owners = _owners(connection, rows)
    keys = [row.key for row in rows if _dealer_of(row, owners, dealers)]
    return keys, rows[-1].key if len(rows) == most else None


def release(connection: Connection, keys: Collection[str], dealers: Collection[str], now: datetime) -> int:
    """Takes the events of `dealers` among `keys` out of quarantine. Returns how many they were."""
    columns = events.c
    candidates = (
        select(columns.key, columns.dealer, columns.delivery, columns.customer, columns.order)
        .where(columns.key.in_(keys), columns.quarantined.is_(True))
        .with_for_update(skip_locked=True)
    )
    rows = (connection.execute(candidates)).all()
    owners = _owners(connection, rows)
    owned_rows: list[dict[str, Any]] = []
    for row in rows:
        dealer = _dealer_of(row, owners, dealers)
        if dealer is not None:
            release_row = update(events).where(columns.key == row.key).values(dealer=dealer, quarantined=False)
            connection.execute(release_row)
            owned_rows.append({**row._asdict(), "dealer": dealer})
    _add_owned_ids(connection, owned_rows, now)
    return len(owned_rows)


def _dealer_of(event: Any, owners: Mapping[str, str], dealers: Collection[str]) -> str | None:
    """Returns the dealer whose event it is, or None if that is not one of `dealers`."""
    dealer: str | None = event.dealer if event.delivery is None else owners.get(event.delivery)
    return dealer if dealer is not None and dealer in dealers else None


def count_quarantined(connection: Connection) -> int:
    return connection.scalar(select(func.count()).where(events.c.quarantined.is_(True))) or 0


def count_received_before(connection: Connection, before: datetime) -> int:
    old = select(func.count()).where(events.c.received < milliseconds(before))
    return connection.scalar(old) or 0


def has_old(connection: Connection, before: datetime) -> bool:
    """Returns whether `forget_received_before` would delete anything."""
    old_event = exists().where(events.c.received < milliseconds(before))
    old_contact = exists().where(contact_rows.c.seen < milliseconds(before))
    return bool(connection.scalar(select(or_(old_event, old_contact))))


def forget_received_before(connection: Connection, before: datetime, most: int) -> int:
    """Deletes up to `most` old events and, where fewer are left, as many contact data that no newer event has.

    Returns how many rows it deleted. 0 means that none is left.
    """
    count = forget_expired(connection, events.c.received, before, most)
    return count if count == most else count + contacts.forget_seen_before(connection, before, most)


def forget_some_of_customer(connection: Connection, dealer: str, customer: str, most: int) -> DeletedCounts:
    """Deletes up to `most` of the customer's events at the dealer, with the ids of their orders.

    Where fewer are left, it deletes as many contact data too, and where fewer of these are left, the customer's id.
    """
    columns = events.c
    page = select(columns.key, columns.order).where(columns.dealer == dealer, columns.customer == customer).limit(most)
    rows = (connection.execute(page)).all()
    orders = {row.order for row in rows if row.order is not None}
    ids = ownership.forget(connection, dealer, "order", orders) if orders else 0
    if rows:
        connection.execute(delete(events).where(columns.key.in_([row.key for row in rows])))
    if len(rows) == most:
        return DeletedCounts(most, ids, 0)
    # After the events: another process that indexes one of them has finished by now.
    entries = contacts.forget_some_of_customer(connection, dealer, customer, most)
    if entries < most:
        ids += ownership.forget(connection, dealer, "customer", [customer])
    return DeletedCounts(len(rows), ids, entries)


def knows_dealer(connection: Connection, dealer: str) -> bool:
    anything = or_(exists().where(events.c.dealer == dealer), exists().where(belongings.c.dealer == dealer))
    return bool(connection.scalar(select(anything)))


def knows_customer(connection: Connection, dealer: str, customer: str) -> bool:
    id_ = and_(belongings.c.dealer == dealer, belongings.c.kind == "customer", belongings.c.id == customer)
    event = and_(events.c.dealer == dealer, events.c.customer == customer)
    return bool(connection.scalar(select(or_(exists().where(event), exists().where(id_)))))
