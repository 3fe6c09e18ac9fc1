"""The pages of a server over stdio: nothing listens before the first link, and nothing after the end."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx2
import pytest

from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.transports.loopback_pages import LoopbackPages
from tests.server.store.databases import execute
from tests.server.store.test_files import REQUEST
from tests.servers import PATIENCE

from .browser import page_browser

pytestmark = pytest.mark.anyio


async def test_a_link_opens_the_pages_and_the_end_closes_them(tmp_path: Path) -> None:
    live = LiveSettings(sandbox_settings(f"sqlite:///{tmp_path}/store.db"))
    http = live.current.http.model_copy(update={"resource_url": "https://mcp.example.com/mcp", "path_prefix": "/x"})
    live.current = live.current.model_copy(update={"http": http})
    pages = LoopbackPages(live)
    async with open_calls(live, local=True, page_links=pages.links) as calls, anyio.create_task_group() as tasks:
        tasks.start_soon(pages.run, calls)
        await anyio.lowlevel.checkpoint()
        url = await calls.services.page_links.url("approvals")
        assert url is not None
        assert url.startswith("http://127.0.0.1:"), "a public server is another process"
        assert url.endswith("/people/approvals")
        origin = url.removesuffix("/people/approvals")
        assert await calls.services.page_links.url("") == f"{origin}/people/", "all links go to one port"
        async with page_browser(origin) as browser:
            await browser.open("/people/sign-in")
            port = origin.rpartition(":")[2]
            assert f"roadster-mcp people open --sandbox --port {port}" in browser.page.text
            await browser.sign_in(live.current)
            assert "Signed in as" in browser.page.text
            for path in ("/mcp", "/metrics", "/healthz"):
                assert (await browser.http.get(f"{origin}{path}")).status_code == 404
            assert (await browser.http.get(f"{origin}/people", headers={"host": "evil.example"})).status_code == 421
        tasks.cancel_scope.cancel()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{origin}/people", trust_env=False)


async def test_with_the_first_link_files_that_are_over_begin_to_be_deleted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    live = LiveSettings(sandbox_settings(url))
    pages = LoopbackPages(live)
    async with open_calls(live, local=True, page_links=pages.links) as calls, anyio.create_task_group() as tasks:
        await calls.services.store.request_file(REQUEST, now=0, most=9)  # it is over for some days
        tasks.start_soon(pages.run, calls)
        await calls.services.page_links.url("files")
        with anyio.fail_after(PATIENCE):
            while await execute(url, "SELECT 1 FROM roadster_file_requests"):
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
