"""JWT callers: which tokens get in, where the issuers' keys come from, and what OAuth clients are told."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp_types import ListToolsResult, Tool
from pydantic import SecretStr
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roadster_sandbox import API_KEY, SandboxTransport, create_app
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.settings.sections import CallerSettings, HttpSettings, JwtSettings, Settings, StoreSettings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http import caller_of_request, http_app
from roadster_server.transports.tokens import TokenVerifier
from roadster_tools import Access
from tests.conftest import CONFIG, answer_of

pytestmark = pytest.mark.anyio

ISSUER, SUBJECT = "https://login.example.com", "service-7"
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


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token claims, with changes; a claim changed to `...` is left out."""
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
    signed = f"{encoded(header)}.{encoded(payload)}"
    return f"{signed}.{encoded(sign(signed.encode()))}"


def token(key: str = "rsa", *, alg: str | None = None, header: Any = None, payload: Any = None, **changes: Any) -> str:
    """A signed token. `header` changes the header, `changes` the claims, `payload` replaces them."""
    alg = alg or ALGORITHM_OF[key]
    whole = {name: value for name, value in ({"alg": alg, "kid": key} | (header or {})).items() if value is not ...}
    return compact(whole, payload or claims(**changes), lambda signed: ALGORITHMS[alg].sign(signed, KEYS[key]))


def hs256(secret: bytes, kid: str = "rsa") -> str:
    return compact({"alg": "HS256", "kid": kid}, claims(), lambda signed: hmac.digest(secret, signed, "sha256"))


@dataclass
class Issuer:
    """A JWKS endpoint on a real socket. `asked` has the path of each request."""

    base: str = ""
    keys: list[Any] = field(default_factory=list)
    answer: ASGIApp | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.base}/jwks"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await (self.answer or JSONResponse({"keys": self.keys}))(scope, receive, send)


@pytest.fixture(scope="module")
def listening() -> Iterator[Issuer]:
    issuer = Issuer()
    config = uvicorn.Config(issuer, port=0, lifespan="off", log_config=None, access_log=False)
    bound = config.bind_socket()
    issuer.base = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    yield issuer
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def issuer(listening: Issuer) -> Issuer:
    listening.keys, listening.answer = list(PUBLISHED), None
    listening.asked.clear()
    return listening


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def settings_for(url: str, **http_section: Any) -> Settings:
    """Callers `machine`, by JWT and by an opaque token, and `other`, by another subject's JWT."""
    machine = JwtSettings(issuer=ISSUER, audience=RESOURCE, jwks_url=url, subject=SUBJECT)
    other = JwtSettings(issuer=ISSUER, audience="other-audience", jwks_url=url, subject="other-subject")
    return sandbox_settings("sqlite:////nowhere/store.db").model_copy(
        update={
            "callers": {
                "machine": CallerSettings(
                    jwt=machine,
                    token_sha256=[hashlib.sha256(OPAQUE.encode()).hexdigest()],
                    dealers=["umazda"],
                    access={"dealers": Access.READ},
                ),
                "other": CallerSettings(jwt=other),
            },
            "http": HttpSettings(**({"resource_url": RESOURCE} | http_section)),
        }
    )


