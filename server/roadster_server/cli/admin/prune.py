"""`store prune`: old events deleted at a person's word, where no event confirms the clock."""

from __future__ import annotations

from datetime import datetime

from roadster_server.events.inbox import retention_end
from roadster_server.settings.settings import Settings

from .audit import open_existing_store


async def count_old_events(settings: Settings, now: datetime) -> int:
    """Returns how many events are older than the configured days. Raises ConfigurationError."""
    async with open_existing_store(settings) as store:
        return await store.count_events(received_before=retention_end(settings, now))


async def forget_old_events(settings: Settings, now: datetime) -> None:
    """Deletes them. Raises ConfigurationError."""
    async with open_existing_store(settings) as store:
        await store.forget_events(received_before=retention_end(settings, now))
