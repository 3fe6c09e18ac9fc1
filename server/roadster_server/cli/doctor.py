"""`doctor`: finds what would go wrong later, and says what to do about it.

It changes nothing except the store, which it makes or migrates as the start of a server does. It only reads from
upstreams. No line holds a secret, nor anything of an upstream's answer except the dealers' ids.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import anyio
import httpx2
from pydantic import SecretStr

from roadster_client import (
    OPERATIONS,
    AuthScheme,
    ClientError,
    LeftOut,
    NotFound,
    Origin,
    Request,
    RequestRefused,
    RoadsterApi,
    Unauthorised,
    Upstream,
    basic_key,
    customer_link,
    open_upstream,
)
from roadster_client.models.customer_records import CustomerRecordQuery
from roadster_client.upstream.response import http_date
from roadster_server.backend import Backend
from roadster_server.events.inbox import WHY_NO_RETENTION, retention_end
from roadster_server.settings.files import read_document
from roadster_server.settings.network import NetworkSettings
from roadster_server.settings.sections import Settings
from roadster_server.store import StoreError, open_store

from .doctor_answers import AnswersOfDealer, read_answers
from .doctor_rights import (
    approval_problems,
    caller_problems,
    count_rights,
    host_without_permission,
    readers_of_dealer_figures,
    rule_problems,
    sign_in_problems,
    words_about_cards,
)
from .reach import Destination, issuers, scanner

PROBLEM = 1
UPSTREAM_PROBLEM = 4
"""Exit codes. The highest one of all findings counts."""

_CLOCK_SECONDS = 60
"""The largest difference to an upstream's clock. JWTs and confirmations allow for about as much."""
_MOST_PROBLEMS = 20
"""Problems of one check. A group with thousands of dealers may have as many of one kind."""
_REACH_SECONDS = 10.0
"""For a connection and the head of an answer."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. `code` is 0 where all is well. Otherwise `text` ends with what to do."""

    check: str
    text: str
    code: int = 0
    is_warning: bool = False
    """Says that it may be a problem, which doctor cannot see from here."""

    def line(self) -> str:
        kind = "problem" if self.code else "warning" if self.is_warning else "ok"
        return f"{kind:<7}  {self.check}: {self.text}"


async def examine(backend: Backend, config: Path | None) -> AsyncIterator[Finding]:
    """Yields each finding as soon as it is there. `config` is the file behind the settings, None for the sandbox's."""
    settings = backend.settings
    yield Finding("configuration", count_rights(settings))
    if config is not None:
        references = list(_references(config))
        yield Finding("secrets", f"found: {len(references)}")
        for finding in _all_well(
            "files", "nobody else may read secrets or change settings", _files(config, references, settings.network)
        ):
            yield finding
    for finding in _sections(settings):
        yield finding
    for finding in await _store(settings):
        yield finding
    if settings.replicas is not None:
        yield await _redis(settings.replicas.redis_url)
    if settings.uploads is not None and settings.uploads.clamd is not None:
        text, is_problem = await scanner(settings.uploads.clamd)
        yield Finding("clamd", text, PROBLEM if is_problem else 0)
    async for finding in _upstreams(settings, backend.transport):
        yield finding
    for text, is_problem in await issuers(settings):
        yield Finding("issuer keys", text, UPSTREAM_PROBLEM if is_problem else 0)


