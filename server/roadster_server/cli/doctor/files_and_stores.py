"""Checks of the configuration's files and link keys, of the store and of Redis, for `doctor`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from pydantic import SecretStr

from roadster_client import customer_link
from roadster_server.events.inbox import WHY_NO_RETENTION, retention_end
from roadster_server.settings.files import read_document
from roadster_server.settings.sections.network import NetworkSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import StoreError, open_store

from .findings import PROBLEM, Finding, all_well


def references_of(config: Path) -> Iterator[str]:
    """Yields each reference to a secret in the file."""
    values: list[Any] = [read_document(config).tables]
    while values:
        match values.pop():
            case dict() as table:
                values.extend(table.values())
            case list() as items:
                values.extend(items)
            case str() as text if text.startswith(("env:", "file:", "keyring:")):
                yield text


def file_problems(config: Path, references: list[str], network: NetworkSettings) -> Iterator[str]:
    if os.name != "posix":
        return
    if _mode(config) & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"{config} says who may write, and others may change it; chmod go-w {config}"
    if network.ca_bundle is not None and _mode(network.ca_bundle.path) & (stat.S_IWGRP | stat.S_IWOTH):
        path = network.ca_bundle.path
        yield f"{path} says which upstreams are trusted, and others may change it; chmod go-w {path}"
    for reference in references:
        scheme, _, name = reference.partition(":")
        path = Path(name).expanduser()
        if scheme == "file" and _mode(path) & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{path} holds a secret, and others may read or change it; chmod 600 {path}"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def link_key_problems(settings: Settings) -> Iterator[str]:
    for dpid, dealer in settings.dealers.items():
        if dealer.link_key is None:
            continue
        if dealer.express_host is None:
            yield f"dealers.{dpid} has a link_key and no express_host, and links for customers need both; add it"
            continue
        try:
            key = dealer.link_key.get_secret_value()
            customer_link(
                dealer.express_host,
                "VIN",
                {"email": "doctor@example.com"},
                key=key,
                key_encoding=dealer.link_key_encoding,
            )
        except ValueError:
            yield f"dealers.{dpid}.link_key cannot be used; correct it, or link_key_encoding"


async def check_store(settings: Settings) -> list[Finding]:
    findings, url = [], settings.store.url.get_secret_value()
    path = anyio.Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    new = path is not None and not await path.exists()
    try:
        async with open_store(url) as store:
            chain = await store.verify()
            state = "open and migrated"
            if chain.first_broken is None:  # otherwise a record may not be able to follow, which the audit's line says
                await store.probe()
                state = "open, migrated and writable"
            place = f"{path}, made now" if new else str(path or "PostgreSQL")
            findings.append(Finding("store", f"{place}: {state}"))
            doubt = await store.doubt(received_before=retention_end(settings, now := datetime.now(UTC)), now=now)
    except StoreError as error:
        return [*findings, Finding("store", str(error), PROBLEM)]
    if doubt is not None:
        findings.append(Finding("retention", f"old events are not deleted: {WHY_NO_RETENTION[doubt]}", PROBLEM))
    if chain.first_broken is None:
        findings.append(Finding("audit", f"whole; records: {chain.count}"))
    else:
        mend = "keep the file, find out who wrote it, and put a backup in its place"
        findings.append(Finding("audit", f"broken at record {chain.first_broken}; {mend}", PROBLEM))
    if path is not None and os.name == "posix":
        findings += all_well("store's files", "nobody else may read them", _store_modes(Path(path)))
    return findings


async def check_redis(url: SecretStr) -> Finding:
    from roadster_server.replicas import open_replicas  # most servers run without it

    async with open_replicas(url, "roadster-mcp doctor") as redis:
        if await redis.healthy():
            return Finding("redis", "answers")
    return Finding("redis", "does not answer at [replicas] redis_url; start it, or correct the URL", PROBLEM)


def _store_modes(path: Path) -> Iterator[str]:
    if _mode(path) & (stat.S_IRWXG | stat.S_IRWXO):
        yield f"others may read or change {path}; chmod 600 {path}"
    if _mode(path.parent) & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"others may replace files in {path.parent}; chmod go-w {path.parent}"
