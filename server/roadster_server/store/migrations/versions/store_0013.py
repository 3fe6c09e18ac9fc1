"""The files that people were asked for, and the parts of those that wait for a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "roadster_file_requests",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("link", sa.Text, nullable=False, unique=True),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("dealer", sa.Text, nullable=False),
        sa.Column("customer", sa.Text),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("content", sa.Text, nullable=False, server_default=""),
        sa.Column("facts", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("ix_roadster_file_requests_expires", "roadster_file_requests", ["expires"])
    op.create_index("roadster_file_requests_customer", "roadster_file_requests", ["dealer", "customer"])
    op.create_table(
        "roadster_file_parts",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("content", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("part", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_roadster_file_parts_expires", "roadster_file_parts", ["expires"])
