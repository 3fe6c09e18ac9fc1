"""The pages on which people approve writes, over HTTP: who decides, and what no page, link or foreign site can do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest

from roadster_sandbox import SandboxTransport
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS
from tests.conftest import HOSTILE_TEXTS, World, answer_of, kind_of
from tests.server.calls.writes import DELETION, DOCUMENT, NEW_CUSTOMER, records
from tests.server.transports.listening import listening

from .assistants import assistant, change, let_writes_wait, waiting_call
from .browser import SAME_ORIGIN, PageBrowser, page_browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def live(live: LiveSettings) -> LiveSettings:
    """The settings of the sandbox, whose writes wait for a yes."""
    let_writes_wait(live)
    return live


@pytest.fixture
async def origin(live: LiveSettings, world: World) -> AsyncIterator[str]:
    """A server of a sandbox that can fail."""
    async with listening(live, SandboxTransport(world.app)) as url:
        yield url


async def ask(origin: str, **more: Any) -> dict[str, Any]:
    return await waiting_call(origin, "create_customer", {**NEW_CUSTOMER, **more})


async def status_of(origin: str, approval: str) -> dict[str, Any]:
    async with assistant(origin) as client:
        return answer_of(await client.call_tool("get_approval", {"approval_id": approval}))


async def test_a_person_reads_the_write_and_approves_it(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    assert waiting["approval_id"] in await browser.open("/people/approvals")
    page = await browser.open(waiting["url"])
    for text in ("Create a customer at University Mazda (umazda)?", "McQueen", "local", "is good for"):
        assert text in page
    page = await browser.submit(f"/approvals/{waiting['approval_id']}", decision="yes", reason="")
    assert "Approved, and done." in page
    assert "<form method" not in page.split("<main", 1)[1]
    status = await status_of(origin, waiting["approval_id"])
    assert (status["status"], status["answer"]["customer_id"]) == ("done", 1650260)


async def approve(browser: PageBrowser, live: LiveSettings, waiting: dict[str, Any]) -> str:
    """Says yes on the page, and returns the text of its content."""
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    page = await browser.submit(f"/approvals/{waiting['approval_id']}", decision="yes")
    return unescape(re.sub(r"<[^>]*>", "", page.split("<main", 1)[1]))


async def test_the_answer_is_shown_as_fields(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    content = await approve(browser, live, await ask(origin))
    assert "{" not in content
    assert "What came back" in content
    assert re.search(r"Customer ID\s*1650260\s", content)
    assert "edirect" not in content  # it signs in as the customer


async def test_whoever_asked_and_lost_the_dealer_reads_nothing_of_it(
    live: LiveSettings, origin: str, browser: PageBrowser
) -> None:
    waiting = await ask(origin)
    live.current = live.current.model_copy(
        update={"people": live.current.people.model_copy(update={"local_caller": "local"})}
    )
    await browser.sign_in(live.current)
    assert "McQueen" in await browser.open(waiting["url"])
    change(live, "local", dealers=["hyundaidemo"])
    assert "McQueen" not in await browser.open(waiting["url"])
    assert browser.page.status_code == 404


async def test_a_look_is_on_record_with_the_approval(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    rows = [row.record for row in await records(live.current.store.url.get_secret_value())]
    assert [row.approval for row in rows if row.tool == "page approval"] == [waiting["approval_id"]]


async def test_a_failure_is_shown_in_a_sentence(
    live: LiveSettings, origin: str, browser: PageBrowser, world: World
) -> None:
    waiting = await ask(origin)
    await world.fault("create_customer", "status", status=429)
    content = await approve(browser, live, waiting)
    assert "Approved, and not done." in content
    assert "Nothing was done" in content
    assert "What came back" not in content


async def test_a_lost_answer_says_once_how_to_learn_of_it(
    live: LiveSettings, origin: str, browser: PageBrowser, world: World
) -> None:
    waiting = await ask(origin)
    await world.fault("create_customer", "lost_answer")
    content = await approve(browser, live, waiting)
    assert "the answer was lost. It is not sent again." in content
    assert content.count(TOOLS["create_customer"].if_unknown) == 1


async def test_a_no_and_its_reason_reach_the_assistant(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    await browser.submit(f"/approvals/{waiting['approval_id']}", decision="no", reason="Wrong  customer")
    status = await status_of(origin, waiting["approval_id"])
    assert status["status"] == "declined"
    assert '"Wrong customer"' in status["message"]


async def test_a_get_never_approves(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(f"{waiting['url']}?decision=yes")
    assert (await browser.http.head(waiting["url"])).status_code in (200, 405)
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"


async def test_the_link_alone_lets_nobody_in(origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    page = await browser.open(waiting["url"])
    assert "McQueen" not in page
    assert "Sign in" in page
    answer = await browser.http.post(
        waiting["url"], data={"decision": "yes"}, headers={"origin": origin, **SAME_ORIGIN}
    )
    assert answer.status_code in (401, 403)
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"


async def test_a_guessed_id_and_that_of_others_look_the_same(
    live: LiveSettings, origin: str, browser: PageBrowser
) -> None:
    waiting = await ask(origin)
    manager = live.current.callers["manager"].model_copy(update={"dealers": ["hyundaidemo"]})
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "manager": manager}})
    await browser.sign_in(live.current)
    pages = [await browser.open(f"/people/approvals/{id_}") for id_ in (waiting["approval_id"], "0" * 32)]
    assert browser.page.status_code == 404
    assert "or your role may not decide about it. Ask the operator." in browser.page.text
    assert pages[0] == pages[1]
    assert waiting["approval_id"] not in await browser.open("/people/approvals")


@pytest.mark.parametrize(
    "attack",
    [
        {"headers": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}},
        {"headers": {"sec-fetch-site": "same-site"}},
        {"data": {"decision": "yes", "form_token": "0" * 64}},
        {"data": {"decision": "yes", "form_token": ""}},
    ],
)
async def test_a_form_of_another_site_decides_nothing(
    attack: dict[str, Any], live: LiveSettings, origin: str, browser: PageBrowser
) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    form = browser.form(f"/approvals/{waiting['approval_id']}")
    request = {"data": {**form.fields, "decision": "yes"}, "headers": {"origin": origin, **SAME_ORIGIN}} | attack
    assert (await browser.http.post(form.action, **request)).status_code == 403
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"


async def test_a_form_of_another_browser_decides_nothing(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    form = browser.form(f"/approvals/{waiting['approval_id']}")
    async with page_browser(origin) as other:
        await other.sign_in(live.current)
        answer = await other.http.post(
            form.action, data={**form.fields, "decision": "yes"}, headers={"origin": origin, **SAME_ORIGIN}
        )
    assert answer.status_code == 403
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"


async def test_a_form_that_is_sent_twice_decides_once(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    form = browser.form(f"/approvals/{waiting['approval_id']}")
    answers = [
        await browser.http.post(
            form.action, data={**form.fields, "decision": "yes"}, headers={"origin": origin, **SAME_ORIGIN}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert "decided before" in answers[1].text


async def test_a_form_without_a_decision_decides_nothing(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    for fields in ({}, {"decision": "maybe"}, {"decision": "yes", "reason": "x" * 501}):
        await browser.open(waiting["url"])
        await browser.submit(f"/approvals/{waiting['approval_id']}", **fields)
        assert browser.page.status_code == 400
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"


async def test_a_deletion_needs_a_tick_as_well(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    """It is what the sandbox asks about by itself, as docs/operate/approvals.md says."""
    live.current = sandbox_settings(live.current.store.url.get_secret_value())
    async with assistant(origin) as client:
        await client.call_tool("create_customer", NEW_CUSTOMER)
        await client.call_tool("upload_document", DOCUMENT)
        result = await client.call_tool("delete_documents", DELETION)
    waiting = (result.meta or {})["roadster-mcp/waiting"]
    action = f"/approvals/{waiting['approval_id']}"
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    page = await browser.submit(action, decision="yes", reason="not his licence")
    assert browser.page.status_code == 400
    assert "Tick the box" in page
    assert "not his licence" in page
    assert (await status_of(origin, waiting["approval_id"]))["status"] == "waiting"
    assert "Approved, and done." in await browser.submit(action, decision="yes", certain="yes")


async def test_hostile_texts_are_shown_as_text(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    await browser.sign_in(live.current)
    for text in HOSTILE_TEXTS:
        customer = {**NEW_CUSTOMER["customer"], "last_name": text[:900]}
        async with assistant(origin) as client:
            result = await client.call_tool("create_customer", {**NEW_CUSTOMER, "customer": customer})
        if kind_of(result) != "waiting":
            continue
        page = await browser.open((result.meta or {})["roadster-mcp/waiting"]["url"])
        assert "<script>alert" not in page
        assert "\u202e" not in page


async def test_a_role_without_approves_is_told_so(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    role = live.current.roles["manager"].model_copy(update={"approves": []})
    live.current = live.current.model_copy(update={"roles": {"manager": role}})
    await browser.sign_in(live.current)
    assert "You may not approve anything" in await browser.open("/people/approvals")


async def test_pages_refuse_to_be_framed(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await ask(origin)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    assert "frame-ancestors 'none'" in browser.page.headers["content-security-policy"]
    assert isinstance(browser.page, httpx2.Response)
