"""The console: what each view shows, to whom, and that each is on record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from roadster_server.calls.keys import Keys
from roadster_server.people.console.configuration import SECRET, sections_of
from roadster_server.people.console.figures import SPANS, plots
from roadster_server.people.console.plots import Plot, Series
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings, RoleSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.store import AuditQuery, AuditRecord, CallCount, NewEvent, open_store
from roadster_server.store.sql import SqlStore
from tests.conftest import HOSTILE_TEXTS
from tests.server.store.databases import RECORD, execute, lift_protection

from .browser import PageBrowser, page_browser

pytestmark = pytest.mark.anyio
VIEWS = ("", "/audit", "/figures", "/configuration", "/rights", "/actions")


@pytest.fixture
async def store(live: LiveSettings) -> AsyncIterator[SqlStore]:
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())
    async with open_store(live.current.store.url.get_secret_value()) as opened:
        yield replace(opened, contact_key=keys.contacts)


def give_everything(live: LiveSettings) -> None:
    """Gives the manager all dealers of the configuration."""
    manager = live.current.callers["manager"].model_copy(update={"dealers": [*live.current.dealers]})
    change(live, callers={**live.current.callers, "manager": manager})


def change(live: LiveSettings, **sections: Any) -> None:
    live.current = live.current.model_copy(update=sections)


def call(**values: Any) -> AuditRecord:
    ended = replace(RECORD, phase="ended", time=datetime.now(UTC), dealer="umazda", protocol="2025-11-25")
    return replace(ended, **values)


async def records_of(store: SqlStore, **query: Any) -> list[AuditRecord]:
    return [entry.record async for entry in store.records(AuditQuery(**query))]


async def test_every_view_is_on_record(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    give_everything(live)
    await browser.sign_in(live.current)
    for view in VIEWS:
        await browser.open(f"/people/console{view}")
        assert browser.page.status_code == 200, browser.page.text
    tools = [entry.tool for entry in await records_of(store, principal="manager")]
    assert tools == [
        "page sign-in",
        "page console overview",
        "page console audit",
        "page console figures",
        "page console configuration",
        "page console rights",
        "page console actions",
    ]
    (overview,) = await records_of(store, tool="page console overview")
    assert overview.setting == "roles.manager.console"


async def test_a_role_without_the_console_sees_none_of_it(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    role = live.current.roles["manager"].model_copy(update={"console": False})
    change(live, roles={"manager": role})
    await browser.sign_in(live.current)
    assert "Console" not in browser.page.text
    for view in VIEWS:
        await browser.open(f"/people/console{view}")
        assert browser.page.status_code == 403
    refused = await records_of(store, outcome="refused")
    assert len(refused) == len(VIEWS)
    assert {(entry.verdict, entry.setting) for entry in refused} == {("refused", "roles.manager.console")}


async def test_nobody_sees_it_without_a_sign_in(browser: PageBrowser) -> None:
    for view in VIEWS:
        await browser.open(f"/people/console{view}")
        assert browser.page.url.path == "/people/sign-in"


async def test_a_role_of_some_dealers_sees_what_is_theirs(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    """The sandbox's manager has two of three dealers."""
    for dealer, tool in (("umazda", "list_inventory"), ("toyotademo", "get_vehicle"), (None, "list_dealers")):
        await store.append(call(dealer=dealer, tool=tool, client=f"a client at {dealer}"))
    await browser.sign_in(live.current)
    page = await browser.open("/people/console/audit")
    assert "a client at umazda" in page
    assert "a client at toyotademo" not in page
    assert "a client at None" not in page
    for spelling in ("toyotademo", "UMAZDA", "umazda' or '1'='1"):
        page = await browser.open(f"/people/console/audit?dealer={spelling}")
        assert "There is no such record" in page
    assert "Calls: 1<" in await browser.open("/people/console/figures")
    for view in ("/configuration", "/rights"):
        await browser.open(f"/people/console{view}")
        assert browser.page.status_code == 403
    give_everything(live)
    assert "a client at toyotademo" in await browser.open("/people/console/audit")
    assert "Calls: 3<" in await browser.open("/people/console/figures")


