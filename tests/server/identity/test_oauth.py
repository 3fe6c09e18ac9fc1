"""Answers for OAuth clients: the missing scope, and the issuers of tokens."""

from __future__ import annotations

import logging
from typing import Any

import httpx2
import pytest
from mcp.server.auth.provider import AccessToken
from pydantic import SecretStr

from roadster_sandbox import API_KEY, SandboxTransport, create_app
from roadster_server.identity.tokens import TokenVerifier
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.transports.http.application import caller_of_request
from tests.conftest import answer_of
from tests.server.identity.issuers import (
    INITIALIZE,
    ISSUER,
    METADATA,
    RESOURCE,
    SUBJECT,
    Issuer,
    connect_mcp,
    initialize,
    issuer_settings,
    open_client,
    token,
)

pytestmark = pytest.mark.anyio


async def test_request_without_a_token_is_the_anonymous_callers(issuer: Issuer) -> None:
    async with open_client(issuer_settings(issuer.url, anonymous_caller="machine")) as client:
        assert (await initialize(client, None)).status_code == 200
        assert (await initialize(client, token("strange"))).status_code == 401


@pytest.mark.parametrize(
    "scopes",
    [
        {"scope": ...},
        {"scope": ""},
        {"scope": "openid"},
        {"scope": "roadsters"},
        {"scope": "Roadster"},
        {"scope": "roadster:read"},
        {"scope": "openid,roadster"},
        {"scope": 7},
        {"scope": {"roadster": True}},
        {"scope": [["roadster"]]},
        {"scope": ..., "scp": ["roadster:read"]},
        {"scope": ..., "scp": [7, None]},
        {"scope": ..., "roles": ["roadster"]},
    ],
)
async def test_challenge_names_the_scope_that_a_token_lacks(scopes: dict[str, Any], issuer: Issuer) -> None:
    async with open_client(issuer_settings(issuer.url)) as client:
        for method, path in MCP_ROUTES:
            bearer = {"Authorization": f"Bearer {token(**scopes)}"}
            response = await client.request(method, path, json=INITIALIZE, headers=bearer)
            assert response.status_code == 403
            challenge = response.headers["www-authenticate"]
            assert challenge.startswith('Bearer error="insufficient_scope"')
            assert challenge.endswith('scope="roadster"')
            assert f'resource_metadata="https://mcp.example.com{METADATA}"' in challenge


MCP_ROUTES = [
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages/?session_id=0"),
]


NO_TOKEN = 'Bearer realm="roadster-mcp"'
BAD_TOKEN = 'Bearer error="invalid_token", error_description="The access token is not valid here"'


