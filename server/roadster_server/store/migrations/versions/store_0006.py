"""Changes nothing. It masked numbers in stored events, which 0010 does with all forms that are known since."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Leaves the tables as they are."""
