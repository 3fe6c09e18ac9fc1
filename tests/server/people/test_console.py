"""The console: what each view shows, to whom, and that each is on record."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from pydantic import SecretStr

from roadster_server.people.console.configuration import SECRET, sections_of
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import RoleSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.store import NewEvent
from roadster_server.store.sql import SqlStore
from tests.conftest import HOSTILE_TEXTS
from tests.server.store.databases import execute, lift_protection

from .browser import PageBrowser
from .consoles import call, change, give_everything, records_of

pytestmark = pytest.mark.anyio
VIEWS = ("", "/audit", "/figures", "/configuration", "/rights", "/actions")


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
