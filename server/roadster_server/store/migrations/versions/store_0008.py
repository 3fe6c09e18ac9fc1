"""Tables of the dealers' vehicles, which are filled from Roadster's feeds when they are first asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    bytewise = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "roadster_mirrors",
        sa.Column("dealer", sa.Text, primary_key=True),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("whole", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Text),
        sa.Column("skip", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("unread", sa.BigInteger, nullable=False),
        sa.Column("failure", sa.BigInteger, nullable=False),
        sa.Column("ignores_updates", sa.Boolean, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "roadster_vehicles",
        sa.Column("dealer", sa.Text, primary_key=True),
        sa.Column("vin", bytewise, primary_key=True),
        sa.Column("gone", sa.BigInteger, nullable=False),
        sa.Column("in_stock", sa.Boolean, nullable=False),
        sa.Column("make_key", sa.Text, nullable=False),
        sa.Column("model_key", sa.Text, nullable=False),
        sa.Column("body_key", sa.Text, nullable=False),
        sa.Column("colors", sa.Text, nullable=False),
        sa.Column("stock_number", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("trim", sa.Text, nullable=False),
        sa.Column("year", sa.BigInteger, nullable=False),
        sa.Column("price", sa.Double, nullable=False),
        sa.Column("band", sa.BigInteger, nullable=False),
        sa.Column("mileage", sa.Double, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("unread", sa.Text, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sqlite_with_rowid=False,
    )
    for name, columns in {
        "model": ["model_key", "price", "vin"],
        "price": ["price", "vin"],
        "year": ["year", "vin"],
        "added": ["added", "vin"],
        "mileage": ["mileage", "vin"],
        "stock_number": ["stock_number", "vin"],
        "counts": ["model", "body", "trim", "band", "in_stock", "gone"],
    }.items():
        op.create_index(f"roadster_vehicles_{name}", "roadster_vehicles", ["dealer", *columns])
    some = sa.text("unread <> ''")
    op.create_index(
        "roadster_vehicles_unread", "roadster_vehicles", ["dealer"], sqlite_where=some, postgresql_where=some
    )
    op.create_table(
        "roadster_vehicle_documents",
        sa.Column("dealer", sa.Text, primary_key=True),
        sa.Column("vin", bytewise, primary_key=True),
        sa.Column("json", sa.Text, nullable=False),
    )