def _sections(settings: Settings) -> Iterator[Finding]:
    yield from _all_well("links", "every link key can be used", _link_keys(settings))
    if settings.callers:
        yield from _all_well("callers", "each can connect, over stdio or HTTP", caller_problems(settings))
    if settings.identity:
        yield from _all_well("people", "each rule can give something", rule_problems(settings))
    yield from _all_well(
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
        yield _mykaarma_dealers(settings)


def _all_well(check: str, text: str, problems: Iterator[str]) -> Iterator[Finding]:
    first = [Finding(check, problem, PROBLEM) for problem in islice(problems, _MOST_PROBLEMS)]
    yield from first or [Finding(check, text)]
    more = sum(1 for _ in problems)
    if more:
        yield Finding(check, f"{more} more like these; mend these first, and run doctor again", PROBLEM)


def _references(config: Path) -> Iterator[str]:
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


def _files(config: Path, references: list[str], network: NetworkSettings) -> Iterator[str]:
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


def _link_keys(settings: Settings) -> Iterator[str]:
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


async def _store(settings: Settings) -> list[Finding]:
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
        findings += _all_well("store's files", "nobody else may read them", _store_modes(Path(path)))
    return findings


async def _redis(url: SecretStr) -> Finding:
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


@dataclass(frozen=True)
class _Probe:
    """An upstream, and a harmless read that needs its credentials."""

    check: str
    section: str
    base_url: str
    key: str
    scheme: AuthScheme
    credentials: str
    """The full names of the settings to correct where the upstream refuses them."""
    read: Callable[[Upstream], Awaitable[list[Finding]]]
    """Returns further findings. Raises ClientError where the credentials are no good."""


def _probes(settings: Settings) -> Iterator[_Probe]:
    roadster, roadie, mykaarma = settings.roadster, settings.roadie, settings.mykaarma
    for key, dpids in _dealers_by_key(settings).items():
        is_own = key is not None
        yield _Probe(
            f"roadster credentials of {dpids[0]}" if is_own else "roadster credentials",
            "roadster",
            roadster.base_url,
            key or roadster.api_key.get_secret_value(),
            roadster.auth_scheme,
            f"dealers.{dpids[0]}.api_key" if is_own else "[roadster] api_key and auth_scheme",
            partial(_read_dealers, settings, dpids, f": {_names(dpids)}" if is_own else ""),
        )
    if roadie:
        token = roadie.token.get_secret_value()
        yield _Probe("roadie credentials", "roadie", roadie.base_url, token, "Bearer", "[roadie] token", _read_shipment)
    dealers = [dealer.mykaarma_dealer_uuid for dealer in settings.dealers.values() if dealer.mykaarma_dealer_uuid]
    if mykaarma and dealers:
        key = basic_key(mykaarma.username.get_secret_value(), mykaarma.password.get_secret_value())
        yield _Probe(
            "mykaarma credentials",
            "mykaarma",
            mykaarma.base_url,
            key,
            "Basic",
            "[mykaarma] username and password",
            lambda upstream: _read_customer(upstream, mykaarma.requester_user_uuid, dealers),
        )


def _dealers_by_key(settings: Settings) -> dict[str | None, list[str]]:
    """Returns the dpids by their own key. None is the key of the account, which needs no dealer."""
    by_key: dict[str | None, list[str]] = {None: []}
    for dpid in settings.dealers:
        by_key.setdefault(settings.own_keys.get(dpid), []).append(dpid)
    return by_key


async def _upstreams(settings: Settings, transport: httpx2.AsyncBaseTransport | None) -> AsyncIterator[Finding]:
    clock: Finding | None = None
    in_reach: dict[str, bool] = {}
    for probe in _probes(settings):
        if probe.section not in in_reach:
            reach, now = await _reach(probe, settings.network, transport)
            yield reach
            in_reach[probe.section] = not reach.code
            clock = clock or (_clock(probe, now) if now is not None else None)
        if not in_reach[probe.section]:
            continue
        for finding in await _credentials(probe, settings.network, transport):
            yield finding
    yield clock or Finding("clock", "not compared: no upstream said what time it is")


async def _reach(
    probe: _Probe, network: NetworkSettings, transport: httpx2.AsyncBaseTransport | None
) -> tuple[Finding, datetime | None]:
    """Connects without credentials, so any answer will do. Returns the upstream's time too, where it tells it."""
    check = f"{probe.section} reach"
    destination = Destination(probe.base_url, f"[{probe.section}] base_url", network)
    try:
        with anyio.fail_after(_REACH_SECONDS):
            async with (
                httpx2.AsyncClient(trust_env=False, timeout=None, transport=transport or network.path().open()) as http,
                http.stream("GET", probe.base_url.rstrip("/") + "/") as response,
            ):
                time = response.headers.get("date", "")
    except (httpx2.TransportError, TimeoutError) as error:
        text = f"{destination.way}: {destination.problem(error, _REACH_SECONDS)}"
        return Finding(check, text, UPSTREAM_PROBLEM), None
    return Finding(check, destination.way), http_date(time)


def _clock(probe: _Probe, now: datetime) -> Finding:
    ahead = round((datetime.now(UTC) - now).total_seconds())
    if abs(ahead) <= _CLOCK_SECONDS:
        return Finding("clock", f"within {_CLOCK_SECONDS} s of {probe.section}'s")
    off = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} {probe.section}'s"
    return Finding("clock", f"{off}; set it by NTP: JWTs, confirmations and limits go by it", PROBLEM)


async def _credentials(
    probe: _Probe, network: NetworkSettings, transport: httpx2.AsyncBaseTransport | None
) -> list[Finding]:
    check = probe.check
    async with open_upstream(
        probe.base_url, api_key=probe.key, auth_scheme=probe.scheme, transport=transport, network=network.path()
    ) as upstream:
        try:
            return [Finding(check, "accepted"), *await probe.read(upstream)]
        except Unauthorised as error:
            mend = f"correct {probe.credentials}, or ask for the right to this API"
            return [Finding(check, f"{error}; {mend}", UPSTREAM_PROBLEM)]
        except NotFound as error:
            return [Finding(check, f"{error}; correct [{probe.section}] base_url", UPSTREAM_PROBLEM)]
        except RequestRefused as error:
            mend = f"correct the ids in [{probe.section}] and of the dealers"
            return [Finding(check, f"{error}; {mend}", UPSTREAM_PROBLEM)]
        except ClientError as error:
            mend = f"correct [{probe.section}] base_url, or see to the upstream's status"
            return [Finding(check, f"{error}; {mend}", UPSTREAM_PROBLEM)]


