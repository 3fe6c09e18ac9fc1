"""The pages for people in Chromium: small and large, light and dark, by keyboard only, and without findings of axe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import HOSTILE_TEXTS

from .conftest import SCHEMES, WIDTHS, OpenPage, scrolls_sideways, serious_findings
from .site import CONFIG, Site, running_site

PAGES = (
    "",
    "console",
    "console/audit",
    "console/figures",
    "console/figures?span=month",
    "console/configuration",
    "console/rights",
    "console/actions",
)
"""The pages of somebody who signed in."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    callers = "".join(f"[callers.{json.dumps(text)}]\n" for text in HOSTILE_TEXTS)
    config = CONFIG + callers.replace("{", "{{").replace("}", "}}")
    with running_site(tmp_path_factory.mktemp("site"), config) as running:
        running.call("list_inventory", {"dealer": "umazda", "limit": 3})
        running.call("list_inventory", {"dealer": "toyotademo"})
        yield running


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_and_can_be_read(site: Site, open_page: OpenPage, width: int, scheme: str) -> None:
    with open_page(width, scheme) as page:
        page.goto(f"{site.url}/people/sign-in")
        check(page, "sign-in")
        site.sign_in(page)
        for path in PAGES:
            visit(page, site, path)
            check(page, path)
        ask_to_forget(page, site)
        check(page, "console/forget")


def ask_to_forget(page: Page, site: Site) -> None:
    """Opens the page that asks again before a customer is forgotten. Only the form of another page leads there."""
    visit(page, site, "console/actions")
    page.get_by_label("Dealer").fill("umazda")
    page.get_by_label("Customer's number").fill("7")
    page.get_by_role("button", name="Forget this customer").click()
    page.get_by_role("heading", name="Forget customer 7?").wait_for()


def visit(page: Page, site: Site, path: str) -> None:
    response = page.goto(f"{site.url}/people/{path}")
    assert response is not None
    assert response.status == 200, path


def check(page: Page, path: str) -> None:
    assert serious_findings(page) == [], path
    assert not scrolls_sideways(page), path


BROKEN_WORDS = """() => [...document.querySelectorAll("td, th")].flatMap((cell) => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const broken = [];
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/\\w+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((each) => each.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
})"""


def test_a_small_screen_breaks_no_word_of_a_table(site: Site, open_page: OpenPage) -> None:
    with open_page(360) as page:
        site.sign_in(page)
        for path in ("console", "console/audit"):
            visit(page, site, path)
            assert page.locator("td").count() > 0
            assert page.evaluate(BROKEN_WORDS) == []
            check(page, path)


def test_a_small_screen_shows_the_newest_of_a_plot(site: Site, open_page: OpenPage) -> None:
    with open_page(360) as page:
        site.sign_in(page)
        visit(page, site, "console/figures")
        assert page.locator(".plot").first.evaluate(
            "each => each.getBoundingClientRect().right <= innerWidth && each.getBoundingClientRect().left < 0"
        )


FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_reached_by_the_keyboard(site: Site, open_page: OpenPage, width: int) -> None:
    with open_page(width) as page:
        site.sign_in(page)
        for path in PAGES:
            visit(page, site, path)
            assert unreachable(page) == [], path
        ask_to_forget(page, site)
        assert unreachable(page) == [], "console/forget"


def unreachable(page: Page) -> list[str]:
    """Returns what can be used on the page and is not reached by the Tab key, or shows no focus there."""
    count = page.locator(FOCUSABLE).count()
    page.evaluate(
        "(query) => document.querySelectorAll(query).forEach((each, number) => { each.dataset.number = number })",
        FOCUSABLE,
    )
    page.evaluate("document.activeElement && document.activeElement.blur()")
    reached = {}
    # A field for a date and a time is several stops.
    for _ in range(count * 8 + 8):
        page.keyboard.press("Tab")
        number, outline = page.evaluate(
            """() => {
              const focused = document.activeElement;
              const style = getComputedStyle(focused);
              return [focused.dataset.number ?? null, style.outlineStyle + " " + style.outlineWidth];
            }"""
        )
        if number is not None:
            reached[int(number)] = outline
        if len(reached) == count:
            break
    names = page.evaluate(
        "(query) => [...document.querySelectorAll(query)].map((each) => each.outerHTML.slice(0, 80))", FOCUSABLE
    )
    return [name for number, name in enumerate(names) if reached.get(number, "none 0px").startswith("none")]


