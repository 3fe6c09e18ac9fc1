"""The deliveries, orders and customers of each dealer. Every function needs a transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, bindparam, delete, literal_column, select

from roadster_server.store.databases.database import insert_new
from roadster_server.store.tables import belongings

from .expiry import milliseconds

_SEARCHED_IDS = 10_000
"""Ids of a dealer among which a beginning is searched for. That takes some milliseconds."""

_ONE = select(belongings.c.id).where(
    *(column == bindparam(column.name) for column in (belongings.c.dealer, belongings.c.kind, belongings.c.id))
)


def has(connection: Connection, dealer: str, kind: str, id_: str) -> bool:
    return connection.execute(_ONE, {"dealer": dealer, "kind": kind, "id": id_}).first() is not None


def add(connection: Connection, dealer: str, kind: str, id_: str) -> bool:
    """Returns whether it is the dealer's now: a delivery stays with the dealer that had it first."""
    row = {"dealer": dealer, "kind": kind, "id": id_, "added": milliseconds(datetime.now(UTC))}
    connection.execute(insert_new(connection, belongings), row)
    return has(connection, dealer, kind, id_)


def delivery_owners(connection: Connection, deliveries: Collection[str]) -> dict[str, str]:
    """Returns the dealer of each delivery that has one."""
    owners = select(belongings.c.id, belongings.c.dealer).where(
        # The word itself, and no parameter: only then the index of deliveries serves.
        belongings.c.kind == literal_column("'delivery'"),
        belongings.c.id.in_(sorted(deliveries)),
    )
    return {row.id: row.dealer for row in connection.execute(owners)}


def ids(connection: Connection, dealer: str, kind: str, prefix: str, most: int) -> list[str]:
    """Returns ids that start with the prefix, the newest first. It looks at the newest `_SEARCHED_IDS`."""
    columns = belongings.c
    newest = (
        select(columns.id, columns.added)
        .where(columns.dealer == dealer, columns.kind == kind)
        .order_by(columns.added.desc(), columns.id.desc())
        .limit(_SEARCHED_IDS)
        .subquery()
    )
    matches = select(newest.c.id).where(newest.c.id.startswith(prefix, autoescape=True))
    selection = matches.order_by(newest.c.added.desc(), newest.c.id.desc()).limit(most)
    return list((connection.scalars(selection)).all())


def forget(connection: Connection, dealer: str, kind: str, ids: Collection[str]) -> int:
    """Deletes ids of the dealer. Returns how many there were."""
    of_dealer = and_(belongings.c.dealer == dealer, belongings.c.kind == kind)
    return (connection.execute(delete(belongings).where(of_dealer, belongings.c.id.in_(sorted(ids))))).rowcount
