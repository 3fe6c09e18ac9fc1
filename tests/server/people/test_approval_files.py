"""The file of a write that waits: who may look at it, and that it is the one that would be sent."""

from __future__ import annotations

import base64

import httpx2
import pytest

from roadster_server.settings.live import LiveSettings
from roadster_tools import Access
from tests.server.calls.writes import DOCUMENT, NEW_CUSTOMER, records
from tests.tool_examples import BLANK_PDF, LICENCE_PNG, NEW_TEMPLATE

from .assistants import change, let_writes_wait, waiting_call
from .browser import PageBrowser

pytestmark = pytest.mark.anyio

ACTION = "page approval file"


@pytest.fixture
def live(live: LiveSettings) -> LiveSettings:
    let_writes_wait(live)
    return live


async def look(browser: PageBrowser, url: str) -> httpx2.Response:
    await browser.open(f"{url}/file")
    return browser.page


async def outcomes(live: LiveSettings) -> list[tuple[str, str | None, str]]:
    """Returns person, dealer and outcome of each look that is on record."""
    rows = [row.record for row in await records(live.current.store.url.get_secret_value())]
    return [(row.principal, row.dealer, row.outcome) for row in rows if row.tool == ACTION]


async def test_an_approver_looks_at_what_would_be_sent(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await waiting_call(origin, "upload_document", DOCUMENT)
    await browser.sign_in(live.current)
    page = await browser.open(waiting["url"])
    assert f"a PNG picture, {len(base64.b64decode(LICENCE_PNG))} bytes" in page
    assert f"/people/approvals/{waiting['approval_id']}/file" in page
    file = await look(browser, waiting["url"])
    assert (file.status_code, file.content) == (200, base64.b64decode(LICENCE_PNG))
    assert file.headers["content-type"] == "image/png"
    assert file.headers["content-disposition"] == 'attachment; filename="file.png"'
    assert file.headers["x-content-type-options"] == "nosniff"
    assert await outcomes(live) == [("manager", "umazda", "done")]


async def test_the_pages_of_a_pdf_are_named(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await waiting_call(origin, "create_template", {"dealer": "umazda", **NEW_TEMPLATE})
    await browser.sign_in(live.current)
    assert "a PDF of 1 page, " in await browser.open(waiting["url"])
    assert (await look(browser, waiting["url"])).content == base64.b64decode(BLANK_PDF)


async def test_nobody_else_looks_at_it(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await waiting_call(origin, "upload_document", DOCUMENT)
    await look(browser, waiting["url"])
    assert browser.page.url.path == "/people/sign-in"
    await browser.sign_in(live.current)
    change(live, "manager", dealers=["hyundaidemo"])
    assert (await look(browser, waiting["url"])).status_code == 404
    change(live, "manager", dealers=["umazda"])
    approving = live.current.approvals.model_copy(update={"two_person": ["documents"]})
    people = live.current.people.model_copy(update={"local_caller": "local"})
    live.current = live.current.model_copy(update={"approvals": approving, "people": people})
    await browser.sign_in(live.current)  # as the side that asked
    assert (await look(browser, waiting["url"])).status_code == 403
    assert "Look at the file" not in browser.page.text
    assert await outcomes(live) == [("local", "umazda", "refused")]


async def test_a_file_is_there_while_the_write_waits(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await waiting_call(origin, "upload_document", DOCUMENT)
    await browser.sign_in(live.current)
    await browser.open(waiting["url"])
    page = await browser.submit(f"/approvals/{waiting['approval_id']}", decision="no")
    assert "a PNG picture" in page
    assert "Look at the file" not in page
    assert (await look(browser, waiting["url"])).status_code == 403


async def test_a_file_goes_with_the_right_of_the_side_that_asked(
    live: LiveSettings, origin: str, browser: PageBrowser
) -> None:
    waiting = await waiting_call(origin, "upload_document", DOCUMENT)
    await browser.sign_in(live.current)
    change(live, "local", access={"documents": Access.READ})
    assert (await look(browser, waiting["url"])).status_code == 409
    assert await outcomes(live) == [("manager", "umazda", "not_found")]


async def test_a_write_without_a_file_has_none(live: LiveSettings, origin: str, browser: PageBrowser) -> None:
    waiting = await waiting_call(origin, "create_customer", NEW_CUSTOMER)
    await browser.sign_in(live.current)
    assert "The file itself" not in await browser.open(waiting["url"])
    assert (await look(browser, waiting["url"])).status_code == 403
