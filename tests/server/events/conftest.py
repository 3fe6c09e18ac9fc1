"""Web hooks with a store of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import WebhookSettings
from roadster_server.store.lazy import LazyStore, lazy_store
from tests.conftest import CONTACT_KEY, settings_for
from tests.server.events.hooks import KEY, OLD_KEY, ROADIE_KEY, Hooks


@pytest.fixture
def live(store_url: str) -> LiveSettings:
    keys = WebhookSettings(
        roadster_keys=[SecretStr(KEY), SecretStr(OLD_KEY)], roadie_keys=[SecretStr(ROADIE_KEY)], retention_days=30
    )
    return LiveSettings(settings_for(store_url).model_copy(update={"webhooks": keys}))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[LazyStore]:
    async with lazy_store(store_url, contact_key=CONTACT_KEY) as lazy:
        yield lazy


@pytest.fixture
def hooks(live: LiveSettings, store: LazyStore) -> Hooks:
    return Hooks(live, store)
