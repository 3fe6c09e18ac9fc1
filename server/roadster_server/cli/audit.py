"""`audit` and `forget`: the audit read on the command line, and one customer's data deleted on request."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from roadster_server.calls.keys import Keys
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.sections import Settings
from roadster_server.store import AuditRecord, StoreError, open_store
from roadster_tools import name_choices

if TYPE_CHECKING:  # for start time: it imports SQLAlchemy
    from roadster_server.store.sql import SqlStore


async def verify_audit(settings: Settings) -> tuple[str, bool]:
    """Returns a line about the chain, and True where the chain is whole. Raises ConfigurationError."""
    async with _open_existing_store(settings) as store:
        chain = await store.verify()
    if chain.first_broken is not None:
        return f"broken at record {chain.first_broken}: it, or one before it, is not as it was written", False
    return f"whole; records: {chain.count}, head: {chain.head}", True


async def print_audit(settings: Settings, since: datetime | None, last: int | None) -> None:
    """Prints one JSON object a line to stdout, in order. Raises ConfigurationError."""
    async with _open_existing_store(settings) as store:
        async for entry in store.records(since=since, last=last):
            line = {"seq": entry.seq, **asdict(entry.record), "hash": entry.hash}
            sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")


async def forget_customer(settings: Settings, dealer: str, customer: str) -> int:
    """Deletes one customer's events, and records the deletion in the audit. Returns how many events there were.

    The dealer need not be in the configuration: the store keeps events of unknown dealers in quarantine. A dealer
    that the store does not know either is a mistake, and must not look like a deletion. Raises ConfigurationError.
    """
    # Hashed as an argument of a tool is: one search finds the calls about a customer and this deletion.
    customer_hash = Keys.derive(settings.roadster.api_key.get_secret_value()).hash(
        int(customer) if customer.isascii() and customer.isdecimal() else customer
    )
    record = AuditRecord(
        call_id=uuid4().hex,
        phase="ended",
        time=datetime.now(UTC),
        caller="operator",
        client=f"roadster-mcp/{version('roadster-mcp')}",
        protocol="command line",
        tool="forget",
        dealer=dealer,
        verdict="allowed",
        setting="roadster-mcp forget",
        outcome="done",
        upstream_request_id=None,
        latency_ms=None,
        arguments={"customer_id": customer_hash},
    )
    async with _open_existing_store(settings) as store:
        if dealer not in settings.dealers and not await store.knows_dealer(dealer):
            choices = name_choices([*settings.dealers], dealer) if settings.dealers else "there is none"
            raise ConfigurationError(
                [f"{dealer}: there is no such dealer, and the store knows nothing of one; {choices}"]
            )
        return await store.forget_customer(dealer, customer, record)


@asynccontextmanager
async def _open_existing_store(settings: Settings) -> AsyncIterator[SqlStore]:
    """Opens the store, but never makes a new one: a missing audit must not look like an empty one."""
    url = settings.store.url.get_secret_value()
    path = anyio.Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not await path.exists():
        raise ConfigurationError([f"there is no store at {path}; correct [store] url, or restore it from a backup"])
    try:
        async with open_store(url) as store:
            yield store
    except StoreError as error:
        raise ConfigurationError([str(error)]) from None
