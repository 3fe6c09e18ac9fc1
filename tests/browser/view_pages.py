"""Pages of hosts that show a view, and what a test does with its controls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Frame, FrameLocator, Locator, Page, expect

from tests.servers import until

from .conftest import OpenPage
from .view_hosts import Bridge, Gateway, Inspector

Host = Bridge | Inspector
QUOTE, INVENTORY = "quote_payments", "list_inventory"
CAR, OTHER_CAR = "3MVDMBBM0SM603109", "3MVDMBBM5RM336074"
AT_CAR = {"dealer": "umazda", "vin": CAR}
PATIENCE = 60_000
"""Milliseconds. Only an endless wait takes as long."""

NOISE = (
    # The outage of a test, and the gateway's word that it has no stream of notifications.
    "status of (503|405)"
    # The Inspector asks for fonts elsewhere, and this browser reaches nothing else. It says what its session lacks.
    "|ERR_NAME_NOT_RESOLVED|status of 409"
    # @mcp-ui/client sends the host's context before it is connected, and once more afterwards.
    "|^Not connected$"
    # The Inspector puts the document into one of its own, where a policy does not count. Its own policy does.
    "|delivered via a <meta> element outside the document's <head>"
)
"""Errors of the console that are none of a view."""


@contextmanager
def shown(
    host: Host,
    open_page: OpenPage,
    tool: str,
    arguments: dict[str, Any],
    width: int = 1280,
    scheme: str = "light",
    **options: Any,
) -> Iterator[tuple[Page, FrameLocator]]:
    """A page of the host that shows the answer of the tool, and the view in it."""
    with open_page(width, scheme, ignored=NOISE) as page:
        page.set_default_timeout(PATIENCE)
        yield page, host.show(page, tool, arguments, theme=scheme, **options)


def deal(view: FrameLocator, name: str) -> Locator:
    return view.locator(f'[data-deal="{name}"]').first


def settled(view: FrameLocator) -> None:
    expect(view.locator('[aria-busy="true"]')).to_have_count(0, timeout=PATIENCE)


def change(view: FrameLocator, gateway: Gateway, act: Any) -> dict[str, Any]:
    """Changes a control, and returns the arguments of the one call that follows."""
    count = len(gateway.calls)
    act()
    until(lambda: len(gateway.calls) > count)
    settled(view)
    (tool, arguments), *more = gateway.calls[count:]
    assert (tool, more) == (QUOTE, [])
    return arguments


def frame_of(page: Page) -> Frame:
    return page.frames[-1]
