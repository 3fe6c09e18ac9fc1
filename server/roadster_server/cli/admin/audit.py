"""`audit` and `forget`: the audit read on the command line, and one customer's data deleted on request."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

import anyio

from roadster_client.models.values import ID_PATTERN
from roadster_server.calls.keys import Keys
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.settings import Settings
from roadster_server.store import (
    AuditQuery,
    AuditRecord,
    AuditSubject,
    DeletedCounts,
    StoreError,
    Verification,
    open_store,
)
from roadster_tools import name_choices

if TYPE_CHECKING:  # for start time: it imports SQLAlchemy
    from roadster_server.store.sql import SqlStore


_TELL_EVERY = 2.0
"""Seconds between two lines about the progress of a check."""


async def verify_audit(settings: Settings) -> tuple[str, bool]:
    """Returns a line about the chain, and True where the chain is whole. Raises ConfigurationError.

    A check that lasts tells on stderr how far it is.
    """
    next_line = time.monotonic() + _TELL_EVERY

    def tell(count: int, total: int) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            sys.stderr.write(f"checked {count:,} of {total:,} records\n")
            next_line = time.monotonic() + _TELL_EVERY

    async with open_existing_store(settings) as store:
        chain = await store.verify(tell)
    if chain.breaks:
        return _break_text(chain), False
    return f"whole; records: {chain.count}, head: {chain.head}", True


def _break_text(chain: Verification) -> str:
    numbers = ", ".join(map(str, chain.breaks))
    if chain.break_count == 1:
        return f"broken at record {numbers}: it, or one before it, is not as it was written"
    which = numbers if chain.break_count == len(chain.breaks) else f"{numbers} and later ones"
    places = f"broken at {chain.break_count:,} places, which are records {which}"
    return f"{places}: each of them, or one before it, is not as it was written"


@dataclass(frozen=True)
class Selection:
    """The records to print: of those for which all that is set here holds, the newest `last`."""

    since: datetime | None = None
    last: int | None = None
    subject: tuple[str, str] | None = None
    """A dealer and a customer's id."""
    caller: str | None = None
    person: str | None = None
    approval: str | None = None

    @property
    def no_record(self) -> str:
        """The notice if there is no such record. Empty if that needs no notice."""
        if self.subject is not None:
            return "no record of the present API key names this customer"
        if self.approval is not None:
            return "no record belongs to this approval"
        return "no record is of this caller or person" if self.caller or self.person else ""


async def print_audit(settings: Settings, selection: Selection) -> bool:
    """Prints one JSON object a line to stdout, in order. Raises ConfigurationError.

    Returns False where a record was changed so that it cannot be read. Its number goes to stderr, and the others are
    printed.
    """
    if selection.person is not None and not all(selection.person.partition(":")):
        raise ConfigurationError(
            [f"{selection.person}: names no person; write PROVIDER:SUBJECT, as policy explain does"]
        )
    about = _audit_subject(settings, *selection.subject) if selection.subject else None
    query = AuditQuery(selection.since, about, selection.caller, selection.person, selection.approval)
    count, is_readable = 0, True

    def tell(seq: int) -> None:
        nonlocal is_readable
        is_readable = False
        sys.stderr.write(f"record {seq} was changed and cannot be read; audit verify says where the chain breaks\n")

    async with open_existing_store(settings) as store:
        if selection.subject is not None:
            await _require_names(settings, store, *selection.subject)
        async for entry in store.records(query, last=selection.last, on_unreadable=tell):
            line = {"seq": entry.seq, **asdict(entry.record), "hash": entry.hash}
            sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
            count += 1
    if selection.no_record and not count:
        sys.stderr.write(f"{selection.no_record}{_unknown_provider(settings, selection.person)}\n")
    return is_readable


def _unknown_provider(settings: Settings, person: str | None) -> str:
    """Returns what to add to a search that found nothing. People of a provider that was taken out stay on record."""
    provider = (person or "").partition(":")[0]
    if not provider or provider in settings.identity:
        return ""
    choices = name_choices([*settings.identity], provider) if settings.identity else "there is none"
    return f"; the configuration has no identity provider {provider!r}, {choices}"


async def forget_customer(settings: Settings, dealer: str, customer: str) -> DeletedCounts:
    """Deletes all that the store has about one customer, and records the deletion in the audit.

    The dealer need not be in the configuration: the store keeps events of unknown dealers in quarantine. A dealer
    that the store does not know either is a mistake, and must not look like a deletion. Raises ConfigurationError.
    """
    record = AuditRecord(
        call_id=uuid4().hex,
        phase="ended",
        time=datetime.now(UTC),
        caller="operator",
        principal="operator",
        client=f"roadster-mcp/{version('roadster-mcp')}",
        protocol="command line",
        tool="forget",
        dealer=dealer,
        verdict="allowed",
        setting="roadster-mcp forget",
        outcome="done",
        upstream_request_id=None,
        latency_ms=None,
        # Hashed as an argument of a tool is: one search finds the calls about a customer and this deletion.
        arguments={"customer_id": _hashes_of_customer(settings, customer)[0]},
    )
    async with open_existing_store(settings) as store:
        await _require_names(settings, store, dealer, customer)
        return await store.forget_customer(dealer, customer, record)


async def _require_names(settings: Settings, store: SqlStore, dealer: str, customer: str) -> None:
    """Raises ConfigurationError for a dealer or a customer's id that can only be a typing error."""
    if dealer not in settings.dealers and not await store.knows_dealer(dealer):
        choices = name_choices([*settings.dealers], dealer) if settings.dealers else "there is none"
        raise ConfigurationError([f"{dealer}: there is no such dealer, and the store knows nothing of one; {choices}"])
    if not re.fullmatch(ID_PATTERN, customer) and not await store.knows_customer(dealer, customer):
        problem = "is no customer's id, and the store knows nothing of one; give Roadster's number of the customer"
        raise ConfigurationError([f"{customer}: {problem}"])


def _audit_subject(settings: Settings, dealer: str, customer: str) -> AuditSubject:
    keys = Keys.derive(settings.roadster.api_key.get_secret_value())
    return AuditSubject(dealer, keys.hash(dealer), _hashes_of_customer(settings, customer))


def _hashes_of_customer(settings: Settings, customer: str) -> tuple[str, ...]:
    """Returns the hashes that a customer's id may have in the audit.

    Records of admitted calls have that of the number. Those of refused calls, and records of older versions, may have
    that of its text.
    """
    keys = Keys.derive(settings.roadster.api_key.get_secret_value())
    numbers = [int(customer)] if re.fullmatch(ID_PATTERN, customer) else []
    return tuple(keys.hash(value) for value in (*numbers, customer))


@asynccontextmanager
async def open_existing_store(settings: Settings) -> AsyncIterator[SqlStore]:
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
