"""The pages of approvals in Chromium: each state of a write can be read by everybody, and a deletion needs its tick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Page

from tests.servers import PATIENCE
from tests.tool_examples import LICENCE_PNG, STEVE

from .conftest import SCHEMES, WIDTHS, OpenPage
from .site import CONFIG, Site, running_site
from .test_people import check, unreachable


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site"), CONFIG) as running:
        yield running


def open_question(site: Site, page: Page, tool: str, arguments: dict[str, Any]) -> None:
    """Makes a call that waits, and opens its page."""
    result = site.call(tool, {"dealer": "umazda", **arguments})
    page.goto(result["_meta"]["roadster-mcp/waiting"]["url"])


def answer_of(site: Site, page: Page, button: str) -> dict[str, Any]:
    """Says yes on the page, and returns the answer of the write."""
    page.get_by_role("button", name=button).click()
    page.get_by_text("Approved, and done.").wait_for()
    status = site.call("get_approval", {"approval_id": urlsplit(page.url).path.rpartition("/")[2]})
    answer: dict[str, Any] = status["structuredContent"]["answer"]
    return answer


def fail_next(site: Site, fault: str, **more: Any) -> None:
    body = {"operation": "create_customer", "fault": fault, "times": 1, **more}
    httpx2.post(f"{site.upstream}/__sandbox/faults", json=body, timeout=PATIENCE, trust_env=False).raise_for_status()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_outcomes_fit_and_can_be_read(site: Site, open_page: OpenPage, width: int, scheme: str) -> None:
    with open_page(width, scheme) as page:
        site.sign_in(page)
        for number, (fault, text) in enumerate(
            (
                ({}, "Approved, and done."),
                ({"fault": "status", "status": 429}, "Approved, and not done."),
                ({"fault": "lost_answer"}, "the answer was lost"),
            )
        ):
            customer = {
                **STEVE,
                "last_name": f"McQueen {scheme} {width}",
                "email": f"{scheme}{width}{number}@example.com",
            }
            open_question(site, page, "create_customer", {"customer": customer})
            check(page, "waiting")
            if fault:
                fail_next(site, **fault)  # type: ignore[arg-type]
            page.get_by_role("button", name="Create a customer").click()
            page.get_by_text(text).wait_for()
            check(page, text)
            assert unreachable(page) == []
        page.goto(f"{site.url}/people/approvals")
        check(page, "list")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_deletion_is_done_only_with_its_tick(site: Site, open_page: OpenPage, width: int, scheme: str) -> None:
    with open_page(width, scheme) as page:
        site.sign_in(page)
        customer = {**STEVE, "email": f"delete{scheme}{width}@example.com"}
        open_question(site, page, "create_customer", {"customer": customer})
        id_ = answer_of(site, page, "Create a customer")["customer_id"]
        file = {"document_type": "license", "document_name": "DL", "file_name": "dl.png", "relationship": "self"}
        open_question(site, page, "upload_document", {"customer_id": id_, "contents": LICENCE_PNG, **file})
        document = answer_of(site, page, "Upload a document")["document_id"]

        open_question(site, page, "delete_documents", {"customer_id": id_, "document_ids": [document]})
        check(page, "deletion")
        assert unreachable(page) == []
        deletion, no = (page.get_by_role("button", name=name, exact=True) for name in ("Delete documents", "No"))
        colours = [button.evaluate("each => getComputedStyle(each).backgroundColor") for button in (deletion, no)]
        assert colours[0] == page.evaluate(
            "() => { const each = document.createElement('p'); each.className = 'bad'; document.body.append(each);"
            " return getComputedStyle(each).color }"
        )
        assert colours[1] == "rgba(0, 0, 0, 0)"
        deletion.click()
        assert page.get_by_text("Waits for a yes or a no.").is_visible()
        page.get_by_label("I know that this cannot be undone").check()
        deletion.click()
        page.get_by_text("Approved, and done.").wait_for()
