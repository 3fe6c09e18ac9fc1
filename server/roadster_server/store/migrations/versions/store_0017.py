"""The way in which the person of an approval is asked. Those of before were all asked on a page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("roadster_approvals", sa.Column("way", sa.Text, nullable=False, server_default="page"))
