"""Writes that wait for a person's approval, and the approval behind each record of the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_STATES = "state IN ('pending', 'approved', 'declined', 'withdrawn', 'done', 'failed', 'unknown')"


def upgrade() -> None:
    op.create_table(
        "roadster_approvals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("call", sa.Text, unique=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("dealer", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("customer", sa.Text),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, sa.CheckConstraint(_STATES), nullable=False),
        sa.Column("decided", sa.BigInteger),
        sa.Column("approver", sa.Text),
        sa.Column("reason", sa.LargeBinary),
        sa.Column("question", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.LargeBinary),
    )
    op.create_index("roadster_approvals_dealer", "roadster_approvals", ["dealer", "created"])
    op.create_index("roadster_approvals_principal", "roadster_approvals", ["principal", "state"])
    op.create_index("ix_roadster_approvals_expires", "roadster_approvals", ["expires"])
    op.add_column("roadster_audit", sa.Column("approval", sa.Text))
