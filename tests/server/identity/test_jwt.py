"""JWTs: a good one is accepted, and all others are refused alike."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.server.identity.issuers import (
    INITIALIZE,
    ISSUER,
    KEYS,
    OPAQUE,
    RESOURCE,
    SUBJECT,
    Issuer,
    claims,
    compact,
    connect_mcp,
    encode,
    hs256,
    initialize,
    issuer_settings,
    jwk,
    open_client,
    status_with,
    token,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("key", "alg"),
    [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")],
)
async def test_jwt_of_each_algorithm_is_its_caller(key: str, alg: str, issuer: Issuer) -> None:
    async with open_client(issuer_settings(issuer.url)) as client, connect_mcp(client, token(key, alg=alg)) as mcp:
        assert [tool.name for tool in (await mcp.list_tools()).tools] == ["login:machine"]
    assert issuer.paths == ["/jwks"], "one fetch serves all requests"


async def test_jwt_of_each_subject_is_a_caller_of_its_own(issuer: Issuer) -> None:
    bearer = token(sub="other-subject")
    async with open_client(issuer_settings(issuer.url)) as client, connect_mcp(client, bearer) as mcp:
        assert [tool.name for tool in (await mcp.list_tools()).tools] == ["login:other"]


ACCEPTED: dict[str, Callable[[], str]] = {
    "the audience is one of several": lambda: token(aud=["https://else.example.com", RESOURCE]),
    "it expired within the leeway": lambda: token(exp=time.time() - 20),
    "it begins within the leeway": lambda: token(nbf=time.time() + 20),
    "its key is for its algorithm alone": lambda: token(header={"kid": "rs256-only"}),
    "it says who made it in no iat": lambda: token(iat=...),
    "it begins at no time": lambda: token(nbf=...),
    "its audience has a slash more": lambda: token(aud=RESOURCE + "/"),
    "its audience's host is in capitals": lambda: token(aud=RESOURCE.replace("mcp.example", "MCP.Example")),
    "its audience names the default port": lambda: token(aud=RESOURCE.replace(".com/", ".com:443/")),
    "scp is a list": lambda: token(scope=..., scp=["roadster", "email"]),
    "scp is a string": lambda: token(scope=..., scp="email roadster"),
}


@pytest.mark.parametrize("why", ACCEPTED)
async def test_jwt_is_accepted_where(why: str, issuer: Issuer) -> None:
    assert await status_with(issuer.url, ACCEPTED[why]()) == 200


PUBLIC_PEM = KEYS["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = KEYS["rsa"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def token_with(claim: str, value: Any) -> Callable[[], str]:
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
        [token().split(".")[0], encode(claims(scope="roadster admin")), token().split(".")[2]]
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
    # a form that it does not have
    "it says that it is compressed": lambda: token(header={"zip": "DEF"}),
    "it says that it is encrypted": lambda: token(header={"enc": "A256GCM"}),
    # what it claims
    **{f"it has no {claim}": token_with(claim, ...) for claim in ("exp", "aud", "iss", "sub")},
    **{f"its {claim} is null": token_with(claim, None) for claim in ("exp", "aud", "iss", "sub")},
    "it expired before 1970": lambda: token(exp=-1),
    "it was made at no time that there is": lambda: token(iat=float("-inf")),
    "it begins later": lambda: token(nbf=time.time() + 45),
    "it was made later": lambda: token(iat=time.time() + 45),
    "its exp is a string": lambda: token(exp="99999999999"),
    "its exp is infinite": lambda: token(exp=float("inf")),
    "its exp is not a number": lambda: token(exp=float("nan")),
    "its exp is a list": lambda: token(exp=[99999999999]),
    "its nbf is a string": lambda: token(nbf="0"),
    "its nbf is a boolean": lambda: token(nbf=True),
    "its audience has a tab": lambda: token(aud=RESOURCE.replace("/mcp", "/m\tcp")),
    "its audience has a blank at its end": lambda: token(aud=RESOURCE + " "),
    "its audience has a backslash": lambda: token(aud=RESOURCE.replace("/mcp", "\\mcp")),
    "its audience goes up a path": lambda: token(aud=RESOURCE.replace("/mcp", "/x/../mcp")),
    "its audience goes up a path, encoded": lambda: token(aud=RESOURCE.replace("/mcp", "/x/%2E%2e/mcp")),
    "its audience stays in a path": lambda: token(aud=RESOURCE.replace("/mcp", "/./mcp")),
    "its audience is another": lambda: token(aud="https://else.example.com/mcp"),
    "its audience is empty": lambda: token(aud=[]),
    "its audience is an object": lambda: token(aud={RESOURCE: 1}),
    "its audiences are not all strings": lambda: token(aud=[RESOURCE, 7]),
    "its issuer is another": lambda: token(iss="https://login.evil.example"),
    "its issuer has a slash more": lambda: token(iss=ISSUER + "/"),
    "its issuer is a list": lambda: token(iss=[ISSUER]),
    "its subject is a list": lambda: token(sub=[SUBJECT]),
    # what it is
    "it is longer than 14 KiB": lambda: token(padding="x" * 14336),
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
async def test_jwt_is_refused_alike_where(why: str, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    async with open_client(issuer_settings(issuer.url)) as client:
        header = b"Bearer " + REFUSED[why]().encode("latin-1")
        response = await client.post("/mcp", json=INITIALIZE, headers=[(b"Authorization", header)])
        usual = await initialize(client, "wrong")
        assert (await initialize(client, token())).status_code == 200, "and the server lives"
    assert response.status_code == 401
    assert (response.content, response.headers) == (usual.content, usual.headers)
    assert "crash" not in caplog.messages


async def test_log_says_that_an_extension_is_not_supported(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadster_server")
    assert await status_with(issuer.url, token(header={"crit": ["exp"], "exp": 1})) == 401
    (line,) = [vars(record) for record in caplog.records if record.message == "jwt refused"]
    assert line["reason"] == "it cannot be read: crit, b64 or kid of its header is not supported"


def expired(key: str = "rsa", **changes: Any) -> str:
    """Returns a token that expired before the leeway."""
    return token(key, **({"exp": time.time() - 35} | changes))


@pytest.mark.parametrize("bearer", [expired, lambda: expired(iat=..., nbf=...), lambda: expired(scope=...)])
async def test_only_a_token_that_is_good_otherwise_is_said_to_have_expired(
    bearer: Callable[[], str], issuer: Issuer
) -> None:
    async with open_client(issuer_settings(issuer.url)) as client:
        response = await initialize(client, bearer())
        challenge = response.headers["www-authenticate"]
        assert response.status_code == 401
        assert challenge.startswith('Bearer error="invalid_token", error_description="The access token expired", ')
        assert response.json() == {"error": "invalid_token", "error_description": "The access token expired"}


EXPIRED_AND_BAD: dict[str, Callable[[], str]] = {
    "a strange key signed it": lambda: expired("strange", header={"kid": "rsa"}),
    "its key is unknown": lambda: expired(header={"kid": "unknown"}),
    "its audience is another": lambda: expired(aud="https://else.example.com/mcp"),
    "its issuer is another": lambda: expired(iss="https://login.evil.example"),
    "it is an ID token": lambda: expired(nonce="n"),
    "it begins later": lambda: expired(nbf=time.time() + 45),
    "it lived too long": lambda: expired(iat=1, nbf=1),
    "it has a critical extension": lambda: expired(header={"crit": ["exp"], "exp": 1}),
}


@pytest.mark.parametrize("why", EXPIRED_AND_BAD)
async def test_expired_token_is_refused_like_any_other_where(why: str, issuer: Issuer) -> None:
    async with open_client(issuer_settings(issuer.url)) as client:
        response, usual = await initialize(client, EXPIRED_AND_BAD[why]()), await initialize(client, "wrong")
    assert (response.status_code, response.content, response.headers) == (401, usual.content, usual.headers)


@pytest.mark.parametrize("key", ["rsa", "strange"])
async def test_jwt_header_cannot_name_its_own_key(key: str, issuer: Issuer) -> None:
    trap = f"{issuer.base}/trap"
    bearer = token(key, header={"kid": "rsa", "jku": trap, "x5u": trap, "x5c": ["MII"], "jwk": jwk("strange")})
    assert await status_with(issuer.url, bearer) == (200 if key == "rsa" else 401)
    assert issuer.paths == ["/jwks"]
