"""Records for the console, and settings of who sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from roadster_server.settings.live import LiveSettings
from roadster_server.store import AuditQuery, AuditRecord
from roadster_server.store.sql import SqlStore
from tests.server.store.databases import RECORD


def give_everything(live: LiveSettings) -> None:
    """Gives the manager all dealers of the configuration."""
    manager = live.current.callers["manager"].model_copy(update={"dealers": [*live.current.dealers]})
    change(live, callers={**live.current.callers, "manager": manager})


def change(live: LiveSettings, **sections: Any) -> None:
    live.current = live.current.model_copy(update=sections)


def call(**values: Any) -> AuditRecord:
    ended = replace(RECORD, phase="ended", time=datetime.now(UTC), dealer="umazda", protocol="2025-11-25")
    return replace(ended, **values)


async def records_of(store: SqlStore, **query: Any) -> list[AuditRecord]:
    return [entry.record async for entry in store.records(AuditQuery(**query))]
