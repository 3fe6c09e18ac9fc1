"""The metadata of identity providers: how often they are fetched, and who waits for them."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from roadster_client import NetworkPath
from roadster_server.identity.authorization import ProviderMetadata, SignInFailed
from roadster_server.settings.sections.callers import IdentitySettings, PeopleRule
from roadster_server.settings.sections.network import NetworkSettings
from tests.hanging import hanging_upstream

from .provider import Provider, running_provider

pytestmark = pytest.mark.anyio


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def network() -> NetworkPath:
    return NetworkSettings().path()


def settings_of(issuer: str) -> IdentitySettings:
    rule = PeopleRule(match={"groups": "managers"}, role="manager")
    return IdentitySettings(issuer=issuer, audiences=["https://mcp.example.com/mcp"], people=[rule])


async def test_beginning_a_sign_in_does_not_ask_the_provider_each_time(
    provider: Provider, network: NetworkPath
) -> None:
    """Anybody may begin one, and again and again."""
    now = 0.0
    metadata = ProviderMetadata(lambda: now)
    work = settings_of(provider.url)
    for _ in range(3):
        await metadata.of("work", work, network)
    assert provider.metadata_requests == 1
    now = 601.0
    provider.metadata = {"issuer": "https://evil.example"}
    for _ in range(3):
        with pytest.raises(SignInFailed):
            await metadata.of("work", work, network)
    assert provider.metadata_requests == 2
    now, provider.metadata = 607.0, {}
    await metadata.of("work", work, network)
    assert provider.metadata_requests == 3


async def test_a_provider_that_does_not_answer_holds_up_no_sign_in_at_another(
    provider: Provider, network: NetworkPath
) -> None:
    metadata = ProviderMetadata()
    async with hanging_upstream() as dead, anyio.create_task_group() as tasks:
        tasks.start_soon(metadata.of, "dead", settings_of(dead.url), network)
        await dead.requested.wait()
        await metadata.of("work", settings_of(provider.url), network)
        assert not dead.disconnected.is_set(), "the other sign-in still waits"
        tasks.cancel_scope.cancel()
    assert provider.metadata_requests == 1
