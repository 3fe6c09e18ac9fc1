"""The audit, read on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.sections import Settings
from roadster_server.store import StoreError, open_store

if TYPE_CHECKING:  # for start time: it imports SQLAlchemy
    from roadster_server.store.sql import SqlStore


@asynccontextmanager
async def existing_store(settings: Settings) -> AsyncIterator[SqlStore]:
    """The store, never made anew: an audit that is gone must not look like one that is empty."""
    url = settings.store.url.get_secret_value()
    path = anyio.Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not await path.exists():
        raise ConfigurationError([f"there is no store at {path}; correct [store] url, or restore it from a backup"])
    try:
        async with open_store(url) as store:
            yield store
    except StoreError as error:
        raise ConfigurationError([str(error)]) from None


async def verify_audit(settings: Settings) -> tuple[str, bool]:
    """What to say of the chain, and whether it is whole. Raises ConfigurationError."""
    async with existing_store(settings) as store:
        found = await store.verify()
    if found.first_broken is not None:
        return f"broken at record {found.first_broken}: it, or one before it, is not as it was written", False
    return f"whole; records: {found.count}, head: {found.head}", True


async def print_audit(settings: Settings, since: datetime | None, last: int | None) -> None:
    """One JSON object a line on stdout, in order. Raises ConfigurationError."""
    async with existing_store(settings) as store:
        async for stored in store.records(since=since, last=last):
            line = {"seq": stored.seq, **asdict(stored.record), "hash": stored.hash}
            sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
