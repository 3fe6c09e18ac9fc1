"""Makes the tables, or brings them to the newest schema. For use under Turn.MIGRATE."""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from .records import StoreError
from .tables import SCHEMA, VERSION_TABLE


def migrate(connection: Connection) -> None:
    """Within the transaction of `connection`. Raises StoreError for a schema newer than this program."""
    found = _version(connection)
    if found == SCHEMA:
        return

    # The start of a server whose tables are up to date does without alembic, which takes long to import.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", f"{__package__}:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            "the store was made by a newer roadster-mcp; install that version, or name another store with [store] url"
        )
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return version
