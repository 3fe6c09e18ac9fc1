"""The tables at the newest migration. Times are milliseconds since 1970, except in the audit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

SCHEMA = "0007"
"""The newest migration."""

VERSION_TABLE = "roadster_schema"

metadata = MetaData()

audit = Table(
    "roadster_audit",
    metadata,
    # SQLite stores rows in the order of an INTEGER PRIMARY KEY. A BIGINT key would need a second index.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("call_id", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("caller", Text, nullable=False),
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
    Column("hash", String(64), nullable=False),
)

claims = Table(
    "roadster_claims",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("arguments", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("claimed", BigInteger, nullable=False, index=True),
    # Counts the claims. Times do not order them, because a clock may be set.
    Column("number", BigInteger, nullable=False, index=True, server_default="0"),
    Column("state", Text, CheckConstraint("state IN ('pending', 'sent', 'unknown', 'done')"), nullable=False),
    Column("result", LargeBinary),
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

belongings = Table(
    "roadster_belongings",
    metadata,
    Column("dealer", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("added", BigInteger, nullable=False),
    # Unique only for deliveries: the same order or customer may appear at several dealers.
    Index(
        "roadster_belongings_delivery",
        "id",
        unique=True,
        sqlite_where=text("kind = 'delivery'"),
        postgresql_where=text("kind = 'delivery'"),
    ),
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
