"""A server of the sandbox with its pages, and a browser at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from roadster_server.calls.keys import Keys
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.store import open_store
from roadster_server.store.sql import SqlStore
from tests.server.transports.listening import listening

from .browser import PageBrowser, page_browser


@pytest.fixture
def live(tmp_path: Path) -> LiveSettings:
    return LiveSettings(sandbox_settings(f"sqlite:///{tmp_path}/store.db"))


@pytest.fixture
async def origin(live: LiveSettings) -> AsyncIterator[str]:
    async with listening(live) as url:
        yield url


@pytest.fixture
async def browser(origin: str) -> AsyncIterator[PageBrowser]:
    async with page_browser(origin) as opened:
        yield opened


@pytest.fixture
async def store(live: LiveSettings) -> AsyncIterator[SqlStore]:
    """The store of the server, which finds customers by their contact data as the server does."""
    keys = Keys.derive(live.current.roadster.api_key.get_secret_value())
    async with open_store(live.current.store.url.get_secret_value()) as opened:
        yield replace(opened, contact_key=keys.contacts)