@asynccontextmanager
async def opened(
    settings: Settings, server: Server[Any] | None = None, verifier: TokenVerifier | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the real application, whose one tool is named as whoever calls it."""

    async def ready() -> bool:
        return True

    async def whoami(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=caller_of_request(settings).name, input_schema={"type": "object"})])

    app = http_app(
        server or Server("whoami", on_list_tools=whoami),
        LiveSettings(settings),
        ready,
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


async def asked_with(client: httpx2.AsyncClient, sent: str | None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {sent}"} if sent is not None else {}
    return await client.post("/mcp", json=INITIALIZE, headers=headers)


async def status_of(url: str, sent: str) -> int:
    async with opened(settings_for(url)) as client:
        return (await asked_with(client, sent)).status_code


@asynccontextmanager
async def speaking(client: httpx2.AsyncClient, sent: str) -> AsyncIterator[Client]:
    client.headers["Authorization"] = f"Bearer {sent}"
    async with Client(streamable_http_client(f"{HERE}/mcp", http_client=client), mode="2026-07-28") as mcp:
        yield mcp


@pytest.mark.parametrize(
    ("key", "alg"),
    [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")],
)
async def test_a_good_token_of_each_algorithm_is_its_caller(key: str, alg: str, issuer: Issuer) -> None:
    async with opened(settings_for(issuer.url)) as client, speaking(client, token(key, alg=alg)) as mcp:
        assert [tool.name for tool in (await mcp.list_tools()).tools] == ["machine"]
    assert issuer.asked == ["/jwks"], "one fetch serves all requests"


async def test_each_subject_is_a_caller_of_its_own(issuer: Issuer) -> None:
    sent = token(sub="other-subject", aud="other-audience")
    async with opened(settings_for(issuer.url)) as client, speaking(client, sent) as mcp:
        assert [tool.name for tool in (await mcp.list_tools()).tools] == ["other"]


ACCEPTED: dict[str, Callable[[], str]] = {
    "the audience is one of several": lambda: token(aud=["https://else.example.com", RESOURCE]),
    "it expired within the leeway": lambda: token(exp=time.time() - 20),
    "it begins within the leeway": lambda: token(nbf=time.time() + 20),
    "its key is for its algorithm alone": lambda: token(header={"kid": "rs256-only"}),
    "it says who made it in no iat": lambda: token(iat=...),
    "scp is a list": lambda: token(scope=..., scp=["roadster", "email"]),
    "scp is a string": lambda: token(scope=..., scp="email roadster"),
}


@pytest.mark.parametrize("why", ACCEPTED)
async def test_a_token_is_accepted_where(why: str, issuer: Issuer) -> None:
    assert await status_of(issuer.url, ACCEPTED[why]()) == 200


PUBLIC_PEM = KEYS["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = KEYS["rsa"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def claiming(claim: str, value: Any) -> Callable[[], str]:
    return lambda: token(payload=claims(**{claim: value}))


REFUSED: dict[str, Callable[[], str]] = {
    # how it is signed
    "it is not signed": lambda: compact({"alg": "none", "kid": "rsa"}, claims(), lambda _: b""),
    "it is not signed, in capitals": lambda: compact({"alg": "NONE", "kid": "rsa"}, claims(), lambda _: b""),
    "it has a signature and no algorithm": lambda: token(header={"alg": "none"}),
    "it names no algorithm": lambda: token(header={"alg": ...}),
    "its algorithm is a list": lambda: token(header={"alg": ["RS256"]}),
    "the public key as PEM is its HMAC secret": lambda: hs256(PUBLIC_PEM),
    "the public key as DER is its HMAC secret": lambda: hs256(PUBLIC_DER),
    "the public JWK is its HMAC secret": lambda: hs256(json.dumps(jwk("rsa")).encode()),
    "a published shared secret signed it": lambda: hs256(b"secret-secret-secret-secret-secret", "shared-secret"),
    "its algorithm is not allowed": lambda: token(alg="RS512"),
    "its curve is not allowed": lambda: token("p384"),
    "its algorithm is not the key's": lambda: token(header={"alg": "ES256"}),
    "its algorithm is not the one its key is for": lambda: token(alg="PS256", header={"kid": "rs256-only"}),
    "its key is another kind of key": lambda: token("ec", header={"kid": "ed"}),
    "its key is too short": lambda: token("weak"),
    "its key is for encryption": lambda: token(header={"kid": "for-encryption"}),
    "its key is for wrapping": lambda: token(header={"kid": "for-wrapping"}),
    "its key is for who knows what": lambda: token(header={"kid": "odd-operations"}),
    "its key has no modulus": lambda: token(header={"kid": "no-modulus"}),
    "its key is no point of the curve": lambda: token("ec", header={"kid": "off-the-curve"}),
    "a strange key signed it": lambda: token("strange", header={"kid": "rsa"}),
    "a strange key signed it and comes along": lambda: token("strange", header={"kid": "rsa", "jwk": jwk("strange")}),
    "its signature is of another token": lambda: ".".join([*token(nbf=0).split(".")[:2], token().split(".")[2]]),
    "its signature is empty": lambda: token().rpartition(".")[0] + ".",
    "its claims were changed": lambda: ".".join(
        [token().split(".")[0], encoded(claims(scope="roadster admin")), token().split(".")[2]]
    ),
    # which key it names
    "it names no key": lambda: token(header={"kid": ...}),
    "its key is unknown": lambda: token(header={"kid": "unknown"}),
    "its key is a number": lambda: token(header={"kid": 7}),
    "its key is null": lambda: token(header={"kid": None}),
    "its key is empty": lambda: token(header={"kid": ""}),
    # extensions
    "it has a critical extension": lambda: token(header={"crit": ["exp"], "exp": 1}),
    "it has the critical extension that PyJWT knows": lambda: token(header={"crit": ["b64"], "b64": True}),
    "its crit is empty": lambda: token(header={"crit": []}),
    "its payload is detached": lambda: token(header={"crit": ["b64"], "b64": False}),
    # what it claims
    **{f"it has no {claim}": claiming(claim, ...) for claim in ("exp", "nbf", "aud", "iss", "sub")},
    **{f"its {claim} is null": claiming(claim, None) for claim in ("exp", "nbf", "aud", "iss", "sub")},
    "it expired": lambda: token(exp=time.time() - 35),
    "it begins later": lambda: token(nbf=time.time() + 45),
    "it was made later": lambda: token(iat=time.time() + 45),
    "its exp is a string": lambda: token(exp="99999999999"),
    "its exp is infinite": lambda: token(exp=float("inf")),
    "its exp is not a number": lambda: token(exp=float("nan")),
    "its exp is a list": lambda: token(exp=[99999999999]),
    "its nbf is a string": lambda: token(nbf="0"),
    "its nbf is a boolean": lambda: token(nbf=True),
    "its audience is another": lambda: token(aud="https://else.example.com/mcp"),
    "its audience is another caller's": lambda: token(aud="other-audience"),
    "its audience has a slash more": lambda: token(aud=RESOURCE + "/"),
    "its audience is empty": lambda: token(aud=[]),
    "its audience is an object": lambda: token(aud={RESOURCE: 1}),
    "its audiences are not all strings": lambda: token(aud=[RESOURCE, 7]),
    "its issuer is another": lambda: token(iss="https://login.evil.example"),
    "its issuer has a slash more": lambda: token(iss=ISSUER + "/"),
    "its issuer is a list": lambda: token(iss=[ISSUER]),
    "its subject is unknown": lambda: token(sub="service-8"),
    "its subject is in capitals": lambda: token(sub=SUBJECT.upper()),
    "its subject is a list": lambda: token(sub=[SUBJECT]),
    # what it is
    "it is longer than 8 KiB": lambda: token(padding="x" * 8192),
    "it has two parts": lambda: token().rpartition(".")[0],
    "it has five parts": lambda: token() + ".a.b",
    "its parts are empty": lambda: "..",
    "its parts are no base64": lambda: "!.!.!",
    "its header is no JSON": lambda: compact(b"{", claims(), lambda _: b""),
    "its header is a list": lambda: compact([], claims(), lambda _: b""),
    "its header nests deeply": lambda: compact(b"[" * 4000, claims(), lambda _: b""),
    "its claims are no JSON": lambda: token(payload=b"{"),
    "its claims are a list": lambda: token(payload=[1]),
    "its claims nest deeply": lambda: token(payload=b"[" * 4000),
    "its exp has 5000 digits": lambda: token(payload=b'{"exp":' + b"9" * 5000 + b"}"),
    "it is the opaque token's digest": lambda: hashlib.sha256(OPAQUE.encode()).hexdigest(),
    "it is not ASCII": lambda: "\u00e9.\u00e9.\u00e9",
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_token_is_refused_in_the_one_way_where(
    why: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings_for(issuer.url)) as client:
        header = b"Bearer " + REFUSED[why]().encode("latin-1")
        refused = await client.post("/mcp", json=INITIALIZE, headers=[(b"Authorization", header)])
        usual = await asked_with(client, "wrong")
        assert (await asked_with(client, token())).status_code == 200, "and the server lives"
    assert refused.status_code == 401
    assert (refused.content, refused.headers) == (usual.content, usual.headers)
    assert "crash" not in caplog.messages


@pytest.mark.parametrize("key", ["rsa", "strange"])
async def test_what_a_header_says_about_its_key_is_never_fetched_nor_believed(key: str, issuer: Issuer) -> None:
    trap = f"{issuer.base}/trap"
    sent = token(key, header={"kid": "rsa", "jku": trap, "x5u": trap, "x5c": ["MII"], "jwk": jwk("strange")})
    assert await status_of(issuer.url, sent) == (200 if key == "rsa" else 401)
    assert issuer.asked == ["/jwks"]


async def test_an_opaque_token_of_three_parts_asks_no_issuer(issuer: Issuer) -> None:
    assert await status_of(issuer.url, OPAQUE) == 200
    assert issuer.asked == []


async def test_a_token_is_looked_up_as_an_opaque_one_first(issuer: Issuer) -> None:
    sent = token(sub="other-subject", aud="other-audience")
    settings = settings_for(issuer.url)
    listed = CallerSettings(token_sha256=[hashlib.sha256(sent.encode()).hexdigest()])
    settings = settings.model_copy(update={"callers": {**settings.callers, "listed": listed}})
    found = await TokenVerifier(lambda: settings).verify_token(sent)
    assert found is not None
    assert found.client_id == "listed"
    assert issuer.asked == []


async def test_a_stranger_cannot_make_the_server_ask_an_issuer(issuer: Issuer) -> None:
    for sent in (token(iss="https://login.evil.example"), token(sub="x"), "a.b.c", token(padding="x" * 8192)):
        assert await status_of(issuer.url, sent) == 401
    assert issuer.asked == []


async def test_who_sends_no_token_is_the_anonymous_caller_within_the_scope(issuer: Issuer) -> None:
    async with opened(settings_for(issuer.url, anonymous_caller="machine")) as client:
        assert (await asked_with(client, None)).status_code == 200
        assert (await asked_with(client, token("strange"))).status_code == 401


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
async def test_a_good_token_without_the_scope_is_told_which(scopes: dict[str, Any], issuer: Issuer) -> None:
    async with opened(settings_for(issuer.url)) as client:
        for method, path in MCP_ROUTES:
            sent = {"Authorization": f"Bearer {token(**scopes)}"}
            response = await client.request(method, path, json=INITIALIZE, headers=sent)
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


@pytest.mark.parametrize("sent", [None, "wrong", "a.b.c"])
async def test_every_refusal_says_where_to_ask_and_for_which_scope(sent: str | None, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {sent}"} if sent else {}
    async with (
        opened(settings_for(issuer.url)) as with_url,
        opened(settings_for(issuer.url, resource_url=None)) as bare,
    ):
        for method, path in MCP_ROUTES:
            response = await with_url.request(method, path, json=INITIALIZE, headers=headers)
            assert response.status_code == 401
            challenge = response.headers["www-authenticate"]
            assert challenge.startswith("Bearer ")
            assert challenge.endswith(f'resource_metadata="https://mcp.example.com{METADATA}", scope="roadster"')
            response = await bare.request(method, path, json=INITIALIZE, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("Bearer ")
            assert response.headers["www-authenticate"].endswith(', scope="roadster"')
            assert "resource_metadata" not in response.headers["www-authenticate"]


async def test_the_metadata_names_the_issuers_to_whoever_asks(issuer: Issuer) -> None:
    async with opened(settings_for(issuer.url)) as client:
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
async def test_the_metadata_are_behind_the_host_guard(header: str, status: int, issuer: Issuer) -> None:
    name, value = header.split(": ")
    async with opened(settings_for(issuer.url)) as client:
        assert (await client.get(METADATA, headers={name: value})).status_code == status


async def test_there_are_no_metadata_without_a_resource_url_or_an_issuer_that_is_a_url(issuer: Issuer) -> None:
    named = settings_for(issuer.url)
    by_name = JwtSettings(issuer="our-own-issuer", audience=RESOURCE, jwks_url=issuer.url, subject=SUBJECT)
    named = named.model_copy(update={"callers": {"machine": CallerSettings(jwt=by_name)}})
    async with opened(named) as client:
        assert (await client.get(METADATA)).status_code == 404
        assert "resource_metadata" not in (await asked_with(client, None)).headers["www-authenticate"]
        assert (await asked_with(client, token(iss="our-own-issuer"))).status_code == 200
    async with opened(settings_for(issuer.url, resource_url=None)) as client:
        assert (await client.get(METADATA)).status_code == 404


async def test_the_clients_token_is_neither_kept_nor_sent_upstream(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, store_url: str
) -> None:
    caplog.set_level(logging.DEBUG, "roadster_server")
    sent = token()
    seen: list[httpx2.Request] = []

    class Recording(SandboxTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return await super().handle_async_request(request)

    settings = settings_for(issuer.url).model_copy(update={"store": StoreSettings(url=SecretStr(store_url))})
    async with open_calls(LiveSettings(settings), local=False, transport=Recording(create_app())) as calls:
        server = build_server(calls, lambda: caller_of_request(settings))
        async with opened(settings, server) as client, speaking(client, sent) as mcp:
            assert answer_of(await mcp.call_tool("list_dealers"))["dealers"]
    kept = await TokenVerifier(lambda: settings).verify_token(sent)
    assert kept is not None
    assert sent not in repr(kept)
    assert kept.token == ""
    assert seen
    for request in seen:
        assert request.headers["authorization"].endswith(API_KEY)
        assert sent.encode() not in str(request.url).encode() + repr(request.headers.raw).encode() + request.content
    assert all(sent not in repr(record.__dict__) for record in caplog.records if record.name == "roadster_server")


async def test_callers_are_those_of_the_moment(issuer: Issuer) -> None:
    current = settings_for(issuer.url)
    verifier = TokenVerifier(lambda: current)
    assert await verifier.verify_token(token()) is not None
    assert await verifier.verify_token(OPAQUE) is not None
    current = current.model_copy(update={"callers": {"other": current.callers["other"]}})
    assert await verifier.verify_token(token()) is None
    assert await verifier.verify_token(OPAQUE) is None


@pytest.mark.parametrize(("broken", "sent"), [("compare_digest", "opaque"), ("decode", "jwt")])
async def test_a_defect_lets_nobody_in(
    broken: str, sent: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("text that may quote a token")

    monkeypatch.setattr(hmac if broken == "compare_digest" else jwt, broken, fail)
    assert await status_of(issuer.url, OPAQUE if sent == "opaque" else token()) == 401
    assert "crash" in caplog.messages
    assert "quote a token" not in caplog.text


# Where the keys come from


async def good(verifier: TokenVerifier, sent: str | None = None) -> bool:
    return await verifier.verify_token(sent or token()) is not None


async def test_keys_are_kept_for_ten_minutes(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: settings_for(issuer.url), clock=clock)
    for seconds, fetches in ((0, 1), (599, 1), (601, 2), (1200, 2), (1202, 3)):
        clock.now = 1000.0 + seconds
        assert await good(verifier)
        assert len(issuer.asked) == fetches, seconds


async def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: settings_for(issuer.url), clock=clock)
    issuer.keys = [jwk("rsa")]
    assert await good(verifier)
    issuer.keys = [jwk("ec")]
    clock.now += 61
    assert await good(verifier, token("ec"))
    assert not await good(verifier, token("rsa")), "the old key is withdrawn"
    assert len(issuer.asked) == 2


async def test_a_flood_of_unknown_keys_is_one_fetch_a_minute(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: settings_for(issuer.url), clock=clock)
    for second in range(180):
        clock.now = 1000.0 + second
        assert not await good(verifier, token("ed", header={"kid": f"unknown-{second}"}))
    assert len(issuer.asked) == 3
    assert await good(verifier)


async def test_many_requests_at_once_are_one_fetch(issuer: Issuer) -> None:
    verifier = TokenVerifier(lambda: settings_for(issuer.url), clock=Clock())
    results: list[bool] = []

    async def one(sent: str) -> None:
        results.append(await good(verifier, sent))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(one, token("ed", header={"kid": "ed" if number % 2 else "unknown"}))
    assert sorted(results) == [False] * 10 + [True] * 10
    assert len(issuer.asked) == 1


async def never_ending(_scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"keys": [', "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


GOOD_KEYS = json.dumps({"keys": [jwk("rsa")]}).encode()

USELESS: dict[str, ASGIApp] = {
    "fails": Response(status_code=500),
    "is a 404 with keys": Response(GOOD_KEYS, 404),
    "redirects": RedirectResponse("/elsewhere"),
    "is larger than 256 KiB": Response(GOOD_KEYS + b" " * 256 * 1024),
    "is not JSON": Response(b"<html>"),
    "is empty": Response(b""),
    "is cut short": Response(GOOD_KEYS[:-2]),
    "nests deeply": Response(b"[" * 100_000),
    "is a list": Response(b"[]"),
    "has no keys": Response(b"{}"),
    "has keys that are no list": Response(b'{"keys": {"kid": "rsa"}}'),
    "has no key in its list": Response(b'{"keys": [null, 7, [], {}, {"kid": "rsa"}, {"kid": "rsa", "kty": []}]}'),
    "is larger than 256 KiB once it is inflated": Response(
        gzip.compress(GOOD_KEYS + b" " * 256 * 1024), headers={"Content-Encoding": "gzip"}
    ),
    "never ends": never_ending,
}


@pytest.mark.parametrize("why", USELESS)
async def test_nobodys_token_is_good_where_the_issuers_answer(
    why: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answer = USELESS[why]
    settings = settings_for(issuer.url)
    async with opened(settings, verifier=TokenVerifier(lambda: settings, fetch_seconds=0.3)) as client:
        assert (await asked_with(client, token())).status_code == 401
        assert (await asked_with(client, token())).status_code == 401
        assert (await asked_with(client, OPAQUE)).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
    assert issuer.asked == ["/jwks"], "no redirect was followed, and no fetch follows at once"
    assert "crash" not in caplog.messages


async def test_an_issuer_that_is_down_is_one_log_line_with_its_host(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    url = issuer.url
    issuer.answer = Response(status_code=503)
    verifier = TokenVerifier(lambda: settings_for(url), clock=clock)
    for _ in range(3):
        assert not await good(verifier)
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (line.message, line.__dict__["host"]) == ("no keys", "127.0.0.1")
    issuer.answer = None
    clock.now += 5
    assert await good(verifier), "nobody waits for longer than that once it is up again"


async def test_an_issuer_that_does_not_listen_refuses_tokens_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert await status_of("http://127.0.0.1:9/jwks", token()) == 401
    assert "no keys" in caplog.messages
    assert "crash" not in caplog.messages


async def test_known_keys_last_out_a_short_failure_and_no_longer(issuer: Issuer) -> None:
    clock = Clock()
    verifier = TokenVerifier(lambda: settings_for(issuer.url), clock=clock)
    assert await good(verifier)
    issuer.answer = Response(status_code=503)
    for seconds in (61, 300, 599):
        clock.now = 1000.0 + seconds
        assert not await good(verifier, token(header={"kid": "unknown"}))
        assert await good(verifier)
    clock.now = 1601.0
    assert not await good(verifier), "a withdrawn key would live on for as long as someone blocks the fetch"


async def test_the_environments_proxy_is_not_used(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await status_of(issuer.url, token()) == 200


# The configuration

JWT = f"""
[callers.machine.jwt]
issuer = "{ISSUER}"
audience = "{RESOURCE}"
jwks_url = "https://login.example.com/keys?tenant=7"
subject = "{SUBJECT}"
"""
TWIN = JWT.replace("machine", "twin").replace(RESOURCE, "other")
HTTP = f'\n[http]\nresource_url = "{RESOURCE}"\n'


def loaded(more: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("STORE_URL", "sqlite:////nowhere/store.db")
    monkeypatch.setenv("ROADSTER_API_KEY", "the-api-key")
    monkeypatch.setenv("UMAZDA_LINK_KEY", "k" * 32)
    path = folder / "roadster.toml"
    path.write_text(
        CONFIG.format(base_url="https://api.roadster.com/v1", sales_token="a" * 64, reader_token="b" * 64) + more
    )
    return load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), ("https://login.example.com/keys", "http://localhost:8/k"), (RESOURCE, "http://[::1]:8000/mcp")],
)
def test_a_caller_may_be_known_by_its_jwt(old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded((JWT + HTTP).replace(old, new) if old else JWT + HTTP, tmp_path, monkeypatch)
    assert settings.callers["machine"].jwt is not None
    assert settings.callers["machine"].jwt.subject == SUBJECT
    assert settings.callers["reader"].jwt is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (JWT, "http.resource_url: is missing, and callers.machine has jwt; add the public URL of /mcp"),
        (JWT + HTTP + TWIN, "callers.twin.jwt: the same issuer and subject as callers.machine; give each its own"),
        *(
            ("\n".join(line for line in JWT.splitlines() if not line.startswith(key)) + HTTP, f"jwt.{key}: is missing")
            for key in ("issuer", "audience", "jwks_url", "subject")
        ),
        (JWT.replace(ISSUER + '"', '"', 1) + HTTP, "jwt.issuer: "),
        (JWT.replace(f'subject = "{SUBJECT}"', 'subject = ""') + HTTP, "jwt.subject: "),
        (JWT.replace(f'audience = "{RESOURCE}"', 'audience = ""') + HTTP, "jwt.audience: "),
        (JWT + "leeway = 3\n" + HTTP, "jwt.leeway: unknown key"),
        *(
            (JWT.replace("https://login.example.com/keys", url) + HTTP, "jwt.jwks_url: ")
            for url in (
                "http://login.example.com/keys",
                "http://127.0.0.1.evil.example/keys",
                "http://127.0.0.1@evil.example/keys",
                "http://10.0.0.7/keys",
                "https://me:secret@login.example.com/keys",
                "https:login.example.com/keys",
                "https://",
                "https://login.example.com:99999/",
                "https://login example.com/",
                "file:///etc/passwd",
                "login.example.com/keys",
            )
        ),
        *(
            (JWT + HTTP.replace(RESOURCE, url), "http.resource_url: ")
            for url in ("http://mcp.example.com/mcp", "https://mcp.example.com/mcp#x", "mcp.example.com", "")
        ),
    ],
)
def test_a_mistake_stops_the_start(more: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r".") as refused:
        loaded(more, tmp_path, monkeypatch)
    assert any(told in problem for problem in refused.value.problems), refused.value.problems
    assert "secret@" not in str(refused.value)
