"""A browser without a screen: it keeps cookies, follows redirects, and sends the forms of pages as a browser does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx2

from roadster_server.calls.keys import Keys
from roadster_server.people.local_links import make_local_key
from roadster_server.settings.settings import Settings

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@dataclass
class Form:
    """A form of a page: where it goes to, and the fields that nobody types into."""

    action: str
    fields: dict[str, str]


class PageBrowser:
    """One browser at the pages of the server at `origin`. `page` is the answer that it shows."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self.http = http
        self.origin = origin
        self.page = httpx2.Response(204)

    async def open(self, path: str, **headers: str) -> str:
        """Opens a path, follows redirects, and returns the page's HTML."""
        self.page = await self.http.get(urljoin(self.origin, path), headers=headers)
        return self.page.text

    def form(self, action: str) -> Form:
        """Returns the form of the page that goes to a path with this end."""
        for attributes, content in re.findall(r"<form([^>]*)>(.*?)</form>", self.page.text, re.DOTALL):
            (target,) = re.findall(r'action="([^"]*)"', attributes) or [str(self.page.url)]
            if urlsplit(unescape(target)).path.endswith(action):
                pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', content)
                return Form(urljoin(str(self.page.url), unescape(target)), {k: unescape(v) for k, v in pairs})
        raise AssertionError(f"no form goes to {action}: {self.page.text}")

    async def submit(self, action: str, **fields: str) -> str:
        """Fills in a form of the page and sends it. Returns the HTML of the answer, after redirects."""
        form = self.form(action)
        headers = {"origin": self.origin, **SAME_ORIGIN}
        self.page = await self.http.post(form.action, data={**form.fields, **fields}, headers=headers)
        return self.page.text

    async def sign_in(self, settings: Settings, caller: str | None = None) -> None:
        """Signs in by a link of this machine."""
        await self.open(link_path(settings, caller))
        await self.submit("/people/link")
        assert self.page.status_code == 200, self.page.text


def link_path(settings: Settings, caller: str | None = None) -> str:
    """Returns the path of the link that `roadster-mcp people open` prints."""
    keys = Keys.derive(settings.roadster.api_key.get_secret_value())
    name = caller or settings.people.local_caller
    assert name is not None
    return f"/people/link?key={make_local_key(keys.people, name, datetime.now(UTC))}"


@asynccontextmanager
async def page_browser(origin: str) -> AsyncIterator[PageBrowser]:
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as http:
        yield PageBrowser(http, origin)
