"""The audit, read on the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime

from .settings import ConfigurationError, Settings
from .store import StoreError, open_store


async def verify_audit(settings: Settings) -> tuple[str, bool]:
    """What to say of the chain, and whether it is whole. Raises ConfigurationError."""
    try:
        async with open_store(settings.store.url.get_secret_value()) as store:
            found = await store.verify()
    except StoreError as error:
        raise ConfigurationError([str(error)]) from None
    if found.broken is not None:
        return f"broken at record {found.broken}: it, or one before it, is not as it was written", False
    return f"whole; records: {found.count}, head: {found.head}", True


async def print_audit(settings: Settings, since: datetime | None, last: int | None) -> None:
    """One JSON object a line on stdout, in order. Raises ConfigurationError."""
    try:
        async with open_store(settings.store.url.get_secret_value()) as store:
            async for stored in store.records(since=since, last=last):
                line = {"seq": stored.seq, **asdict(stored.record), "hash": stored.hash}
                sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
    except StoreError as error:
        raise ConfigurationError([str(error)]) from None
