"""An index of the requests for files by who made them."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_index("roadster_file_requests_principal", "roadster_file_requests", ["principal", "expires"])
