"""Indexes for events of one type, for the quarantine, for the check of the clock, and for the newest ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_PLACE = ("happened", "received", "key")
_CONFIRMED = "happened <> received AND happened >= received - 86400000 AND happened <= received + 86400000"
_ANSWERED = "result IS NOT NULL"
_EVENTS, _CLAIMS = "roadster_events", "roadster_claims"


def upgrade() -> None:
    op.create_index("roadster_events_type", _EVENTS, ["dealer", "event_type", *_PLACE])
    op.create_index("roadster_events_customer_type", _EVENTS, ["dealer", "customer", "event_type", *_PLACE])
    _create_partial_index("roadster_events_quarantined", _EVENTS, "key", "quarantined IS 1", "quarantined IS true")
    _create_partial_index("roadster_events_confirmed", _EVENTS, "received", _CONFIRMED, _CONFIRMED)
    op.create_index("roadster_belongings_newest", "roadster_belongings", ["dealer", "kind", "added", "id"])
    _create_partial_index("roadster_claims_answered", _CLAIMS, "claimed", _ANSWERED, _ANSWERED)
    op.drop_index("ix_roadster_claims_claimed", _CLAIMS)


def _create_partial_index(name: str, table: str, column: str, sqlite: str, postgresql: str) -> None:
    op.create_index(name, table, [column], sqlite_where=sa.text(sqlite), postgresql_where=sa.text(postgresql))
