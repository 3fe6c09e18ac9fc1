"""Addresses with the character that PostgreSQL takes in no text."""

from __future__ import annotations

import pytest

from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings

from .browser import PageBrowser

pytestmark = pytest.mark.anyio


@pytest.fixture
def live(postgresql_url: str) -> LiveSettings:
    return LiveSettings(sandbox_settings(postgresql_url))


@pytest.mark.parametrize("page", ["approvals/%00", "approvals/%00/file", f"approvals/{'0' * 31}%00"])
async def test_an_approval_that_cannot_be_is_not_there(page: str, browser: PageBrowser, live: LiveSettings) -> None:
    await browser.sign_in(live.current)
    await browser.open(f"/people/{page}")
    assert browser.page.status_code == 404


@pytest.mark.parametrize("name", ["person", "dealer", "tool", "outcome"])
async def test_a_search_of_the_audit_does_without_it(name: str, browser: PageBrowser, live: LiveSettings) -> None:
    await browser.sign_in(live.current)
    await browser.open(f"/people/console/audit?{name}=%00")
    assert browser.page.status_code == 200