async def test_the_audit_is_searched_by_time_person_dealer_tool_outcome_and_approval(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    old = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    await store.append(call(principal="work:steve", caller="work:sales", client="first", time=old))
    await store.append(
        call(tool="get_vehicle", outcome="refused", client="second", dealer="hyundaidemo", approval="a1b2")
    )
    await browser.sign_in(live.current)
    for query, seen in (
        ("person=work:steve", "first"),
        ("until=2026-03-01T12:31", "first"),
        ("since=2026-03-02T00:00&until=2099-01-01T00:00&outcome=refused", "second"),
        ("tool=get_vehicle", "second"),
        ("dealer=hyundaidemo", "second"),
        ("approval=a1b2", "second"),
        ("approval=+a1b2%00&outcome=refused", "second"),
        ("until=2026-03-01T12:31%2B00:00", "first"),
        ("since=2026-03-01T14:31%2B02:00", "second"),
    ):
        page = await browser.open(f"/people/console/audit?{query}")
        assert {name for name in ("first", "second") if f"<bdi>{name}</bdi>" in page} == {seen}, query
        assert "Time (UTC)" in page
        assert ("2026-03-01 12:30:00" in page) is (seen == "first")
    for time in ("yesterday", "0001-01-01T00:00%2B02:00"):
        assert "expected a date and a time" in await browser.open(f"/people/console/audit?since={time}")


async def test_older_records_are_on_further_pages(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    for number in range(120):
        await store.append(call(client=f"client {number}", tool="get_vehicle"))
    await browser.sign_in(live.current)
    seen: list[str] = []
    page = await browser.open("/people/console/audit?tool=get_vehicle")
    while True:
        seen += re.findall(r"<bdi>(client \d+)</bdi>", page)
        older = re.search(r'<a href="([^"]*)">Older records', page)
        if older is None:
            break
        page = await browser.open(unescape(older[1]))
    assert seen == [f"client {number}" for number in reversed(range(120))]


async def test_the_chain_is_checked_at_a_click(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    await browser.sign_in(live.current)
    assert "Not checked since this server started" in await browser.open("/people/console/audit")
    page = await browser.submit("/people/console/audit/check")
    assert "Whole" in page
    chain = await store.verify()
    assert (await records_of(store))[-1].tool == "page console audit check"
    assert chain.first_broken is None
    assert "Whole" in await browser.open("/people/console")


async def test_a_broken_chain_is_told(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    await store.append(call())
    await store.append(call())
    url = live.current.store.url.get_secret_value()
    await lift_protection(url)
    await execute(url, "UPDATE roadster_audit SET tool = 'another' WHERE seq = 1")
    await browser.sign_in(live.current)
    await browser.open("/people/console/audit")
    page = await browser.submit("/people/console/audit/check")
    assert "Broken at record 1" in page
    assert "It is the first of" not in page
    assert "Broken at record 1" in await browser.open("/people/console")
    await execute(url, "UPDATE roadster_audit SET tool = 'another' WHERE seq = 2")
    await browser.open("/people/console/audit")
    page = await browser.submit("/people/console/audit/check")
    assert "Broken at record 1" in page
    assert "It is the first of 2 such" in page


async def test_the_overview_has_upstreams_breakers_and_events(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    await store.append(call(tool="list_inventory", outcome="done"))
    await store.append(call(tool="list_inventory", outcome="upstream"))
    now = datetime.now(UTC)
    event = NewEvent("roadster", "1", "lead", "umazda", "7", None, None, now, "{}")
    foreign = replace(event, event_id="2", dealer="nobody")
    await store.add_events([event, foreign], dealers=["umazda"], now=now)
    await browser.sign_in(live.current)
    page = " ".join((await browser.open("/people/console")).split())
    assert '<th scope="row">Roadster</th> <td class="warn">some calls failed</td> <td class="number">2</td>' in page
    assert '<th scope="row">Roadie</th> <td class="faint">no calls in the last hour</td>' in page
    assert "None in this process" in page
    assert "Nothing that you may approve" in page
    assert '<th scope="row">Roadster</th><td class="number">1</td>' in page, "not the event in quarantine"
    assert "quarantine" not in page
    give_everything(live)
    page = " ".join((await browser.open("/people/console")).split())
    assert '<th scope="row">Roadster</th><td class="number">1</td>' in page
    assert f'<li>Roadster: <span class="warn">1</span>, the oldest of {now:%Y-%m-%d}' in page


async def test_secrets_are_not_in_the_configuration_that_is_shown(browser: PageBrowser, live: LiveSettings) -> None:
    give_everything(live)
    url = live.current.store.url.get_secret_value()
    keys = {"umazda": live.current.dealers["umazda"].model_copy(update={"api_key": SecretStr("of the dealer")})}
    change(live, store=StoreSettings(url=SecretStr(url)), dealers={**live.current.dealers, **keys})
    await browser.sign_in(live.current)
    page = await browser.open("/people/console/configuration")
    for secret in (live.current.roadster.api_key.get_secret_value(), "of the dealer", url):
        assert secret not in unescape(page)
    assert SECRET in page
    assert "hyundaidemo" in page


def test_each_secret_of_the_settings_is_hidden(live: LiveSettings) -> None:
    """Whatever keys there will be: no value of a secret is in any text."""
    myk = live.current.mykaarma
    assert myk is not None
    change(live, mykaarma=myk.model_copy(update={"username": SecretStr("a-made-up-user")}))
    text = repr([*sections_of(live.current)])
    for secret in _secrets(live.current):
        assert secret not in text
    assert len(_secrets(live.current)) > 5


def _secrets(node: Any) -> set[str]:
    match node:
        case SecretStr():
            return {node.get_secret_value()}
        case dict():
            return set().union(*map(_secrets, node.values()))
        case list():
            return set().union(*map(_secrets, node))
        case _ if hasattr(type(node), "model_fields"):
            return set().union(*(_secrets(getattr(node, name)) for name in type(node).model_fields))
    return set()


async def test_rights_are_explained_in_a_form(browser: PageBrowser, live: LiveSettings) -> None:
    give_everything(live)
    await browser.sign_in(live.current)
    await browser.open("/people/console/rights")
    page = await browser.submit("/people/console/rights", caller="local", tool="list_inventory", dealer="toyotademo")
    assert "refused" in page
    assert "toyotademo" in page
    page = await browser.submit("/people/console/rights", caller="nobody")
    assert "no such caller" in page
    assert "--caller" not in page
    page = await browser.submit("/people/console/rights")
    assert "Name a caller, or paste the claims" in page
    assert "--caller" not in page
    page = await browser.submit("/people/console/rights", claims='{"iss": "https://login.example.com"}')
    assert "no [identity.NAME]" in unescape(page)
    page = await browser.submit("/people/console/rights", claims="eyJhbGciOiJub25lIn0.e30.c2ln")
    assert "A token does not belong here" in page


TOKEN = "7" * 64


async def test_a_callers_tokens_are_revoked(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    foreign = CallerSettings(token_sha256=["8" * 64], dealers=["toyotademo"])
    desk = CallerSettings(token_sha256=[TOKEN], dealers=["umazda"])
    change(live, callers={**live.current.callers, "desk": desk, "other": foreign})
    await browser.sign_in(live.current)
    for who in ("other", "nobody", "work:steve", ""):
        await browser.open("/people/console/actions")
        await browser.submit("/people/console/revoke", who=who)
        assert browser.page.status_code == 400
    assert (await store.revocations(0)).times == {}
    await browser.open("/people/console/actions")
    page = await browser.submit("/people/console/revoke", who="desk")
    assert "Revoked: the tokens of desk" in page
    assert [*(await store.revocations(0)).times] == [TOKEN]
    (entry,) = await records_of(store, tool="page console revoke")
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())
    assert (entry.principal, entry.arguments) == ("manager", {"who": keys.hash("desk")})


async def test_a_customer_is_forgotten(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    now = datetime.now(UTC)
    events = [
        NewEvent("roadster", str(number), "lead", dealer, "7", None, None, now, "{}")
        for number, dealer in enumerate(("umazda", "toyotademo"))
    ]
    await store.add_events(events, dealers=["umazda", "toyotademo"], now=now)
    await browser.sign_in(live.current)
    for dealer, customer in (("toyotademo", "7"), ("umazda", "seven"), ("", "7"), ("umazda", "")):
        await browser.open("/people/console/actions")
        await browser.submit("/people/console/forget", dealer=dealer, customer=customer)
        assert browser.page.status_code == 400
    assert await store.knows_customer("umazda", "7")
    await browser.open("/people/console/actions")
    page = await browser.submit("/people/console/forget", dealer="umazda", customer="7")
    assert "Forget customer 7?" in page
    assert "approvals and waiting files" in page
    assert await store.knows_customer("umazda", "7")
    assert len(await records_of(store, tool="page console forget question")) == 1
    page = await browser.submit("/people/console/forget")
    assert "Deleted: 1 events" in page
    assert "0 approvals and 0 files" in page
    assert not await store.knows_customer("umazda", "7")
    assert await store.knows_customer("toyotademo", "7")
    (entry,) = await records_of(store, tool="page console forget")
    assert (entry.dealer, entry.principal) == ("umazda", "manager")


async def test_events_are_released_by_who_has_all_dealers(
    browser: PageBrowser, live: LiveSettings, store: SqlStore
) -> None:
    now = datetime.now(UTC)
    event = NewEvent("roadster", "1", "lead", "umazda", "7", None, None, now, "{}")
    await store.add_events([event], dealers=[], now=now)
    await browser.sign_in(live.current)
    page = await browser.open("/people/console/actions")
    assert "Release events" not in page
    token = browser.form("/people/console/forget").fields["form_token"]
    headers = {"origin": browser.origin, "sec-fetch-site": "same-origin"}
    url = f"{browser.origin}/people/console/release"
    answer = await browser.http.post(url, data={"form_token": token}, headers=headers)
    assert answer.status_code == 403
    give_everything(live)
    await browser.open("/people/console/actions")
    page = await browser.submit("/people/console/release")
    assert "Released: 1 events" in page
    assert await store.quarantined_events() == []


async def test_an_action_needs_its_form(browser: PageBrowser, live: LiveSettings, store: SqlStore) -> None:
    await browser.sign_in(live.current)
    before = len(await records_of(store))
    for action in ("revoke", "release", "forget", "audit/check", "rights"):
        url = f"{browser.origin}/people/console/{action}"
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "same-origin"}):
            answer = await browser.http.post(url, data={"who": "local"}, headers=headers)
            assert answer.status_code == 403
    assert len(await records_of(store)) == before
    assert (await browser.http.get(f"{browser.origin}/people/console/revoke")).status_code == 405


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_hostile_texts_are_shown_as_text(
    browser: PageBrowser, live: LiveSettings, store: SqlStore, text: str
) -> None:
    give_everything(live)
    fields = {"client": text, "tool": text, "outcome": text, "setting": text, "principal": text, "caller": text}
    await store.append(call(**fields, dealer="umazda", verdict="refused"))
    await browser.sign_in(live.current)
    role = RoleSettings(approves=["customers"], console=True)
    change(live, roles={**live.current.roles, text: role})
    for view in VIEWS:
        page = await browser.open(f"/people/console{view}")
        assert browser.page.status_code == 200
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "<img" not in page
    for name in ("person", "dealer", "tool", "outcome", "since"):
        page = str((await browser.http.get(f"{browser.origin}/people/console/audit", params={name: text})).text)
        assert "<script>alert" not in page
        assert '"><img' not in page


async def test_calls_are_counted_by_piece_of_time(store: SqlStore) -> None:
    now = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)
    small = replace(store, page_rows=2)
    for minutes in (90, 59, 59, 1, 0):
        await store.append(call(time=now - timedelta(minutes=minutes), tool="get_vehicle"))
    limited = call(time=now, tool="get_vehicle", verdict="refused", setting="calls_per_minute")
    await store.append(replace(limited, arguments={"refusals": "40"}))
    await store.append(call(time=now, phase="sent"))
    await store.append(call(time=now, protocol="page"))
    await store.append(call(time=now, dealer="toyotademo", tool="get_vehicle"))
    span = SPANS["hour"]
    counts = await small.count_calls(span.begin(now), span.width, ["umazda"])
    assert [(each.begin, each.count, each.is_refused) for each in counts] == [
        ("2026-11-28T11:01", 2, False),
        ("2026-11-28T11:59", 1, False),
        ("2026-11-28T12:00", 1, False),
        ("2026-11-28T12:00", 40, True),
    ]
    assert sum(each.count for each in await small.count_calls(span.begin(now), span.width, None)) == 45


@pytest.mark.parametrize("name", SPANS)
def test_plots_have_a_place_for_each_piece_of_time(name: str) -> None:
    span, now = SPANS[name], datetime(2026, 11, 28, 12, 34, 56, tzinfo=UTC)
    pieces = span.pieces(now)
    assert len(pieces) == {"hour": 60, "day": 24, "month": 30}[name]
    assert pieces[-1] <= now < pieces[-1] + span.piece
    last = f"{now.isoformat()[: span.width]}"
    counts = [CallCount(last, "get_vehicle", "upstream", f"setting {n}", n > 0, n + 1) for n in range(7)]
    calls, refusals, failures = plots(counts, span, now)
    assert [(each.name, each.counts[-1], each.total) for each in calls.series] == [
        ("refused", 27, 27),
        ("admitted", 1, 1),
    ]
    assert [each.name for each in refusals.series][-1] == "others"
    assert refusals.total == 27
    assert failures.series[0].name == "roadster"


def test_a_plot_says_in_words_what_it_shows() -> None:
    plot = Plot("Calls", ["12:00", "12:01"], [Series("admitted", [1, 2]), Series("<refused>", [0, 1])])
    assert plot.summary == "Calls, 12:00 to 12:01 UTC: admitted: 3, <refused>: 1"
    svg = plot.svg()
    assert svg.count("<rect") == 3
    assert "&lt;refused&gt;" in svg
    assert "style" not in svg
    assert Plot("Calls", ["a"], [Series("none", [0])]).svg().count("<rect") == 0


async def test_an_unknown_span_is_the_hour(browser: PageBrowser, live: LiveSettings) -> None:
    await browser.sign_in(live.current)
    for span, words in (("day", "the last day"), ("month", "the last 30 days"), ("<x>", "the last hour")):
        answer: httpx2.Response = await browser.http.get(
            f"{browser.origin}/people/console/figures", params={"span": span}
        )
        assert f"Figures of {words}" in answer.text
    async with page_browser(browser.origin) as other:
        await other.open("/people/console/figures")
        assert other.page.url.path == "/people/sign-in"