async def _read_dealers(settings: Settings, dpids: Sequence[str], names: str, upstream: Upstream) -> list[Finding]:
    """Reads the dealers of one key, which is the upstream's. `names` ends the line that finds all of them well."""
    left_out = Counter[LeftOut]()
    api = RoadsterApi(upstream, settings.operations())
    result = await api.for_account(dpids, Origin(), left_out.update).list_dealers()
    partner_ids = {dealer.dpid: dealer.partner_id for dealer in result.dealers}
    problems = dict(_foreign_dealers(settings, dpids, partner_ids))
    well = f"Roadster knows each by its ids{names}"
    findings = [*_all_well("dealers", well, iter(problems.values()))] if dpids else []
    findings += [Finding("dealers", problem, UPSTREAM_PROBLEM) for problem in _unreadable(left_out)]
    async for answers in read_answers(upstream, settings, set(dpids) - problems.keys()):
        findings += _answers_of_dealer(answers)
    return findings


def _unreadable(left_out: Counter[LeftOut]) -> Iterator[str]:
    for kind, count in left_out.items():
        place = f"{kind.operation}: {kind.path} cannot be read ({count})"
        yield f"{place}; ask the upstream what it sends there, and report it"


def _answers_of_dealer(answers: AnswersOfDealer) -> list[Finding]:
    check = f"answers of {answers.dealer}"
    mend = "correct its route in [roadster.operations], or see to the upstream's status"
    problems = [*_unreadable(answers.left_out), *(f"{error}; {mend}" for error in answers.errors)]
    slow = "the feed ignores updated_since, so the inventory is read whole every 15 minutes; ask Roadster about it"
    remarks = [Finding(check, slow)] if answers.ignores_updates else []
    return remarks + [Finding(check, problem, UPSTREAM_PROBLEM) for problem in problems] or [
        Finding(check, f"all of it can be read: {', '.join(answers.tools)}")
    ]


def _foreign_dealers(
    settings: Settings, dpids: Iterable[str], partner_ids: dict[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Yields each dealer with its problem."""
    for dpid in dpids:
        dealer, partner_id = settings.dealers[dpid], partner_ids.get(dpid)
        if dpid not in partner_ids:
            yield dpid, f"dealers.{dpid} is none of this account's; correct the dpid, or ask Roadster to add the dealer"
        elif None not in (dealer.partner_id, partner_id) and dealer.partner_id != partner_id:
            yield dpid, f"dealers.{dpid}.partner_id is not Roadster's for the dealer; set it to {partner_id!r}"


_NOBODY = "00000000-0000-0000-0000-000000000000"


async def _read_shipment(upstream: Upstream) -> list[Finding]:
    """Asks for a shipment that cannot exist: Roadie checks the credentials before it looks for the shipment."""
    with suppress(NotFound, RequestRefused):
        await upstream.send(Request(OPERATIONS["get_shipment"], path={"shipment_id": "0"}))
    return []


def _mykaarma_dealers(settings: Settings) -> Finding:
    """Names the dealers without a UUID. A group may have only some of its dealers at myKaarma."""
    check = "mykaarma dealers"
    without = [f"dealers.{dpid}" for dpid, dealer in settings.dealers.items() if not dealer.mykaarma_dealer_uuid]
    if len(without) == len(settings.dealers):
        mend = "add it, or take [mykaarma] out"
        return Finding(check, f"no dealer has a mykaarma_dealer_uuid, so myKaarma was not tried; {mend}", PROBLEM)
    if not without:
        return Finding(check, "each has its UUID")
    return Finding(check, f"not configured, so get_crm_customer fails there: {_names(without)}")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_PROBLEMS} more" if len(names) > _MOST_PROBLEMS else ""
    return ", ".join(names[:_MOST_PROBLEMS]) + more


async def _read_customer(upstream: Upstream, requester: str, dealers: list[str]) -> list[Finding]:
    """Asks for a customer who cannot exist. myKaarma answers with 204."""
    query = CustomerRecordQuery(requester_user_uuid=requester)
    await upstream.send(
        Request(
            OPERATIONS["get_customer_record"],
            {"customer_uuid": _NOBODY},
            content=query,
            dealer={"dealerUUIDList": dealers},
        )
    )
    return []