@pytest.mark.parametrize(
    ("authorization", "begin"),
    [
        (None, NO_TOKEN),
        ("Basic d3Jvbmc=", NO_TOKEN),
        ("Bearer wrong", BAD_TOKEN),
        ("Bearer a.b.c", BAD_TOKEN),
        ("bearer ", BAD_TOKEN),
    ],
)
async def test_challenge_says_what_is_wrong_where_to_ask_and_for_which_scope(
    authorization: str | None, begin: str, issuer: Issuer
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with (
        open_client(issuer_settings(issuer.url)) as with_url,
        open_client(issuer_settings(issuer.url, resource_url=None)) as bare,
    ):
        for method, path in MCP_ROUTES:
            response = await with_url.request(method, path, json=INITIALIZE, headers=headers)
            assert response.status_code == 401
            where = f'resource_metadata="https://mcp.example.com{METADATA}"'
            assert response.headers["www-authenticate"] == f'{begin}, {where}, scope="roadster"'
            response = await bare.request(method, path, json=INITIALIZE, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == f'{begin}, scope="roadster"'


@pytest.mark.parametrize("subject", ["service-8", SUBJECT.upper()])
async def test_person_without_a_role_is_told_whom_to_ask(subject: str, issuer: Issuer) -> None:
    """Without a challenge: a client would answer one with another sign-in, again and again."""
    async with open_client(issuer_settings(issuer.url)) as client:
        for method, path in MCP_ROUTES:
            bearer = {"Authorization": f"Bearer {token(sub=subject)}"}
            response = await client.request(method, path, json=INITIALIZE, headers=bearer)
            assert response.status_code == 403
            assert "www-authenticate" not in response.headers
            assert "ask its operator" in response.json()["error"]["message"]


async def test_challenges_name_the_scopes_as_the_provider_wants_them(issuer: Issuer) -> None:
    settings = issuer_settings(issuer.url)
    provider = settings.identity["login"].model_copy(update={"advertised_scopes": ["api://r/roadster", "email"]})
    async with open_client(settings.model_copy(update={"identity": {"login": provider}})) as client:
        for bearer in (None, "wrong", token(scope=...)):
            challenge = (await initialize(client, bearer)).headers["www-authenticate"]
            assert challenge.endswith('scope="api://r/roadster email"')


async def test_missing_scope_is_that_of_the_tokens_own_provider(issuer: Issuer) -> None:
    """Without a token, the client may be one of any provider."""
    settings = issuer_settings(issuer.url)
    other = settings.identity["login"].model_copy(update={"issuer": "https://other.example.com", "scope": "cars"})
    both = {"login": settings.identity["login"], "other": other}
    async with open_client(settings.model_copy(update={"identity": both})) as client:
        for bearer, scopes in (
            (None, "roadster cars"),
            (token(scope=...), "roadster"),
            (token(iss=other.issuer), "cars"),
        ):
            challenge = (await initialize(client, bearer)).headers["www-authenticate"]
            assert challenge.endswith(f', scope="{scopes}"')


async def test_metadata_name_the_issuers_without_a_token(issuer: Issuer) -> None:
    async with open_client(issuer_settings(issuer.url)) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            response = await client.get(METADATA, headers=headers)
            assert (response.status_code, response.json()) == (
                200,
                {
                    "resource": RESOURCE,
                    "authorization_servers": [ISSUER],
                    "scopes_supported": ["roadster"],
                    "bearer_methods_supported": ["header"],
                },
            )


@pytest.mark.parametrize(("header", "status"), [("Host: evil.example", 421), ("Origin: https://evil.example", 403)])
async def test_metadata_are_behind_the_host_guard(header: str, status: int, issuer: Issuer) -> None:
    name, value = header.split(": ")
    async with open_client(issuer_settings(issuer.url)) as client:
        assert (await client.get(METADATA, headers={name: value})).status_code == status


async def test_metadata_need_a_resource_url_and_an_issuers_url(issuer: Issuer) -> None:
    settings = issuer_settings(issuer.url)
    by_name = settings.identity["login"].model_copy(update={"issuer": "our-own-issuer"})
    settings = settings.model_copy(update={"identity": {"login": by_name}})
    async with open_client(settings) as client:
        assert (await client.get(METADATA)).status_code == 404
        assert "resource_metadata" not in (await initialize(client, None)).headers["www-authenticate"]
        assert (await initialize(client, token(iss="our-own-issuer"))).status_code == 200
    async with open_client(issuer_settings(issuer.url, resource_url=None)) as client:
        assert (await client.get(METADATA)).status_code == 404


async def test_token_is_neither_held_nor_sent_upstream(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, store_url: str
) -> None:
    caplog.set_level(logging.DEBUG, "roadster_server")
    bearer = token()
    requests: list[httpx2.Request] = []

    class Recording(SandboxTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            requests.append(request)
            return await super().handle_async_request(request)

    settings = issuer_settings(issuer.url).model_copy(update={"store": StoreSettings(url=SecretStr(store_url))})
    async with open_calls(LiveSettings(settings), local=False, transport=Recording(create_app())) as calls:
        server = build_server(calls, lambda: caller_of_request(settings))
        async with open_client(settings, server) as client, connect_mcp(client, bearer) as mcp:
            assert answer_of(await mcp.call_tool("list_dealers"))["dealers"]
    identity = await TokenVerifier(lambda: settings).verify_token(bearer)
    assert isinstance(identity, AccessToken)
    assert bearer not in repr(identity)
    assert identity.token == ""
    assert requests
    for request in requests:
        assert request.headers["authorization"].endswith(API_KEY)
        assert bearer.encode() not in str(request.url).encode() + repr(request.headers.raw).encode() + request.content
    assert all(bearer not in repr(record.__dict__) for record in caplog.records if record.name == "roadster_server")
