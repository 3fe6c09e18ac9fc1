"""Table of the contact data by which customers are found. Stored events are indexed later, in batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "roadster_contacts",
        sa.Column("dealer", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, sa.CheckConstraint("kind IN ('email', 'phone', 'name')"), primary_key=True),
        sa.Column("value", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), primary_key=True),
        sa.Column("customer", sa.Text, primary_key=True),
        sa.Column("seen", sa.BigInteger, nullable=False, index=True),
    )
    op.create_index("roadster_contacts_customer", "roadster_contacts", ["dealer", "customer", "kind", "value"])
    op.add_column("roadster_events", sa.Column("indexed", sa.Text, nullable=False, server_default=""))
    op.create_index("roadster_events_indexed", "roadster_events", ["dealer", "indexed"])
