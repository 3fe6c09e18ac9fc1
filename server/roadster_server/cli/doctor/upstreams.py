"""Checks of the upstreams, for `doctor`: do they answer, do they take the keys, do they have the dealers?"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import anyio
import httpx2

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
    open_upstream,
)
from roadster_client.models.customer_records import CustomerRecordQuery
from roadster_client.upstream.response import http_date
from roadster_server.settings.sections.network import NetworkSettings
from roadster_server.settings.settings import Settings

from .answers import AnswersOfDealer, read_answers
from .findings import MOST_PROBLEMS, PROBLEM, UPSTREAM_PROBLEM, Finding, all_well
from .reach import Destination

_CLOCK_SECONDS = 60
"""The largest difference to an upstream's clock. JWTs and confirmations allow for about as much."""
_REACH_SECONDS = 10.0
"""For a connection and the head of an answer."""


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


async def check_upstreams(settings: Settings, transport: httpx2.AsyncBaseTransport | None) -> AsyncIterator[Finding]:
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
    findings = [*all_well("dealers", well, iter(problems.values()))] if dpids else []
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


def count_mykaarma_dealers(settings: Settings) -> Finding:
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
    more = f" and {len(names) - MOST_PROBLEMS} more" if len(names) > MOST_PROBLEMS else ""
    return ", ".join(names[:MOST_PROBLEMS]) + more


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
