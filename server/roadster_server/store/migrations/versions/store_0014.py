"""The sessions of people who signed in to the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "roadster_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_roadster_sessions_principal", "roadster_sessions", ["principal"])
    op.create_index("ix_roadster_sessions_expires", "roadster_sessions", ["expires"])
