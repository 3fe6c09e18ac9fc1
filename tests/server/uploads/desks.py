"""A page that links lead to, and the desk behind it, at the store of a test."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp_types import CallToolResult

from roadster_server.calls.keys import Keys
from roadster_server.calls.page_links import PageLinks
from roadster_server.calls.results import WAITING_META
from roadster_server.store.lazy import lazy_store
from roadster_server.uploads.acceptance import Scan
from roadster_server.uploads.clamd import scan_with
from roadster_server.uploads.waiting import FileDesk, FileKeys
from tests.conftest import kind_of, settings_for, text_of

PAGES = "http://pages.example.com"


async def _address() -> str:
    return PAGES


def page_links(store_url: str) -> PageLinks:
    return PageLinks(lambda: settings_for(store_url), _address)


@asynccontextmanager
async def desk_at(store_url: str, scan: Scan | None = None) -> AsyncIterator[FileDesk]:
    """The desk of another process that uses the same store."""
    keys = Keys.derive(settings_for(store_url).roadster.api_key.get_secret_value())
    async with lazy_store(store_url, contact_key=keys.contacts) as store:
        yield FileDesk(store, FileKeys(keys.files, keys.hash), scan or scan_with(None))


def wanted_by(result: CallToolResult) -> tuple[str, str]:
    """Returns the secret of the link and the handle that a call answers with."""
    assert kind_of(result) == "waiting", text_of(result)
    details: dict[str, Any] = (result.meta or {})[WAITING_META]
    assert details["url"] in text_of(result)
    assert details["upload"] in text_of(result)
    assert details["upload"] not in details["url"]
    return secret_in(details["url"]), details["upload"]


def secret_in(url: str) -> str:
    match = re.fullmatch(rf"{PAGES}/people/files/([\w-]{{32}})", url)
    assert match is not None
    return match[1]
