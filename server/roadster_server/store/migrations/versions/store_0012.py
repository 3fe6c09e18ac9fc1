"""The tokens and people that were revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "roadster_revocations",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("revoked", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_roadster_revocations_number", "roadster_revocations", ["number"])
