"""The migration of a store's tables to the newest schema."""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from .databases.database import Turn, take_turn
from .errors import StoreError
from .tables import SCHEMA, VERSION_TABLE


def migrate(connection: Connection) -> None:
    """Makes or migrates the tables. Raises StoreError for a schema that is newer than this program."""
    take_turn(connection, Turn.MIGRATE)
    version = _version(connection)
    if version == SCHEMA:
        return

    # A server with up-to-date tables starts without alembic, which takes long to import.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", f"{__package__}:migrations")
    revisions = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in revisions:
        raise StoreError(
            "the store was made by a newer roadster-mcp; install that version, or name another store with [store] url"
        )
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return version
