"""Chromium, driven by Playwright. Debian's package has the browser: Playwright's own download needs its servers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from .view_hosts import Bridge, Gateway, Inspector, open_gateway, open_inspector

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing leaves the machine
    "--no-first-run",
    "--no-sandbox",  # a container's root has no other way
)

WIDTHS = (360, 1280)
"""Pixels: a small phone, and a laptop."""

SCHEMES = ("light", "dark")

OpenPage = Callable[..., Any]
"""Opens a page of a new, empty browser context, as `with open_page(width, scheme) as page:`.

`ignored` is a pattern of errors of the console that do not count.
"""


# Playwright runs an event loop in this thread until the block ends, so no test of another folder may run meanwhile.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "there is no chromium; Debian's package of that name has it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> OpenPage:
    """The way to a page. It fails at its end if the page has logged an error, such as a breach of its policy."""

    @contextmanager
    def open_one(
        width: int = 1280, scheme: str = "light", ignored: str | None = None, **context: Any
    ) -> Iterator[Page]:
        with chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light", **context
        ) as new_context:
            page = new_context.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield page
            assert [error for error in errors if ignored is None or not re.search(ignored, error)] == []

    return open_one


def serious_findings(page: Page | Frame) -> list[str]:
    """Returns what axe finds of the impacts serious and critical: the rule, and the first place that breaks it."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']} at {found['nodes'][0]['target']}"
        for found in violations
        if found["impact"] in {"serious", "critical"}
    ]


def scrolls_sideways(page: Page | Frame) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def started_gateway(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Depends on the browser, so that nothing is started where there is none."""
    with open_gateway(tmp_path_factory.mktemp("views")) as opened:
        yield opened


@pytest.fixture
def gateway(started_gateway: Gateway) -> Gateway:
    started_gateway.reset()
    return started_gateway


@pytest.fixture
def bridge(gateway: Gateway) -> Bridge:
    return Bridge("appbridge", gateway)


@pytest.fixture(scope="module")
def inspector(started_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    with open_inspector(started_gateway, tmp_path_factory.mktemp("inspector")) as opened:
        yield opened


@pytest.fixture(params=["appbridge", "mcp-ui", "inspector"])
def host(request: pytest.FixtureRequest, gateway: Gateway) -> Bridge | Inspector:
    inspector: Inspector = request.getfixturevalue("inspector") if request.param == "inspector" else None
    return inspector or Bridge(request.param, gateway)
