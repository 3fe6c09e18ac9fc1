"""The script that alembic runs, in the transaction of `schema.migrate`."""

from __future__ import annotations

from alembic import context

from roadster_server.store.tables import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
