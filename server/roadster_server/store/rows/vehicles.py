"""The vehicles of each dealer's feed. Every function needs a transaction, and names the dealer of all that it reads.

A search reads only the table of the columns that are searched and sorted. The documents of the vehicles that it shows
stand in another table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from roadster_client.models.vehicles import InventoryVehicle
from roadster_server.store.mirror_records import NewVehicle, StoredVehicle
from roadster_server.store.tables import vehicle_documents as documents
from roadster_server.store.tables import vehicles
from roadster_tools.gate.vehicles import (
    PRICE_BAND,
    Sort,
    StockPlace,
    StockQuery,
    colors_of,
    compared,
    price_of,
    words_of,
)

LONGEST_KEY = 100
"""Characters of a text that an index has. PostgreSQL's indexes take no long ones."""
_LONGEST_WORDS = 4_000
UNKNOWN = 1e15
"""The price or mileage of a vehicle without one. It sorts behind all others."""
_LATEST_YEAR = 9_999

_columns = vehicles.c
_NO_VALUE: ColumnElement[Any] = literal_column("0")
_SORTS: dict[Sort | None, tuple[ColumnElement[Any], bool]] = {
    "price": (_columns.price, False),
    "price_desc": (case((_columns.price >= UNKNOWN, -UNKNOWN), else_=_columns.price), True),
    "year": (_columns.year, True),
    "newest": (_columns.added, True),
    "mileage": (_columns.mileage, False),
}
"""The column that each sort reads, and whether its highest value comes first."""


def put(
    connection: Connection, dealer: str, new: Sequence[NewVehicle], now: int, *, arrival: int, request_time: int
) -> None:
    """Adds vehicles, or changes them where they are other than before.

    They were in the feed at `request_time`: one that has been marked as gone since then stays so. `arrival` is the time
    at which those came in that are not there yet.
    """
    documents_by_vin = {each.vehicle.vin: _Document.of(each) for each in new}
    if not documents_by_vin:
        return
    stored_digests = select(_columns.vin, _columns.digest).where(
        _columns.dealer == dealer, _columns.vin.in_(documents_by_vin)
    )
    digests = {row.vin: row.digest for row in connection.execute(stored_digests)}
    same = {vin for vin, digest in digests.items() if digest == documents_by_vin[vin].digest}
    if same:
        of_same = (_columns.dealer == dealer, _columns.vin.in_(same))
        connection.execute(update(vehicles).where(*of_same).values(seen=now))
        # Apart, because an index has the mark, and hardly any vehicle comes back.
        is_back = (_columns.gone > 0, _columns.gone < request_time)
        connection.execute(update(vehicles).where(*of_same, *is_back).values(gone=0))
    changed = [_row(dealer, each, now, arrival) for vin, each in sorted(documents_by_vin.items()) if vin not in same]
    if changed:
        _upsert(connection, changed, request_time)


@dataclass(frozen=True)
class _Document:
    new: NewVehicle
    json: str
    digest: str

    @classmethod
    def of(cls, new: NewVehicle) -> _Document:
        json = new.vehicle.model_dump_json(exclude_defaults=True)
        return cls(new, json, hashlib.sha256(f"{' '.join(new.unread)}\n{json}".encode()).hexdigest()[:32])


def _upsert(connection: Connection, rows: list[dict[str, Any]], request_time: int) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for table, lasting in ((vehicles, {"dealer", "vin", "added"}), (documents, {"dealer", "vin"})):
        names = [column.name for column in table.c]
        statement = insert(table)
        values: dict[str, Any] = {name: statement.excluded[name] for name in names if name not in lasting}
        if table is vehicles:
            values["gone"] = case((_columns.gone >= request_time, _columns.gone), else_=0)
        upsert = statement.on_conflict_do_update(index_elements=table.primary_key.columns, set_=values)
        connection.execute(upsert, [{name: row[name] for name in names} for row in rows])


