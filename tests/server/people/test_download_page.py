"""The page where a person takes a file once, by a link from an answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from mcp import Client

from roadster_server.settings.live import LiveSettings
from roadster_tools import Access
from tests.conftest import answer_of
from tests.server.calls.writes import records
from tests.server.uploads.test_acceptance import pdf_of_size
from tests.tool_examples import LICENCE_PNG, STEVE
from tests.tools.umazda import AT_UMAZDA

from .browser import SAME_ORIGIN, PageBrowser

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(LICENCE_PNG)


@dataclass
class Deal:
    """A document in a customer's binder, and a client that may read it."""

    client: Client
    document: dict[str, Any]

    async def link(self, tool: str = "get_document", **arguments: Any) -> str:
        answer = answer_of(await self.client.call_tool(tool, arguments or self.document))
        return str(answer["download"])


@pytest.fixture
def live(live: LiveSettings) -> LiveSettings:
    """The sandbox's caller, who sees contact data here."""
    caller = live.current.callers["local"].model_copy(update={"personal_data": "contact"})
    return LiveSettings(live.current.model_copy(update={"callers": {**live.current.callers, "local": caller}}))


@pytest.fixture
async def deal(origin: str) -> AsyncIterator[Deal]:
    async with Client(f"{origin}/mcp") as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        new = {
            **AT_UMAZDA,
            "customer_id": customer,
            "document_type": "license",
            "document_name": "DL Front",
            "file_name": "license.png",
            "relationship": "self",
            "contents": LICENCE_PNG,
        }
        document = answer_of(await client.call_tool("upload_document", new))["document_id"]
        yield Deal(client, {**AT_UMAZDA, "customer_id": customer, "document_id": document})


async def take(browser: PageBrowser) -> httpx2.Response:
    """Presses the button of the page."""
    form = browser.form(browser.page.url.path)
    headers = {"origin": browser.origin, **SAME_ORIGIN}
    browser.page = await browser.http.post(form.action, data=form.fields, headers=headers)
    return browser.page


async def test_a_person_takes_a_document_once(browser: PageBrowser, deal: Deal, live: LiveSettings) -> None:
    link = await deal.link()
    for _ in range(2):  # a chat that looks at links in messages uses none up
        assert "Once the download has begun, the link is used" in await browser.open(link)
        assert "It works once." in browser.page.text
    file = await take(browser)
    assert (file.status_code, file.content) == (200, PNG)
    assert file.headers["content-type"] == "image/png"
    assert file.headers["content-disposition"] == 'attachment; filename="document_file.png"'
    assert file.headers["x-content-type-options"] == "nosniff"
    await browser.open(link)
    assert browser.page.status_code == 410
    assert "Go to the start" not in browser.page.text, "a customer cannot sign in there"
    last = (await records(live.current.store.url.get_secret_value()))[-1].record
    assert (last.tool, last.outcome, last.protocol) == ("get_document", "done", "page")


async def test_a_document_that_is_too_large_for_a_model_names_its_link(deal: Deal) -> None:
    large = {
        **AT_UMAZDA,
        "customer_id": deal.document["customer_id"],
        "document_type": "license",
        "document_name": "DL Back",
        "file_name": "license.pdf",
        "relationship": "self",
        "contents": base64.b64encode(pdf_of_size(65_537)).decode(),
    }
    new = answer_of(await deal.client.call_tool("upload_document", large))["document_id"]
    wish = {**deal.document, "document_id": new, "detail": "full"}
    answer = answer_of(await deal.client.call_tool("get_document", wish))
    assert "contents" not in answer
    assert answer["download"].startswith("http")
    assert "Show the person the link in download" in answer["hint"]


async def test_a_template_is_downloaded_too(browser: PageBrowser, deal: Deal) -> None:
    await browser.open(await deal.link("get_template_file", **AT_UMAZDA, template_id="278"))
    file = await take(browser)
    assert file.content.startswith(b"%PDF-")
    assert file.headers["content-disposition"].startswith("attachment; ")


async def test_a_form_of_another_browser_takes_nothing(browser: PageBrowser, deal: Deal) -> None:
    link = await deal.link()
    await browser.open(link)
    answer = await browser.http.post(link, data={}, headers={"origin": browser.origin, **SAME_ORIGIN})
    assert answer.status_code == 403
    assert (await take(browser)).status_code == 200


async def test_the_right_is_that_of_the_moment(browser: PageBrowser, deal: Deal, live: LiveSettings) -> None:
    link = await deal.link()
    await browser.open(link)
    caller = live.current.callers["local"]
    less = caller.model_copy(update={"access": {**caller.access, "documents": Access.OFF}})
    settings = live.current.model_copy(update={"callers": {**live.current.callers, "local": less}})
    settings.derive()
    live.current = settings
    assert (await take(browser)).status_code == 409
    assert PNG not in browser.page.content


async def test_a_link_to_a_download_takes_no_file(browser: PageBrowser, deal: Deal) -> None:
    link = (await deal.link()).replace("/downloads/", "/files/")
    await browser.open(link)
    assert browser.page.status_code == 410
