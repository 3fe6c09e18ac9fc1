"""The contact data by which a dealer's customers are found. Every function needs a transaction.

Email addresses and telephone numbers are keyed hashes. The words of names are in the clear, and come only from events,
whose bodies hold them anyway. A row goes with the last event that has its value.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, FromClause, Insert, and_, case, delete, exists, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from roadster_client.identity import read_id
from roadster_server.store.tables import contacts, events
from roadster_tools.gate.customers import (
    MOST_NAME_WORDS,
    ContactKind,
    CustomerPlace,
    CustomerQuery,
    SearchGap,
    name_words,
    normal_email,
    normal_phone,
)

from .expiry import forget_expired

_MARK_DIGITS = 16


@dataclass(frozen=True)
class ContactKey:
    """The key of the hashes. Each hash begins with a mark of its key, because hashes of different keys differ."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key:
            raise RuntimeError("this store was opened without the key of the contact data")

    @property
    def mark(self) -> str:
        return self._hash("mark")[:_MARK_DIGITS]

    def hash(self, kind: ContactKind, value: str) -> str:
        return f"{self.mark}:{self._hash(f'{kind} {value}')}"

    def stored(self, kind: ContactKind, value: str) -> str:
        """Returns the value as the table has it."""
        return value if kind == "name" else self.hash(kind, value)

    def _hash(self, text: str) -> str:
        return hmac.new(self.key, text.encode("utf-8", "replace"), "sha256").hexdigest()[:32]


_Contact = tuple[ContactKind, str]


