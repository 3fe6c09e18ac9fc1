"""Table of the deliveries, orders and customers of each dealer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "roadster_belongings",
        sa.Column("dealer", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("added", sa.BigInteger, nullable=False),
    )
