"""A server of the sandbox with its pages, and a browser at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
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
