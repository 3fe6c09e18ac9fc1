"""The tables at the newest migration. Times are milliseconds since 1970, except in the audit."""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from .records import ApprovalState

SCHEMA = "0017"
"""The newest migration."""

VERSION_TABLE = "roadster_schema"

CONFIRMED = "happened <> received AND happened >= received - 86400000 AND happened <= received + 86400000"
"""Holds for an event whose own time is within a day of its receipt. An event without a time has that of its receipt. A
partial index serves only a query that has the same words."""

APPROVAL_STATES: tuple[ApprovalState, ...] = get_args(ApprovalState)

metadata = MetaData()


def _where(sqlite: str, postgresql: str) -> dict[str, Any]:
    """Returns the options of an index that has only the rows for which the condition holds."""
    return {"sqlite_where": text(sqlite), "postgresql_where": text(postgresql)}


audit = Table(
    "roadster_audit",
    metadata,
    # SQLite stores rows in the order of an INTEGER PRIMARY KEY. A BIGINT key would need a second index.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("call_id", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("principal", Text),  # records that are older than this column have none
    Column("client", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("dealer", Text),
    Column("verdict", Text, nullable=False),
    Column("setting", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("upstream_request_id", Text),
    Column("latency_ms", BigInteger),
    Column("arguments", Text, nullable=False),
    Column("approval", Text),  # most records belong to none
    Column("hash", String(64), nullable=False),
)

claims = Table(
    "roadster_claims",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("arguments", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("claimed", BigInteger, nullable=False),
    # Counts the claims. Times do not order them, because a clock may be set.
    Column("number", BigInteger, nullable=False, index=True, server_default="0"),
    Column("state", Text, CheckConstraint("state IN ('pending', 'sent', 'unknown', 'done')"), nullable=False),
    Column("result", LargeBinary),
    Index("roadster_claims_answered", "claimed", **_where("result IS NOT NULL", "result IS NOT NULL")),
)

nonces = Table(
    "roadster_nonces",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)

marks = Table(
    "roadster_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

revocations = Table(
    "roadster_revocations",
    metadata,
    # The SHA-256 of a token, or a person as provider and id, with a colon between them.
    Column("subject", Text, primary_key=True),
    Column("revoked", BigInteger, nullable=False),
    # Counts the revocations, so that a server reads only those that it does not know.
    Column("number", BigInteger, nullable=False, index=True),
)

file_requests = Table(
    "roadster_file_requests",
    metadata,
    # Keyed hashes of the handle, by which a call names the file, and of the secret in the link for a person.
    Column("file", Text, primary_key=True),
    Column("link", Text, nullable=False, unique=True),
    Column("caller", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("dealer", Text, nullable=False),
    Column("customer", Text),
    Column("purpose", Text, nullable=False),
    # The end of the link. Once the file is there, the end of the file.
    Column("expires", BigInteger, nullable=False, index=True),
    Column("attempts", BigInteger, nullable=False, server_default="0"),
    # Names the parts of the file. It is empty until there is one.
    Column("content", Text, nullable=False, server_default=""),
    # A text about the file, sealed.
    Column("facts", Text, nullable=False, server_default=""),
    Index("roadster_file_requests_customer", "dealer", "customer"),
    Index("roadster_file_requests_principal", "principal", "expires"),
)

file_parts = Table(
    "roadster_file_parts",
    metadata,
    Column("file", Text, primary_key=True),
    # One attempt to hand the file over. Another attempt at the same time has parts of its own.
    Column("content", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("part", LargeBinary, nullable=False),
)

sessions = Table(
    "roadster_sessions",
    metadata,
    # The SHA-256 of the session's secret, which only the browser has.
    Column("digest", String(64), primary_key=True),
    Column("principal", Text, nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
)

approvals = Table(
    "roadster_approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("call", Text, unique=True),
    Column("principal", Text, nullable=False),
    Column("dealer", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("customer", Text),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("state", Text, CheckConstraint(f"state IN ({', '.join(map(repr, APPROVAL_STATES))})"), nullable=False),
    Column("decided", BigInteger),
    Column("approver", Text),
    Column("reason", LargeBinary),
    Column("question", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("outcome", LargeBinary),
    Column("way", Text, nullable=False, server_default="page"),
    Index("roadster_approvals_dealer", "dealer", "created"),
    Index("roadster_approvals_principal", "principal", "state"),
)

belongings = Table(
    "roadster_belongings",
    metadata,
    Column("dealer", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("added", BigInteger, nullable=False),
    # Unique only for deliveries: the same order or customer may appear at several dealers.
    Index("roadster_belongings_delivery", "id", unique=True, **_where("kind = 'delivery'", "kind = 'delivery'")),
    Index("roadster_belongings_newest", "dealer", "kind", "added", "id"),
)

events = Table(
    "roadster_events",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("dealer", Text),
    Column("quarantined", Boolean, nullable=False),
    Column("customer", Text),
    Column("order", Text),
    Column("delivery", Text),
    Column("happened", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False, index=True),
    Column("body", Text, nullable=False),
    # The mark of the key under which the event's contact data are indexed. It is empty where they are not.
    Column("indexed", Text, nullable=False, server_default=""),
    Index("roadster_events_indexed", "dealer", "indexed"),
    Index("roadster_events_newest", "dealer", "happened", "received", "key"),
    Index("roadster_events_customer", "dealer", "customer", "happened", "received", "key"),
    Index("roadster_events_type", "dealer", "event_type", "happened", "received", "key"),
    Index("roadster_events_customer_type", "dealer", "customer", "event_type", "happened", "received", "key"),
    Index("roadster_events_quarantined", "key", **_where("quarantined IS 1", "quarantined IS true")),
    Index("roadster_events_confirmed", "received", **_where(CONFIRMED, CONFIRMED)),
)

contacts = Table(
    "roadster_contacts",
    metadata,
    Column("dealer", Text, primary_key=True),
    Column("kind", Text, CheckConstraint("kind IN ('email', 'phone', 'name')"), primary_key=True),
    # A keyed hash, or one word of a name. In PostgreSQL it sorts by bytes, so that a prefix is a range.
    Column("value", Text(collation="C").with_variant(Text(), "sqlite"), primary_key=True),
    Column("customer", Text, primary_key=True),
    Column("seen", BigInteger, nullable=False, index=True),
    Index("roadster_contacts_customer", "dealer", "customer", "kind", "value"),
)

_BYTEWISE = Text(collation="C").with_variant(Text(), "sqlite")
"""A text that both databases sort by bytes."""

mirrors = Table(
    "roadster_mirrors",
    metadata,
    Column("dealer", Text, primary_key=True),
    Column("as_of", BigInteger, nullable=False),
    Column("whole", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("position", Text),
    Column("skip", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
    Column("failure", BigInteger, nullable=False),
    Column("ignores_updates", Boolean, nullable=False),
    Column("holder", Text, nullable=False),
    Column("lease", BigInteger, nullable=False),
)

vehicles = Table(
    "roadster_vehicles",
    metadata,
    Column("dealer", Text, primary_key=True),
    Column("vin", _BYTEWISE, primary_key=True),
    # 0 while the feed has the vehicle, then the time at which it was missing.
    Column("gone", BigInteger, nullable=False),
    Column("in_stock", Boolean, nullable=False),
    Column("make_key", Text, nullable=False),
    Column("model_key", Text, nullable=False),
    Column("body_key", Text, nullable=False),
    Column("colors", Text, nullable=False),
    Column("stock_number", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("trim", Text, nullable=False),
    Column("year", BigInteger, nullable=False),
    Column("price", Double, nullable=False),
    Column("band", BigInteger, nullable=False),
    Column("mileage", Double, nullable=False),
    Column("words", Text, nullable=False),
    Column("unread", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("digest", String(32), nullable=False),
    Index("roadster_vehicles_model", "dealer", "model_key", "price", "vin"),
    Index("roadster_vehicles_price", "dealer", "price", "vin"),
    Index("roadster_vehicles_year", "dealer", "year", "vin"),
    Index("roadster_vehicles_added", "dealer", "added", "vin"),
    Index("roadster_vehicles_mileage", "dealer", "mileage", "vin"),
    Index("roadster_vehicles_stock_number", "dealer", "stock_number", "vin"),
    # For the counts, which read no other column.
    Index("roadster_vehicles_counts", "dealer", "model", "body", "trim", "band", "in_stock", "gone"),
    Index(
        "roadster_vehicles_unread",
        "dealer",
        sqlite_where=text("unread <> ''"),
        postgresql_where=text("unread <> ''"),
    ),
    # A search for a word reads all of a dealer's rows, which stand one behind the other then.
    sqlite_with_rowid=False,
)

vehicle_documents = Table(
    "roadster_vehicle_documents",
    metadata,
    # Apart from the columns that are searched, so that a search reads few pages of the database.
    Column("dealer", Text, primary_key=True),
    Column("vin", _BYTEWISE, primary_key=True),
    Column("json", Text, nullable=False),
)
