"""A deal of a client that can ask nobody: a yes on the page, a photo by a phone, and each write once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.conftest import HOSTILE_TEXTS
from tests.server.uploads.pictures import phone_photo
from tests.servers import PATIENCE
from tests.tool_examples import STEVE

from .conftest import SCHEMES, WIDTHS, OpenPage
from .site import CONFIG, Site, running_site
from .test_people import check, unreachable


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site"), CONFIG) as running:
        yield running


def waiting_of(result: dict[str, Any]) -> dict[str, Any]:
    """Returns what a program learns of a call that waits for a person."""
    waiting: dict[str, Any] = result["_meta"]["roadster-mcp/waiting"]
    return waiting


def writes_of(site: Site) -> list[str]:
    """Returns the writes that the upstream saw, as method and path."""
    requests = httpx2.get(f"{site.upstream}/__sandbox/requests", timeout=PATIENCE, trust_env=False).json()
    return [f"{each['method']} {each['path']}" for each in requests if each["method"] != "GET"]


def approve(site: Site, open_page: OpenPage, waiting: dict[str, Any], button: str) -> None:
    """Signs a manager in, who reads the write on its page and says yes."""
    with open_page() as page:
        site.sign_in(page)
        page.goto(f"{site.url}/people/console")
        page.get_by_role("link", name="Writes that you may approve: 1").click()
        page.locator(f"a[href$='{waiting['approval_id']}']").click()
        page.get_by_text("Steve").first.wait_for()
        page.get_by_role("button", name=button).click()
        page.get_by_text("Approved, and done.").wait_for()


def test_a_deal_without_elicitation(site: Site, open_page: OpenPage) -> None:
    """A client that cannot ask creates a customer and hands in a licence. Two people and two pages do the rest."""
    arguments = {"dealer": "umazda", "customer": STEVE}
    before = writes_of(site)
    waiting = waiting_of(site.call("create_customer", arguments))
    assert waiting["url"] == f"{site.url}/people/approvals/{waiting['approval_id']}"
    assert writes_of(site) == before, "nothing was sent"

    approve(site, open_page, waiting, "Create a customer")
    status = site.call("get_approval", {"approval_id": waiting["approval_id"]})["structuredContent"]
    assert status["status"] == "done"
    customer = status["answer"]["customer_id"]
    again = site.call("create_customer", arguments)
    assert not again.get("isError"), "the same call has the outcome of the approval"
    assert again["structuredContent"]["customer_id"] == customer

    licence = {
        "dealer": "umazda",
        "customer_id": customer,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license.jpg",
        "relationship": "self",
    }
    file = waiting_of(site.call("upload_document", licence))
    with open_page(360, is_mobile=True, has_touch=True) as phone:
        phone.goto(file["url"])
        photo = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": phone_photo()}
        phone.locator("#photo").set_input_files([photo])  # type: ignore[list-item]
        phone.get_by_role("button", name="Hand over").click()
        phone.get_by_text("You may close this page, and go back to the chat.").first.wait_for()
    with_file = {**licence, "upload": file["upload"]}
    waiting = waiting_of(site.call("upload_document", with_file))
    with open_page() as page:
        site.sign_in(page)
        page.goto(waiting["url"])
        page.get_by_text("DL Front").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Look at the file").click()
        assert download.value.suggested_filename == "file.jpg"
        assert download.value.path().read_bytes().startswith(b"\xff\xd8\xff")
        page.get_by_role("button", name="Upload a document").click()
        page.get_by_text("Approved, and done.").wait_for()
    status = site.call("get_approval", {"approval_id": waiting["approval_id"]})["structuredContent"]
    assert status["status"] == "done"

    documents = site.call("list_documents", {"dealer": "umazda", "customer_id": customer})["structuredContent"]
    assert "DL Front" in str(documents)
    new = writes_of(site)[len(before) :]
    assert len(new) == 2, new
    assert len(set(new)) == 2, "each write once"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_approvals_fit_and_can_be_read(site: Site, open_page: OpenPage, width: int, scheme: str) -> None:
    customer = {**STEVE, "last_name": f"McQueen {scheme} {width}"}
    waiting = waiting_of(site.call("create_customer", {"dealer": "umazda", "customer": customer}))
    with open_page(width, scheme) as page:
        site.sign_in(page)
        page.goto(f"{site.url}/people/approvals")
        check(page, "approvals")
        assert unreachable(page) == []
        page.goto(waiting["url"])
        check(page, "approval")
        assert unreachable(page) == []
        page.get_by_label("Reason").fill("not this one")
        page.get_by_role("button", name="No", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_text("not this one").wait_for()
        check(page, "declined")
        page.goto(f"{site.url}/people/approvals")
        check(page, "decided")


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_names_are_text_on_the_page(site: Site, open_page: OpenPage, text: str) -> None:
    """A name that is too long for a person to read is refused before it waits."""
    result = site.call("create_customer", {"dealer": "umazda", "customer": {**STEVE, "first_name": text}})
    meta = result.get("_meta", {})
    if "roadster-mcp/waiting" not in meta:
        assert result["isError"]
        return
    with open_page(360) as page:
        site.sign_in(page)
        page.goto(waiting_of(result)["url"])
        check(page, text)
        assert page.locator("main script, main img").count() == 0
        content = page.locator("main").inner_text()
        assert "\u202e" not in content
        assert "49" not in page.locator("main dl").first.inner_text().split()
