"""Makes the pictures of the views in docs/assets anew: `make screenshots`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.conftest import PROJECT
from tests.tool_examples import every_call

from .conftest import ARGUMENTS, CHROMIUM
from .view_hosts import Bridge, open_gateway

ASSETS = PROJECT / "docs" / "assets"
CAR = "3MVDMBBM0SM603109"


def main() -> None:
    """Takes each picture of the sandbox's dealer, inside a page on the bridge of ext-apps."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_gateway(Path(folder)) as gateway,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        bridge = Bridge("appbridge", gateway)
        wide = browser.new_page(viewport={"width": 1000, "height": 1100})
        terms = {"dealer": "umazda", "vin": CAR, "customer_cash": 2000, "term_months": 36}
        view = bridge.show(wide, "quote_payments", terms)
        view.locator(".figure").first.wait_for()
        _take(wide, "view-quote.png")
        narrow = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        view = bridge.show(narrow, "quote_payments", terms, theme="dark")
        view.get_by_role("button", name="Customer looks on").click()
        view.locator(".figure").first.wait_for()
        _take(narrow, "view-quote-narrow.png")
        cards = browser.new_page(viewport={"width": 1000, "height": 800})
        view = bridge.show(cards, "list_inventory", {"dealer": "umazda", "limit": 6})
        view.locator(".figure").first.wait_for()
        _take(cards, "view-inventory.png")
        card = browser.new_page(viewport={"width": 700, "height": 460})
        view = bridge.show(card, "create_customer", every_call("umazda")["create_customer"])
        view.locator('button[data-answer="yes"]').wait_for()
        _take(card, "view-card.png")
        browser.close()


def _take(page: Page, name: str) -> None:
    page.screenshot(path=ASSETS / name)


if __name__ == "__main__":
    main()
