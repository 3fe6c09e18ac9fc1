"""`token revoke`: puts tokens and people on the list that all servers of a configuration read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from uuid import uuid4

from roadster_server.calls.keys import Keys
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.settings import Settings
from roadster_server.store import AuditQuery, AuditRecord
from roadster_tools import name_choices

from .audit import open_existing_store


@dataclass(frozen=True)
class ToRevoke:
    """Hashes of tokens, or a person, and the words for them."""

    subjects: tuple[str, ...]
    noun: str
    person: str | None = None


def subjects_of_hash(settings: Settings, digest: str) -> ToRevoke:
    """Raises ConfigurationError for a hash that no caller has: it can only be a typing error."""
    owner = settings.rights.token_owners.get(digest.strip().lower())
    if owner is None:
        raise ConfigurationError(["no caller of the configuration has this token, so nothing was revoked"])
    return ToRevoke((digest.strip().lower(),), f"a token of {owner}")


def subjects_of_caller(settings: Settings, name: str) -> ToRevoke:
    settings.caller(name)
    hashes = tuple(settings.callers[name].token_sha256)
    if not hashes:
        raise ConfigurationError([f"callers.{name} has no token, so nothing was revoked"])
    return ToRevoke(hashes, f"all {len(hashes)} tokens of {name}" if len(hashes) > 1 else f"the token of {name}")


def subjects_of_person(settings: Settings, person: str) -> ToRevoke:
    provider, colon, subject = person.partition(":")
    if not colon or not subject or provider not in settings.identity:
        choices = name_choices([*settings.identity], provider) if settings.identity else "there is none"
        problem = "names no person; write PROVIDER:SUBJECT with a provider of the configuration"
        raise ConfigurationError([f"{person}: {problem}, {choices}"])
    return ToRevoke((person,), f"all tokens that {person} has now", person)


async def revoke_subjects(settings: Settings, targets: ToRevoke) -> bool:
    """Returns False for a person whom the audit has no record of. Raises ConfigurationError if the store is unusable.

    Such a person is revoked as well: somebody may have their token and not have used it yet.
    """
    now, keys = datetime.now(UTC), Keys.derive(settings.roadster.api_key.get_secret_value())
    record = AuditRecord(
        call_id=uuid4().hex,
        phase="ended",
        time=now,
        caller="operator",
        principal="operator",
        client=f"roadster-mcp/{version('roadster-mcp')}",
        protocol="command line",
        tool="token revoke",
        dealer=None,
        verdict="allowed",
        setting="roadster-mcp token revoke",
        outcome="done",
        upstream_request_id=None,
        latency_ms=None,
        arguments={f"subject.{number}": keys.hash(each) for number, each in enumerate(targets.subjects, 1)},
    )
    async with open_existing_store(settings) as store:
        await store.revoke(targets.subjects, record, now=now)
        if targets.person is None:
            return True
        query = AuditQuery(principal=targets.person)
        async for _ in store.records(query, last=1, on_unreadable=lambda _seq: None):
            return True
    return False
