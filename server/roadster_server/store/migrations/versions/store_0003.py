"""Table of the events that web hooks brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "roadster_events",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("dealer", sa.Text),
        sa.Column("quarantined", sa.Boolean, nullable=False),
        sa.Column("customer", sa.Text),
        sa.Column("order", sa.Text),
        sa.Column("delivery", sa.Text),
        sa.Column("happened", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False, index=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("roadster_events_newest", "roadster_events", ["dealer", "happened", "received", "key"])
    op.create_index(
        "roadster_events_customer", "roadster_events", ["dealer", "customer", "happened", "received", "key"]
    )
