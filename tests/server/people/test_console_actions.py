"""The actions of the console: tokens revoked, customers forgotten, events released."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from roadster_server.calls.keys import Keys
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.store import NewEvent
from roadster_server.store.sql import SqlStore

from .browser import PageBrowser
from .consoles import change, give_everything, records_of

pytestmark = pytest.mark.anyio


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
