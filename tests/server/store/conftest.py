"""Stores on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from roadster_server.store import open_store
from roadster_server.store.sql import SqlStore


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty store, of either kind."""
    url: str = request.getfixturevalue("store_url" if request.param == "sqlite" else "postgresql_url")
    return url


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    async with open_store(url) as new_store:
        yield new_store