def test_a_person_signs_in_and_out_by_keyboard(site: Site, open_page: OpenPage) -> None:
    with open_page() as page:
        site.sign_in(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.wait_for_url("**#main")
        page.get_by_role("button", name="Sign out").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/people/sign-in")
        page.goto(f"{site.url}/people/console")
        assert page.url.split("?")[0].endswith("/people/sign-in")


def test_a_search_of_the_audit_by_keyboard(site: Site, open_page: OpenPage) -> None:
    with open_page() as page:
        site.sign_in(page)
        page.goto(f"{site.url}/people/console/audit")
        page.get_by_label("Outcome").focus()
        page.keyboard.type("refused")
        page.keyboard.press("Enter")
        page.wait_for_url("**outcome=refused**")
        rows = page.locator("tbody tr")
        assert rows.count() > 0
        assert set(page.locator("tbody tr td:nth-child(7)").all_inner_texts()) == {"refused"}


@contextmanager
def another_site(site: Site, page: Page, html: str) -> Iterator[None]:
    """Shows a page of another host of this machine: localhost, and not 127.0.0.1. The browser logs what it refuses."""
    other = f"{site.url.replace('127.0.0.1', 'localhost')}/evil"
    page.route(other, lambda route: route.fulfill(content_type="text/html", body=html))
    page.goto(other)
    yield


def test_no_other_site_frames_a_page(site: Site, chromium: Browser) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        site.sign_in(page)
        with another_site(site, page, f"<iframe src='{site.url}/people'></iframe>"):
            page.frames[1].wait_for_url("chrome-error:**")
            assert "Signed in" not in page.frames[1].content()


def test_no_other_site_sends_a_form(site: Site, chromium: Browser) -> None:
    """Also one that got hold of the token. The browser sends the cookie with it: both are the same site."""
    with chromium.new_context() as context:
        page = context.new_page()
        site.sign_in(page)
        token = page.locator("form.visitor input[name=form_token]").input_value()
        form = f"<form method=post action='{site.url}/people/sign-out'><input name=form_token value='{token}'>"
        with another_site(site, page, f"{form}<button>x</button></form>"):
            page.get_by_role("button").click()
            page.get_by_text("It came from another site").wait_for()
        page.goto(f"{site.url}/people")
        assert page.get_by_text("Signed in as").is_visible()


def test_cookies_are_out_of_reach_of_scripts(site: Site, open_page: OpenPage) -> None:
    with open_page() as page:
        site.sign_in(page)
        cookies = page.context.cookies()
        assert {cookie["name"].rpartition("-")[2] for cookie in cookies} == {"session", "browser"}
        assert {(cookie["httpOnly"], cookie["sameSite"], cookie["path"]) for cookie in cookies} == {
            (True, "Lax", "/people")
        }
        assert page.evaluate("document.cookie") == ""


def test_times_of_the_console_are_in_utc_wherever_its_person_is(site: Site, open_page: OpenPage) -> None:
    with open_page(timezone_id="America/Los_Angeles", locale="en-US") as page:
        site.sign_in(page)
        page.goto(f"{site.url}/people/console/audit")
        assert page.get_by_role("columnheader", name="Time (UTC)").is_visible()
        time = datetime.fromisoformat(page.locator("tbody td").nth(1).inner_text()).replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - time) < timedelta(hours=6)


def test_pages_work_without_scripts(site: Site, open_page: OpenPage) -> None:
    with open_page(java_script_enabled=False) as page:
        site.sign_in(page)
        page.goto(f"{site.url}/people/console/audit")
        page.get_by_role("button", name="Check the chain now").click()
        assert page.get_by_text("Whole").is_visible()
