"""The person behind each record of the audit. Records from before have none, and their hashes do not cover it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("roadster_audit", sa.Column("principal", sa.Text))
