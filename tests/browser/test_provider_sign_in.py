"""People sign in to the pages in Chromium, with a real OpenID provider: the one of `make oauth`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.processes.sign_in import SignIn, require_packages, signing_in
from tests.servers import sandbox_server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignIn]:
    require_packages()
    with sandbox_server() as upstream, signing_in(tmp_path_factory.mktemp("sign-in"), upstream) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that reaches this machine only: the provider's own pages ask others for a font."""
    with chromium.new_context() as context:
        context.route(re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), lambda route: route.abort())
        yield context.new_page()


def sign_in(page: Page, name: str) -> None:
    """Fills in the provider's pages: who it is, and that they agree."""
    page.get_by_role("link", name="Sign in with work").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_person_signs_in_and_comes_to_the_page_that_they_opened(site: SignIn, page: Page) -> None:
    pages = site.url.removesuffix("/mcp") + "/people"
    page.goto(f"{pages}/console")
    assert page.url == f"{pages}/sign-in?next=console"
    sign_in(page, "steve")
    page.wait_for_url(f"{pages}/console")
    assert page.get_by_text("Signed in as work:steve").is_visible()
    page.goto(f"{pages}/console/audit?person=work:steve")
    assert "page sign-in" in page.locator("tbody").inner_text()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{pages}/console")
    assert page.url == f"{pages}/sign-in?next=console"


def test_somebody_without_a_role_is_told_so(site: SignIn, page: Page) -> None:
    pages = site.url.removesuffix("/mcp") + "/people"
    page.goto(f"{pages}/sign-in")
    sign_in(page, "carlos")
    page.get_by_text("nobody has given your account a role here").wait_for()
    assert "carlos" not in page.content()


def test_somebody_who_cancels_at_the_provider_is_not_signed_in(site: SignIn, page: Page) -> None:
    pages = site.url.removesuffix("/mcp") + "/people"
    page.goto(f"{pages}/sign-in")
    page.get_by_role("link", name="Sign in with work").click()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_text("You are not signed in. Try again.").wait_for()
