"""Tables of the audit chain, idempotency claims and nonces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SQLITE_APPEND_ONLY = (
    """
    CREATE TRIGGER roadster_audit_update BEFORE UPDATE ON roadster_audit
    BEGIN SELECT RAISE(ABORT, 'roadster_audit is append-only'); END
    """,
    """
    CREATE TRIGGER roadster_audit_delete BEFORE DELETE ON roadster_audit
    BEGIN SELECT RAISE(ABORT, 'roadster_audit is append-only'); END
    """,
    # INSERT OR REPLACE deletes a row without running the trigger above.
    """
    CREATE TRIGGER roadster_audit_replace BEFORE INSERT ON roadster_audit
    WHEN EXISTS (SELECT 1 FROM roadster_audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'roadster_audit is append-only'); END
    """,
)

_POSTGRESQL_APPEND_ONLY = (
    """
    CREATE FUNCTION roadster_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'roadster_audit is append-only'; END $$
    """,
    """
    CREATE TRIGGER roadster_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON roadster_audit
    FOR EACH STATEMENT EXECUTE FUNCTION roadster_audit_refuse()
    """,
)


def upgrade() -> None:
    op.create_table(
        "roadster_audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("dealer", sa.Text),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("setting", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("upstream_request_id", sa.Text),
        sa.Column("latency_ms", sa.BigInteger),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "roadster_claims",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("claimed", sa.BigInteger, nullable=False, index=True),
        sa.Column(
            "state", sa.Text, sa.CheckConstraint("state IN ('pending', 'sent', 'unknown', 'done')"), nullable=False
        ),
        sa.Column("result", sa.LargeBinary),
    )
    op.create_table(
        "roadster_nonces",
        sa.Column("nonce", sa.Text, primary_key=True),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in _POSTGRESQL_APPEND_ONLY if postgresql else _SQLITE_APPEND_ONLY:
        op.execute(statement)
