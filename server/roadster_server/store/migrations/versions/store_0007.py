"""Table of marks, and numbers of the idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "roadster_marks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.add_column("roadster_claims", sa.Column("number", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_roadster_claims_number", "roadster_claims", ["number"])
