"""The settings for each provider in docs/operate/identity-providers.md take tokens in the provider's shape."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.server.auth.provider import AccessToken

from roadster_server.identity.tokens import SCOPE, Refusal, TokenVerifier, caller_of
from roadster_server.settings.loading import load
from roadster_server.settings.settings import Settings
from tests.conftest import PROJECT
from tests.server.identity import provider_tokens as shapes
from tests.server.identity.issuers import Issuer, token

pytestmark = pytest.mark.anyio

EXAMPLES = PROJECT / "examples" / "identity"
SHAPES: dict[str, Callable[..., dict[str, Any]]] = {
    "entra": shapes.entra_v2,
    "okta": shapes.okta,
    "auth0": shapes.auth0,
    "keycloak": shapes.keycloak,
    "ping": shapes.pingone,
    "google": shapes.google_service,
}
CONFIG = """
include = ["identity.toml"]
[roadster]
api_key = "env:ROADSTER_API_KEY"
[store]
url = "sqlite:////nowhere/store.db"
[dealers.umazda]
[dealer_groups.northwest]
dealers = ["umazda"]
[roles.sales]
access = { inventory = "read" }
[http]
resource_url = "https://mcp.example.com/mcp"
"""


@pytest.fixture
def settings(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Issuer) -> Settings:
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    shutil.copy(EXAMPLES / f"{example}.toml", tmp_path / "identity.toml")
    (tmp_path / "roadster.toml").write_text(CONFIG)
    settings = load(tmp_path / "roadster.toml")
    ((name, provider),) = settings.identity.items()
    return settings.model_copy(update={"identity": {name: provider.model_copy(update={"jwks_url": issuer.url})}})


def test_each_example_is_tried() -> None:
    assert {file.stem for file in EXAMPLES.iterdir()} == SHAPES.keys()


@pytest.mark.parametrize("example", SHAPES)
async def test_example_takes_the_tokens_of_its_provider(example: str, settings: Settings) -> None:
    ((name, provider),) = settings.identity.items()
    (rule,) = provider.people
    issued = {"iss": provider.issuer, "aud": provider.audiences[0]}
    ((claim, value),) = rule.match.items()
    claims = SHAPES[example](**issued, **{claim: value if claim == "sub" else ["another", value]})
    verifier = TokenVerifier(lambda: settings)
    identity = await verifier.verify_token(token(payload=claims))
    assert isinstance(identity, AccessToken)
    assert identity.scopes == [SCOPE]
    caller = caller_of(settings, identity)
    assert (caller.name, caller.principal) == (f"{name}:sales", f"{name}:{claims[provider.subject_claim]}")
    assert caller.dealers == ("umazda",)
    stranger = {**claims, claim: "another"}
    assert await verifier.verify_token(token(payload=stranger)) is Refusal.NO_ROLE
