"""A feed, and a server whose upstream has it."""

from __future__ import annotations

import pytest

from roadster_sandbox.http.app import make_app
from roadster_sandbox.http.endpoint import Sandbox
from tests.conftest import World
from tests.server.inventory.feeds import Feed


@pytest.fixture
def feed(store_url: str) -> Feed:
    return Feed(Sandbox(7), store_url)


@pytest.fixture
def world(feed: Feed) -> World:
    return World(make_app(feed.sandbox))