def add_of_events(connection: Connection, key: ContactKey, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds the contact data of events, which are rows of their table."""
    _add(
        connection,
        key,
        [
            (row["dealer"], row["customer"], contact, row["received"])
            for row in rows
            if row["customer"] is not None
            for contact in _contacts_in(row["body"])
        ],
    )


def add_of_customer(
    connection: Connection,
    key: ContactKey,
    dealer: str,
    customer: str,
    email: str,
    phone: str | None,
    now: int,
) -> None:
    """Adds the contact data of a customer whom this server has created or changed. `now` is in milliseconds."""
    values: Sequence[tuple[ContactKind, str | None]] = (
        ("email", normal_email(email)),
        ("phone", normal_phone(phone) if phone else None),
    )
    _add(connection, key, [(dealer, customer, (kind, value), now) for kind, value in values if value])


def _add(connection: Connection, key: ContactKey, entries: Iterable[tuple[str, str, _Contact, int]]) -> None:
    times: dict[tuple[str, str, str, str], int] = {}
    for dealer, customer, (kind, value), received in entries:
        row = (dealer, kind, key.stored(kind, value), customer)
        times[row] = max(received, times.get(row, 0))
    if not times:
        return
    names = [column.name for column in contacts.primary_key.columns]
    # Every transaction writes in the same order, so that no two wait for each other.
    rows = [{**dict(zip(names, row, strict=True)), "seen": times[row]} for row in sorted(times)]
    connection.execute(_upsert(connection.dialect.name), rows)


@cache  # SQLAlchemy takes longer to make it than SQLite to run it
def _upsert(dialect: str) -> Insert:
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(contacts)
    newer = insert.excluded.seen > contacts.c.seen
    return insert.on_conflict_do_update(
        index_elements=contacts.primary_key.columns,
        set_={"seen": case((newer, insert.excluded.seen), else_=contacts.c.seen)},
    )


def _contacts_in(body: str) -> set[_Contact]:
    """Returns the contact data of the customer in an event, which may have any shape."""
    document = from_json(body)
    customer = document.get("customer") if isinstance(document, dict) else None
    if not isinstance(customer, dict):
        return set()

    def text(name: str) -> str:
        return read_id(customer.get(name)) or ""  # a phone may come as a number, with a point as well

    values: list[tuple[ContactKind, str | None]] = [
        ("email", normal_email(text("email"))),
        ("phone", normal_phone(text("phone"))),
        ("phone", normal_phone(text("mobile"))),
        *(("name", word) for name in ("first_name", "last_name") for word in name_words(text(name))[:MOST_NAME_WORDS]),
    ]
    return {(kind, value) for kind, value in values if value}


def customers(
    connection: Connection,
    key: ContactKey,
    dealer: str,
    query: CustomerQuery,
    after: CustomerPlace | None,
    most: int,
) -> list[CustomerPlace]:
    """Returns customers of the dealer, by the value that matches and then by the id.

    A word of a name matches the words that it begins. The search goes along the longest one, which few customers have.
    """
    first, *others = sorted(query.values, key=len, reverse=True)
    earlier = contacts.alias()
    own = contacts.c
    selection = select(own.value, own.customer).where(
        _matches(contacts, key, dealer, query.kind, first),
        ~exists().where(
            _matches(earlier, key, dealer, query.kind, first),
            earlier.c.customer == own.customer,
            earlier.c.value < own.value,
        ),
    )
    for word in others:
        other = contacts.alias()
        selection = selection.where(
            exists().where(_matches(other, key, dealer, query.kind, word), other.c.customer == own.customer)
        )
    if after is not None:
        selection = selection.where(tuple_(own.value, own.customer) > tuple_(after.value, after.customer_id))
    rows = connection.execute(selection.order_by(own.value, own.customer).limit(most))
    return [CustomerPlace(row.value, row.customer) for row in rows]


def _matches(table: FromClause, key: ContactKey, dealer: str, kind: ContactKind, value: str) -> ColumnElement[bool]:
    column, stored = table.c.value, key.stored(kind, value)
    of_kind = and_(table.c.dealer == dealer, table.c.kind == kind)
    if kind == "name":
        return and_(of_kind, column >= stored, column < _end_of(stored))
    return and_(of_kind, column == stored)


def _end_of(prefix: str) -> str:
    """Returns a text that sorts after all that begin with the prefix."""
    return f"{prefix}\U0010ffff"


def gap(connection: Connection, key: ContactKey, dealer: str, kind: ContactKind) -> SearchGap | None:
    """Returns the reason why a search at the dealer may miss customers."""
    if not is_indexed(connection, key, [dealer]):
        return "indexing"
    if kind == "name":
        return None
    of_kind = and_(contacts.c.dealer == dealer, contacts.c.kind == kind)
    for others in (contacts.c.value < key.mark, contacts.c.value > _end_of(key.mark)):
        if connection.scalar(select(contacts.c.customer).where(of_kind, others).limit(1)):
            return "earlier_key"
    return None


def is_indexed(connection: Connection, key: ContactKey, dealers: Collection[str]) -> bool:
    """Returns whether all events of the dealers are indexed under the key."""
    for unindexed in _unindexed(key, dealers):
        if connection.scalar(select(events.c.key).where(unindexed).limit(1)):
            return False
    return True


def index_events(connection: Connection, key: ContactKey, dealers: Collection[str], most: int) -> int:
    """Indexes up to `most` events of an older store, or of an earlier key. Returns how many they were."""
    columns = (events.c.key, events.c.dealer, events.c.customer, events.c.received, events.c.body)
    rows: list[dict[str, Any]] = []
    for unindexed in _unindexed(key, dealers):
        batch = select(*columns).where(unindexed).limit(most - len(rows)).with_for_update(skip_locked=True)
        rows += [row._asdict() for row in (connection.execute(batch)).all()]
    if rows:
        # A hash of an earlier key is of no use once the customer's events are indexed under this one.
        people = sorted({(row["dealer"], row["customer"]) for row in rows if row["customer"] is not None})
        outdated = and_(contacts.c.kind != "name", ~contacts.c.value.startswith(key.mark))
        of_people = tuple_(contacts.c.dealer, contacts.c.customer).in_(people)
        connection.execute(delete(contacts).where(of_people, outdated))
        add_of_events(connection, key, rows)
        keys = [row["key"] for row in rows]
        connection.execute(update(events).where(events.c.key.in_(keys)).values(indexed=key.mark))
    return len(rows)


def _unindexed(key: ContactKey, dealers: Collection[str]) -> list[ColumnElement[bool]]:
    """Returns conditions that hold for the events that are not indexed under the key: each is a range of an index."""
    of_dealers = and_(events.c.dealer.in_(sorted(dealers)), events.c.quarantined.is_(False))
    return [and_(of_dealers, events.c.indexed < key.mark), and_(of_dealers, events.c.indexed > key.mark)]


def forget_seen_before(connection: Connection, before: datetime, most: int) -> int:
    """Deletes up to `most` entries that no newer event has, and returns how many."""
    return forget_expired(connection, contacts.c.seen, before, most)


def forget_some_of_customer(connection: Connection, dealer: str, customer: str, most: int) -> int:
    """Deletes up to `most` entries of the customer, and returns how many."""
    of_customer = and_(contacts.c.dealer == dealer, contacts.c.customer == customer)
    page = select(contacts.c.kind, contacts.c.value).where(of_customer).limit(most)
    rows = (connection.execute(page)).all()
    if rows:
        entries = tuple_(contacts.c.kind, contacts.c.value).in_([tuple(row) for row in rows])
        connection.execute(delete(contacts).where(of_customer, entries))
    return len(rows)
