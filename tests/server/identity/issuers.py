"""Tokens of every kind, an issuer of JWTs on a socket, and a client of the application that checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp_types import ListToolsResult, Tool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_server.identity.tokens import TokenVerifier
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings, IdentitySettings, PeopleRule, RoleSettings
from roadster_server.settings.sections.http import HttpSettings
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import caller_of_request, http_app
from roadster_tools import Access

ISSUER = "https://login.example.com"
SUBJECT, OTHER_SUBJECT = "service-7", "other-subject"
RESOURCE = "https://mcp.example.com/roadster/mcp"
METADATA = "/.well-known/oauth-protected-resource/roadster/mcp"
OPAQUE = "an.opaque.token"
HERE = "http://127.0.0.1:8123"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
ALGORITHMS = get_default_algorithms()
KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "weak": rsa.generate_private_key(65537, 1024),
    "strange": rsa.generate_private_key(65537, 2048),
}
ALGORITHM_OF = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA", "p384": "ES384", "weak": "RS256", "strange": "RS256"}


def jwk(name: str, **more: Any) -> dict[str, Any]:
    public = ALGORITHMS[ALGORITHM_OF[name]].to_jwk(KEYS[name].public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {**public, "kid": name, **more}


PUBLISHED = [
    *(jwk(name) for name in ("rsa", "ec", "ed", "p384", "weak")),
    jwk("rsa", kid="rs256-only", alg="RS256"),
    jwk("rsa", kid="for-encryption", use="enc"),
    jwk("rsa", kid="for-wrapping", key_ops=["wrapKey"]),
    jwk("rsa", kid="odd-operations", key_ops=7),
    jwk("rsa", kid=7),
    jwk("rsa", kid="no-modulus", n=None),
    jwk("ec", kid="off-the-curve", y="A" * 43),
    {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "shared-secret"},
    "not a key",
]


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """Returns the claims of a good token with `changes`. A claim changed to `...` is left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": RESOURCE,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "scope": "openid roadster",
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def compact(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    content = f"{encode(header)}.{encode(payload)}"
    return f"{content}.{encode(sign(content.encode()))}"


def token(key: str = "rsa", *, alg: str | None = None, header: Any = None, payload: Any = None, **changes: Any) -> str:
    """Returns a signed token. `header` changes the header, `changes` the claims, `payload` replaces them."""
    alg = alg or ALGORITHM_OF[key]
    whole = {name: value for name, value in ({"alg": alg, "kid": key} | (header or {})).items() if value is not ...}
    return compact(whole, payload or claims(**changes), lambda content: ALGORITHMS[alg].sign(content, KEYS[key]))


def hs256(secret: bytes, kid: str = "rsa") -> str:
    return compact({"alg": "HS256", "kid": kid}, claims(), lambda content: hmac.digest(secret, content, "sha256"))


@dataclass
class Issuer:
    """A JWKS endpoint on a real socket. `paths` has the path of each request."""

    base: str = ""
    keys: list[Any] = field(default_factory=list)
    answer: ASGIApp | None = None
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.base}/jwks"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await (self.answer or JSONResponse({"keys": self.keys}))(scope, receive, send)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def issuer_settings(url: str, **http_section: Any) -> Settings:
    """Returns settings with a service and its opaque token, and a provider whose rules know it and another subject."""
    provider = IdentitySettings(
        issuer=ISSUER,
        audiences=[RESOURCE],
        jwks_url=url,
        people=[
            PeopleRule(match={"sub": SUBJECT}, role="machine", dealers=["umazda"]),
            PeopleRule(match={"sub": OTHER_SUBJECT}, role="other"),
        ],
    )
    token_sha256 = [hashlib.sha256(OPAQUE.encode()).hexdigest()]
    return sandbox_settings("sqlite:////nowhere/store.db").model_copy(
        update={
            "callers": {"machine": CallerSettings(token_sha256=token_sha256, dealers=["umazda"], role="machine")},
            "roles": {"machine": RoleSettings(access={"dealers": Access.READ}), "other": RoleSettings()},
            "identity": {"login": provider},
            "http": HttpSettings(**({"resource_url": RESOURCE} | http_section)),
        }
    )


@asynccontextmanager
async def open_client(
    settings: Settings, server: Server[Any] | None = None, verifier: TokenVerifier | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Opens a client of the real application. Its one tool has the name of the caller."""

    async def no_outage() -> str | None:
        return None

    async def list_caller(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=caller_of_request(settings).name, input_schema={"type": "object"})])

    app = http_app(
        server or Server("whoami", on_list_tools=list_caller),
        LiveSettings(settings),
        no_outage,
        "http",
        host="127.0.0.1",
        port=8123,
        webhooks={},
        metrics=Metrics(),
        verifier=verifier,
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url=HERE,
            headers={"Accept": "application/json, text/event-stream"},
        ) as client,
    ):
        yield client


async def initialize(client: httpx2.AsyncClient, bearer: str | None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
    return await client.post("/mcp", json=INITIALIZE, headers=headers)


async def status_with(url: str, bearer: str) -> int:
    async with open_client(issuer_settings(url)) as client:
        return (await initialize(client, bearer)).status_code


@asynccontextmanager
async def connect_mcp(client: httpx2.AsyncClient, bearer: str) -> AsyncIterator[Client]:
    client.headers["Authorization"] = f"Bearer {bearer}"
    async with Client(streamable_http_client(f"{HERE}/mcp", http_client=client), mode="2026-07-28") as mcp:
        yield mcp
