"""One dealer for each delivery: if two dealers have it, the first one keeps it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DELETE_LATER_OWNERS = """
    DELETE FROM roadster_belongings WHERE kind = 'delivery' AND EXISTS (
        SELECT 1 FROM roadster_belongings AS earlier
        WHERE earlier.kind = 'delivery' AND earlier.id = roadster_belongings.id
        AND (earlier.added < roadster_belongings.added
            OR (earlier.added = roadster_belongings.added AND earlier.dealer < roadster_belongings.dealer))
    )
"""


def upgrade() -> None:
    op.execute(_DELETE_LATER_OWNERS)
    only = sa.text("kind = 'delivery'")
    op.create_index(
        "roadster_belongings_delivery",
        "roadster_belongings",
        ["id"],
        unique=True,
        sqlite_where=only,
        postgresql_where=only,
    )