def _row(dealer: str, document: _Document, now: int, arrival: int) -> dict[str, Any]:
    vehicle = document.new.vehicle
    price, mileage = price_of(vehicle), vehicle.mileage
    return {
        "dealer": dealer,
        "vin": vehicle.vin,
        "gone": 0,
        "in_stock": vehicle.in_stock is not False,
        "make_key": key(vehicle.make),
        "model_key": key(vehicle.model),
        "body_key": key(vehicle.body),
        "colors": colors_of(vehicle)[: 3 * LONGEST_KEY],
        "stock_number": key(vehicle.stock_number),
        "model": (vehicle.model or "")[:LONGEST_KEY],
        "body": (vehicle.body or "")[:LONGEST_KEY],
        "trim": (vehicle.trim or "")[:LONGEST_KEY],
        "year": _year(vehicle),
        "price": UNKNOWN if price is None else _amount(price),
        "band": -1 if price is None else max(int(_amount(price) // PRICE_BAND), 0),
        "mileage": UNKNOWN if mileage is None else _amount(mileage),
        "words": words_of(vehicle)[:_LONGEST_WORDS],
        "unread": " ".join(document.new.unread),
        "added": arrival,
        "seen": now,
        "digest": document.digest,
        "json": document.json,
    }


def key(value: str | None) -> str:
    """Returns a text as it is stored to be compared."""
    return compared(value)[:LONGEST_KEY]


def _year(vehicle: InventoryVehicle) -> int:
    """Returns the year, 0 for one that is not known or that no vehicle has."""
    return vehicle.year if vehicle.year is not None and 0 < vehicle.year <= _LATEST_YEAR else 0


def _amount(amount: float) -> float:
    return min(max(amount, 1 - UNKNOWN), UNKNOWN - 1)


def mark_unseen(connection: Connection, dealer: str, before: int, now: int) -> None:
    """Marks the vehicles that were last seen before the time `before` as gone."""
    unseen = (_columns.dealer == dealer, _columns.gone == 0, _columns.seen < before)
    connection.execute(update(vehicles).where(*unseen).values(gone=now))


def is_marked(connection: Connection, dealer: str, vin: str, *, is_gone: bool) -> bool:
    """Returns whether there is such a vehicle that is marked as gone, or that is not."""
    mark = _columns.gone > 0 if is_gone else _columns.gone == 0
    return connection.scalar(select(_columns.vin).where(*_one(dealer, vin), mark).limit(1)) is not None


def mark(connection: Connection, dealer: str, vin: str, gone: int) -> None:
    """Marks a vehicle as gone since a time, or with 0 as there again."""
    connection.execute(update(vehicles).where(*_one(dealer, vin)).values(gone=gone))


def _one(dealer: str, vin: str) -> tuple[ColumnElement[bool], ...]:
    return _columns.dealer == dealer, _columns.vin == vin


def forget_gone(connection: Connection, dealer: str, before: int) -> None:
    """Deletes the vehicles that were gone before the time `before`."""
    old = select(_columns.vin).where(_columns.dealer == dealer, _columns.gone > 0, _columns.gone < before)
    of_dealer = documents.c.dealer == dealer
    connection.execute(delete(documents).where(of_dealer, documents.c.vin.in_(old)))
    connection.execute(delete(vehicles).where(_columns.dealer == dealer, _columns.gone > 0, _columns.gone < before))


def search(
    connection: Connection,
    dealer: str,
    query: StockQuery,
    sort: Sort | None,
    after: StockPlace | None,
    most: int,
    *,
    are_few: bool,
) -> list[StoredVehicle]:
    """Returns up to `most` matching vehicles. `are_few` says that less than half of the vehicles match."""
    value, descending = _SORTS.get(sort, (None, False))
    selection = select(_columns.vin, (value if value is not None else _NO_VALUE).label("value"), _columns.unread)
    selection = selection.where(*_matching(dealer, query))
    if after is not None:
        selection = selection.where(_behind(value, descending, after))
    if value is not None:
        # Reading the index of the sort until enough vehicles match takes longer than sorting those that do.
        # The vehicles of one model are few enough, and have an index by price.
        sort_key = value + 0 if are_few and query.model is None else value
        selection = selection.order_by(sort_key.desc() if descending else sort_key)
    rows = (connection.execute(selection.order_by(_columns.vin).limit(most))).all()
    return _with_documents(connection, dealer, rows)


def _behind(value: ColumnElement[Any] | None, descending: bool, after: StockPlace) -> ColumnElement[bool]:
    if value is None:
        return _columns.vin > after.vin
    if descending:
        return (value < after.value) | ((value == after.value) & (_columns.vin > after.vin))
    return tuple_(value, _columns.vin) > tuple_(after.value, after.vin)


def one(connection: Connection, dealer: str, vin: str) -> StoredVehicle | None:
    """Returns the vehicle that the feed had, None where it was gone."""
    selection = select(_columns.vin, _NO_VALUE.label("value"), _columns.unread).where(
        *_one(dealer, vin), _columns.gone == 0
    )
    matches = _with_documents(connection, dealer, (connection.execute(selection.limit(1))).all())
    return matches[0] if matches else None


def _with_documents(connection: Connection, dealer: str, rows: Sequence[Any]) -> list[StoredVehicle]:
    vins = [row.vin for row in rows]
    selection = select(documents.c.vin, documents.c.json).where(documents.c.dealer == dealer, documents.c.vin.in_(vins))
    jsons = {row.vin: row.json for row in connection.execute(selection)} if vins else {}
    return [StoredVehicle(StockPlace(row.value, row.vin), jsons[row.vin], tuple(row.unread.split())) for row in rows]


def _matching(dealer: str, query: StockQuery, *, by_price: bool = True) -> list[ColumnElement[bool]]:
    """Returns the conditions of a search.

    A range of years or prices is wide, so it is no column of an index here: SQLite would look up each row in it.
    """
    conditions: list[ColumnElement[bool]] = [_columns.dealer == dealer, _columns.gone == 0]
    if query.in_stock:
        conditions.append(_columns.in_stock == true())
    if query.stock_number is not None:
        conditions.append(_columns.stock_number == key(query.stock_number))
    for column, value in (
        (_columns.make_key, query.make),
        (_columns.model_key, query.model),
        (_columns.body_key, query.body),
    ):
        if value is not None:
            conditions.append(column == key(value))
    if query.year_min is not None or query.year_max is not None:
        conditions.append((_columns.year + 0).between(query.year_min or 1, query.year_max or _LATEST_YEAR))
    if query.color is not None:
        conditions.append(_columns.colors.contains(key(query.color), autoescape=True))
    conditions += [_columns.words.contains(f" {word}", autoescape=True) for word in query.words]
    if by_price and query.limits_price:
        low = -UNKNOWN if query.price_min is None else query.price_min
        high = UNKNOWN - 1 if query.price_max is None else query.price_max
        conditions.append((_columns.price + 0).between(low, min(high, UNKNOWN - 1)))
    return conditions


def count(connection: Connection, dealer: str, *, in_stock: bool) -> int:
    """Returns how many vehicles the feed has."""
    return connection.scalar(_count(_matching(dealer, StockQuery(in_stock=in_stock)))) or 0


def oldest(connection: Connection, dealer: str) -> int:
    """Returns the time at which the dealer's first vehicles came in, 0 without any."""
    return connection.scalar(select(func.min(_columns.added)).where(_columns.dealer == dealer)) or 0


def _count(conditions: Iterable[ColumnElement[bool]]) -> Select[int]:
    return select(func.count()).select_from(vehicles).where(*conditions)


def count_without_price(connection: Connection, dealer: str, query: StockQuery) -> int:
    conditions = _matching(dealer, query, by_price=False)
    return connection.scalar(_count([*conditions, _columns.price >= UNKNOWN])) or 0


def groups(connection: Connection, dealer: str, query: StockQuery) -> list[tuple[str, str, str, int, int]]:
    """Returns model, body, trim, price band and number of each kind of matching vehicles.

    The band is the price divided by `PRICE_BAND`, rounded down, and -1 without a price.
    """
    # The index of the counts lacks the columns of the filters. Without it SQLite reads the rows as they stand.
    is_filtered = query != StockQuery(in_stock=query.in_stock)
    model = _columns.model + "" if is_filtered else _columns.model
    kinds = (model, _columns.body, _columns.trim, _columns.band)
    group_rows = select(*kinds, func.count()).where(*_matching(dealer, query)).group_by(*kinds)
    return [(model, body, trim, band, n) for model, body, trim, band, n in connection.execute(group_rows)]


def other_prices(connection: Connection, dealer: str, query: StockQuery) -> tuple[int, float | None, float | None]:
    """Returns how many vehicles match all but the price, and their lowest and highest price."""
    conditions = [*_matching(dealer, query, by_price=False), _columns.price + 0 < UNKNOWN]
    prices = select(func.count(), func.min(_columns.price), func.max(_columns.price)).where(*conditions)
    n, low, high = (connection.execute(prices)).one()
    return n, low, high


def names(connection: Connection, dealer: str, *, in_stock: bool, most: int) -> tuple[list[str], list[str]]:
    """Returns the first models and bodies of the feed."""
    conditions = _matching(dealer, StockQuery(in_stock=in_stock))
    return (
        _distinct(connection, _columns.model, conditions, most),
        _distinct(connection, _columns.body, conditions, most),
    )


def _distinct(
    connection: Connection, column: ColumnElement[str], conditions: Iterable[ColumnElement[bool]], most: int
) -> list[str]:
    selection = select(column).where(*conditions, column != "").distinct().order_by(column).limit(most)
    return list((connection.scalars(selection)).all())


def unread(connection: Connection, dealer: str, *, in_stock: bool) -> list[tuple[str, ...]]:
    """Returns, for each vehicle with fields that could not be read, their paths."""
    conditions = _matching(dealer, StockQuery(in_stock=in_stock))
    paths = connection.scalars(select(_columns.unread).where(*conditions, text("unread <> ''")))
    return [tuple(names.split()) for names in paths]
