"""`doctor`: finds what would go wrong later, and says what to do about it.

It changes nothing except the store, which it makes or migrates as the start of a server does. It only reads from
upstreams. No line holds a secret, nor anything of an upstream's answer except the dealers' ids.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path

from roadster_server.backend import Backend
from roadster_server.settings.settings import Settings

from .files_and_stores import check_redis, check_store, file_problems, link_key_problems, references_of
from .findings import PROBLEM, UPSTREAM_PROBLEM, Finding, all_well
from .reach import issuers, scanner
from .rights import (
    approval_problems,
    caller_problems,
    count_rights,
    host_without_permission,
    readers_of_dealer_figures,
    rule_problems,
    sign_in_problems,
    words_about_cards,
)
from .upstreams import check_upstreams, count_mykaarma_dealers


async def examine(backend: Backend, config: Path | None) -> AsyncIterator[Finding]:
    """Yields each finding as soon as it is there. `config` is the file behind the settings, None for the sandbox's."""
    settings = backend.settings
    yield Finding("configuration", count_rights(settings))
    if config is not None:
        references = list(references_of(config))
        yield Finding("secrets", f"found: {len(references)}")
        for finding in all_well(
            "files",
            "nobody else may read secrets or change settings",
            file_problems(config, references, settings.network),
        ):
            yield finding
    for finding in _sections(settings):
        yield finding
    for finding in await check_store(settings):
        yield finding
    if settings.replicas is not None:
        yield await check_redis(settings.replicas.redis_url)
    if settings.uploads is not None and settings.uploads.clamd is not None:
        text, is_problem = await scanner(settings.uploads.clamd)
        yield Finding("clamd", text, PROBLEM if is_problem else 0)
    async for finding in check_upstreams(settings, backend.transport):
        yield finding
    for text, is_problem in await issuers(settings):
        yield Finding("issuer keys", text, UPSTREAM_PROBLEM if is_problem else 0)


def _sections(settings: Settings) -> Iterator[Finding]:
    yield from all_well("links", "every link key can be used", link_key_problems(settings))
    if settings.callers:
        yield from all_well("callers", "each can connect, over stdio or HTTP", caller_problems(settings))
    if settings.identity:
        yield from all_well("people", "each rule can give something", rule_problems(settings))
    yield from all_well(
        "approvals",
        "nothing waits where nobody can approve it",
        chain(approval_problems(settings), sign_in_problems(settings)),
    )
    host = host_without_permission(settings)
    if host is not None:
        mend = f"where the proxy passes Host on, add it to http.allowed_hosts: [{json.dumps(host)}]"
        text = f"http.resource_url names {host}, and requests to a host of that name get 421"
        yield Finding("hosts", f"{text}; {mend}", is_warning=True)
    cards = words_about_cards(settings)
    if cards is not None:
        yield Finding("cards", cards)
    if settings.callers or settings.identity:
        yield Finding("dealer figures", f"shown to {readers_of_dealer_figures(settings)}")
    if settings.mykaarma:
        yield count_mykaarma_dealers(settings)
