"""Pictures of the pages for the documents: `make screenshots` writes them into docs/assets.

They show the sandbox. No test compares them, because each browser draws a little differently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from tests.conftest import PROJECT
from tests.tool_examples import STEVE

from .conftest import CHROMIUM
from .site import Site, running_site

ASSETS = PROJECT / "docs" / "assets"
WIDTH, HEIGHT = 900, 620


def console(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/people/console")


def figures(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/people/console/figures")


def audit(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/people/console/audit")


def approval(site: Site, page: Page) -> None:
    result = site.call("create_customer", {"dealer": "umazda", "customer": STEVE})
    page.goto(result["_meta"]["roadster-mcp/waiting"]["url"])


def file(site: Site, page: Page) -> None:
    """Says yes to the write before, whose customer the file is of."""
    page.get_by_role("button", name="Create a customer").click()
    page.get_by_text("Approved, and done.").wait_for()
    status = site.call("get_approval", {"approval_id": page.url.rpartition("/")[2]})["structuredContent"]
    customer = status["answer"]["customer_id"]
    licence = {"customer_id": customer, "document_type": "license", "document_name": "DL Front", "relationship": "self"}
    result = site.call("upload_document", {"dealer": "umazda", "file_name": "license.jpg", **licence})
    page.goto(result["_meta"]["roadster-mcp/waiting"]["url"])


PICTURES: dict[str, Callable[[Site, Page], None]] = {
    "page-approval.png": approval,
    "page-file.png": file,
    "page-console.png": console,
    "page-figures.png": figures,
    "page-audit.png": audit,
}
"""Each file, and the function that opens what it shows."""


def prepare(site: Site) -> None:
    """Makes calls, so that there is something to see."""
    vehicles = site.call("list_inventory", {"dealer": "umazda", "limit": 3})["structuredContent"]["vehicles"]
    for vehicle in vehicles:
        site.call("get_vehicle", {"dealer": "umazda", "vin": vehicle["vin"]})
    site.call("list_inventory", {"dealer": "toyotademo"})


def main() -> None:
    if CHROMIUM is None:
        sys.exit("there is no chromium; Debian's package of that name has it")
    with TemporaryDirectory() as folder, running_site(Path(folder)) as site, sync_playwright() as playwright:
        prepare(site)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", locale="en-US")
        page = context.new_page()
        site.sign_in(page)
        for name, show in PICTURES.items():
            show(site, page)
            page.screenshot(path=ASSETS / name)
        browser.close()


if __name__ == "__main__":
    main()
