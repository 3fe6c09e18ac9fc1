"""Tokens in the shapes of well-known providers, and forged ones: which are accepted, and why the others are not."""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mcp.server.auth.provider import AccessToken

from roadster_server.identity.tokens import SCOPE, TokenVerifier
from roadster_server.settings.sections.callers import IdentitySettings, PeopleRule, RoleSettings
from roadster_server.settings.settings import Settings
from tests.server.identity import provider_tokens as shapes
from tests.server.identity.issuers import KEYS, RESOURCE, Issuer, compact, encode, issuer_settings, jwk, token

pytestmark = pytest.mark.anyio

RULES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "entra1": (shapes.ENTRA_V1, {"groups": shapes.GROUP}, {"audiences": ["api://roadster-mcp"]}),
    "entra2": (shapes.ENTRA_V2, {"groups": shapes.GROUP}, {"audiences": [shapes.API], "subject_claim": "oid"}),
    "okta": (shapes.OKTA, {"groups": "roadster-sales"}, {"subject_claim": "uid"}),
    "auth0": (shapes.AUTH0, {"https://example.com/role": "sales"}, {}),
    "keycloak": (shapes.KEYCLOAK, {"groups": "/sales/northwest"}, {}),
    "google": (shapes.GOOGLE, {"email": "robot@steves-cars.iam.gserviceaccount.example"}, {"scope": ""}),
    "pingone": (shapes.PINGONE, {"groups": "roadster-sales"}, {}),
    "pingam": (shapes.PINGAM, {"groups": "roadster-sales"}, {}),
    "cognito": (shapes.COGNITO, {"cognito:groups": "roadster-sales"}, {"scope": f"{RESOURCE}/roadster"}),
}
"""The issuer of each provider, the claims that a rule of it matches, and the settings that are not the usual ones."""


def settings_with(jwks_url: str) -> Settings:
    providers = {
        name: IdentitySettings(
            **(
                {
                    "issuer": issuer,
                    "audiences": [RESOURCE],
                    "jwks_url": jwks_url,
                    "people": [
                        PeopleRule(match=match, role="sales"),
                        PeopleRule(match={"roles": "roadster"}, role="robot"),
                        PeopleRule(match={"permissions": "roadster:robot"}, role="robot"),
                        PeopleRule(match={"cid": "0oaRobot"}, role="robot"),
                        PeopleRule(match={"client_id": "robot"}, role="robot"),
                    ],
                }
                | more
            )
        )
        for name, (issuer, match, more) in RULES.items()
    }
    roles = {"sales": RoleSettings(), "robot": RoleSettings()}
    return issuer_settings(jwks_url).model_copy(update={"callers": {}, "identity": providers, "roles": roles})


class Sample(NamedTuple):
    """One token, and the outcome: whose it is, or the reason in the log."""

    token: Callable[[], str]
    outcome: str


def sample(
    claims: Callable[..., dict[str, Any]], outcome: str, *, header: dict[str, Any] | None = None, **changes: Any
) -> Sample:
    """Returns a sample that the provider has signed. Most providers write the header `typ`: JWT."""

    def signed() -> str:
        now = {name: value() if callable(value) else value for name, value in changes.items()}
        return token(header={"typ": "JWT"} | (header or {}), payload=claims(**now))

    return Sample(signed, outcome)


def from_now(seconds: float) -> Callable[[], float]:
    """Returns a time in seconds from the moment when the token is made, which is long after the tests are collected."""
    return lambda: time.time() + seconds


def hmac_signed(secret: bytes, kid: str = "rsa", **changes: Any) -> Callable[[], str]:
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    return lambda: compact(header, shapes.keycloak(**changes), lambda content: hmac.digest(secret, content, "sha256"))


def nested() -> str:
    """Returns a good token, signed again as the payload of another one (RFC 7519, section 5.2)."""
    return token(header={"typ": "JWT", "cty": "JWT"}, payload=token(payload=shapes.auth0()).encode())


ENTRA_OVERAGE = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}
MANY_GROUPS = [f"{number:08x}-aaaa-4aaa-8aaa-aaaaaaaaaaaa" for number in range(199)]
PUBLIC_PEM = KEYS["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NO_SCOPE = "it lacks the scope"
NO_RULE = "no rule of people matches"
NO_PROVIDER = "its issuer is that of no provider"
UNREADABLE = "it cannot be read"
NO_JWT = "it is no token of the configuration, and no JWT"
TYPE = "its header's typ is not that of an access token"
AUDIENCE = "it is for another audience"
SIGNATURE = "Signature verification failed"

SAMPLES: dict[str, Sample] = {
    # Microsoft Entra ID
    "Entra v1: a person": sample(shapes.entra_v1, "entra1:AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"),
    "Entra v1: a person, with x5t as Entra writes it": sample(
        shapes.entra_v1, "entra1:AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", header={"x5t": "rsa"}
    ),
    "Entra v1: a service": sample(
        shapes.entra_v1, "entra1:robot-id", scp=..., groups=..., roles=["roadster"], oid="robot-id", sub="robot-id"
    ),
    "Entra v1 where v2 is awaited": sample(shapes.entra_v1, NO_PROVIDER, iss="https://sts.windows.net/other/"),
    "Entra v2: a person": sample(shapes.entra_v2, "entra2:11111111-1111-4111-8111-111111111111"),
    "Entra v2: a person in 200 groups": sample(
        shapes.entra_v2, "entra2:11111111-1111-4111-8111-111111111111", groups=[*MANY_GROUPS, shapes.GROUP]
    ),
    "Entra v2: a person in more groups than Entra sends": sample(
        shapes.entra_v2, "it has more than 14,336 characters", groups=[*MANY_GROUPS, *MANY_GROUPS]
    ),
    "Entra v2: a person in too many groups": sample(
        shapes.entra_v2, "it has too many groups", groups=..., **ENTRA_OVERAGE
    ),
    "Entra v2: a person in too many groups, told in the implicit flow's way": sample(
        shapes.entra_v2, "it has too many groups", groups=..., hasgroups=True
    ),
    "Entra v2: a person without the group": sample(shapes.entra_v2, NO_RULE, groups=["another"]),
    "Entra v2: a person whose client asked for another scope": sample(shapes.entra_v2, NO_SCOPE, scp="User.Read"),
    "Entra v2: a person with the role, but not the scope": sample(
        shapes.entra_v2, NO_SCOPE, scp="User.Read", roles=["roadster"]
    ),
    "Entra v2: a token of a person with the role, and with no scope at all": sample(
        shapes.entra_v2, NO_SCOPE, scp=..., roles=["roadster"]
    ),
    "Entra v2: a service": sample(shapes.entra_service, "entra2:22222222-2222-4222-8222-222222222222"),
    "Entra v2: a service that says so": sample(
        shapes.entra_service, "entra2:22222222-2222-4222-8222-222222222222", idtyp="app", sub="other"
    ),
    "Entra v2: a service with another application permission": sample(shapes.entra_service, NO_RULE, roles=["Other"]),
    "Entra v2: a service without any permission": sample(shapes.entra_service, NO_RULE, roles=...),
    "Entra v2: a service whose scopes are told": sample(shapes.entra_service, NO_SCOPE, scp="other"),
    "Entra v2: an ID token": sample(shapes.entra_v2, AUDIENCE, aud=shapes.CLIENT, azp=..., scp=..., nonce="n"),
    "Entra v2: an ID token of this server's own application": sample(
        shapes.entra_v2, "it is an ID token: it has nonce", azp=..., scp=..., nonce="n"
    ),
    "Entra v2: an ID token without a nonce": sample(
        shapes.entra_v2, NO_SCOPE, azp=..., azpacr=..., scp=..., roles=["roadster"]
    ),
    "Entra v2: a token for Microsoft Graph, whose signature only Graph can check": Sample(
        lambda: token("strange", header={"kid": "rsa"}, payload=shapes.entra_v2()), SIGNATURE
    ),
    "Entra v2: a proof-of-possession token": sample(shapes.entra_v2, "it has cnf", cnf={"kid": "client-key"}),
    # Okta
    "Okta: a person, without typ as Okta writes it": sample(
        shapes.okta, "okta:00ucv8q7g5cJ0HHL1ef0", header={"typ": ...}
    ),
    "Okta: a service whose provider is set to uid": sample(
        shapes.okta, "no usable uid", uid=..., cid="0oaRobot", sub="0oaRobot", scp=["roadster"], groups=...
    ),
    "Okta: the org's own access token": sample(shapes.okta, TYPE, header={"typ": "application/okta-internal-at+jwt"}),
    "Okta: an ID token": sample(
        shapes.okta, AUDIENCE, aud="0oabucvyc38HLL1ef0h7", jti="ID.x", at_hash="h", amr=["pwd"]
    ),
    "Okta: a token for api://default": sample(shapes.okta, AUDIENCE, aud="api://default"),
    # Auth0
    "Auth0: a person": sample(shapes.auth0, "auth0:auth0|6650c5d1a7b3f0a1b2c3d4e5"),
    "Auth0: a person, in the profile of RFC 9068": sample(
        shapes.auth0, "auth0:auth0|6650c5d1a7b3f0a1b2c3d4e5", header={"typ": "at+jwt"}, client_id="x", jti="y"
    ),
    "Auth0: a service": sample(
        shapes.auth0,
        "auth0:robot@clients",
        sub="robot@clients",
        aud=RESOURCE,
        gty="client-credentials",
        scope="roadster",
        permissions=["roadster:robot"],
        **{"https://example.com/role": ...},
    ),
    "Auth0: a token that is only for /userinfo": sample(shapes.auth0, AUDIENCE, aud=[f"{shapes.AUTH0}userinfo"]),
    "Auth0: an ID token": sample(shapes.auth0, AUDIENCE, aud="AbCdEfGhIjKlMnOpQrStUvWxYz012345", scope=..., sid="s"),
    "Auth0: an issuer without its slash": sample(shapes.auth0, NO_PROVIDER, iss=shapes.AUTH0.removesuffix("/")),
    "Auth0: an encrypted token, as it issues without an audience": Sample(
        lambda: encode({"alg": "dir", "enc": "A256GCM"}) + "..aXY.Y2lwaGVy.dGFn", NO_JWT
    ),
    # Keycloak
    "Keycloak: a person": sample(shapes.keycloak, "keycloak:33333333-3333-4333-8333-333333333333"),
    "Keycloak before 24: a person whose client sent a nonce": sample(
        shapes.keycloak, "keycloak:33333333-3333-4333-8333-333333333333", nonce="n"
    ),
    "Keycloak: a service account": sample(
        shapes.keycloak, "keycloak:service", sub="service", client_id="robot", groups=..., sid=...
    ),
    "Keycloak: a token without an audience mapper": sample(shapes.keycloak, AUDIENCE, aud="account"),
    "Keycloak 25: a token without the client scope basic": sample(shapes.keycloak, "no usable sub", sub=...),
    "Keycloak: a role that stands inside realm_access": sample(shapes.keycloak, NO_RULE, groups=...),
    "Keycloak: an ID token": sample(shapes.keycloak, AUDIENCE, typ="ID", aud="claude", scope=..., at_hash="h"),
    "Keycloak: an ID token for our audience": sample(shapes.keycloak, "its typ is not that", typ="ID"),
    "Keycloak: a refresh token": Sample(
        hmac_signed(b"the realm's secret", "own-secret", typ="Refresh"), "the issuer has no such key"
    ),
    "Keycloak: an offline token of RS256": sample(shapes.keycloak, "its typ is not that", typ="Offline"),
    "Keycloak: a token bound by DPoP": sample(shapes.keycloak, "its typ is not that", typ="DPoP", cnf={"jkt": "t"}),
    "Keycloak: a logout token": sample(shapes.keycloak, TYPE, header={"typ": "logout+jwt"}, typ="Logout"),
    # Google
    "Google: a person's ID token": sample(shapes.google_id_token, AUDIENCE),
    "Google: a person's ID token for our audience": sample(
        shapes.google_id_token, "it is an ID token: it has nonce", aud=RESOURCE
    ),
    "Google: a person's access token": Sample(lambda: "ya29.a0AfH6SMBx-opaque", NO_JWT),
    "Google: a service account's token for our audience": sample(shapes.google_service, "google:113774264463038321964"),
    "Google: a stranger's service account": sample(shapes.google_service, NO_RULE, email="else@else.example"),
    # Ping
    "PingOne: a person": sample(shapes.pingone, "pingone:77777777-7777-4777-8777-777777777777"),
    "PingOne: a service": sample(shapes.pingone, "pingone:robot", sub="robot", client_id="robot", groups=..., sid=...),
    "PingFederate: a person": sample(
        shapes.pingfederate,
        "pingone:77777777-7777-4777-8777-777777777777",
        header={"typ": ..., "pi.atm": "k7x1"},
    ),
    "PingFederate: no audience, as its token manager begins": sample(shapes.pingfederate, 'missing the "aud"', aud=...),
    "PingAM: a person": sample(shapes.pingam, "pingam:(usr!bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb)"),
    "PingAM: an ID token": sample(shapes.pingam, "its tokenName is not that", tokenName="id_token"),
    "PingAM: a refresh token": sample(shapes.pingam, "its tokenName is not that", tokenName="refresh_token"),
    "PingAM: a certificate-bound token": sample(shapes.pingam, "it has cnf", cnf={"x5t#S256": "t"}),
    # Cognito
    "Cognito: a person, with resource binding": sample(shapes.cognito, "cognito:dddddddd-dddd-4ddd-8ddd-dddddddddddd"),
    "Cognito: a person, without resource binding": sample(shapes.cognito, 'missing the "aud"', aud=...),
    "Cognito: an ID token": sample(shapes.cognito, AUDIENCE, token_use="id", aud="1example23456789", scope=...),
    "Cognito: an ID token for our audience": sample(shapes.cognito, "its token_use is not that", token_use="id"),
    # Forged, and not meant for us
    "forged: not signed": Sample(
        lambda: compact({"alg": "none", "kid": "rsa"}, shapes.auth0(), lambda _: b""), "InvalidAlgorithmError"
    ),
    "forged: signed with the public key as a secret": Sample(hmac_signed(PUBLIC_PEM), "InvalidAlgorithmError"),
    "forged: the key of another": sample(shapes.auth0, "the issuer has no such key", header={"kid": "foreign"}),
    "forged: signed by a stranger": Sample(
        lambda: token("strange", header={"kid": "rsa"}, payload=shapes.auth0()), SIGNATURE
    ),
    **{
        f"forged: brings its own key in {name}": Sample(
            lambda name=name, value=value: token(  # type: ignore[misc]
                "strange", header={"kid": "rsa", name: value}, payload=shapes.auth0()
            ),
            SIGNATURE,
        )
        for name, value in {
            "jku": "https://evil.example/jwks",
            "x5u": "https://evil.example/chain.pem",
            "jwk": jwk("strange"),
            "x5c": ["MII"],
        }.items()
    },
    "forged: a critical extension": sample(shapes.auth0, UNREADABLE, header={"crit": ["exp"], "exp": 1}),
    "forged: claims of another token": Sample(
        lambda: ".".join(
            [
                token(payload=shapes.auth0()).split(".")[0],
                encode(shapes.auth0(sub="auth0|boss")),
                token(payload=shapes.auth0()).split(".")[2],
            ]
        ),
        SIGNATURE,
    ),
    "forged: another provider's name": sample(shapes.auth0, AUDIENCE, iss=shapes.ENTRA_V2),
    "for another server": sample(shapes.auth0, AUDIENCE, aud="https://else.example.com/mcp"),
    "for a server below ours": sample(shapes.auth0, AUDIENCE, aud=f"{RESOURCE}/more"),
    "expired": sample(shapes.auth0, "it has expired", exp=from_now(-60), iat=from_now(-3600)),
    "not yet good": sample(shapes.entra_v2, "nbf is in the future", nbf=from_now(600)),
    "made in the future": sample(shapes.okta, "iat is in the future", iat=from_now(600), exp=from_now(900)),
    "lives for a year": sample(shapes.auth0, "longer than longest_lifetime", exp=from_now(31536000)),
    "lives for a year, and does not say since when": sample(
        shapes.pingfederate, "longer than longest_lifetime", exp=from_now(31536000)
    ),
    "a token inside a token": Sample(nested, UNREADABLE),
    "claims that say they are a token": sample(shapes.auth0, "its header has cty", header={"cty": "JWT"}),
    "a proof of DPoP": sample(shapes.auth0, TYPE, header={"typ": "dpop+jwt"}),
    "an answer of introspection": sample(shapes.auth0, TYPE, header={"typ": "token-introspection+jwt"}),
}


def test_table_of_samples_is_long_enough() -> None:
    assert len(SAMPLES) >= 40


@pytest.mark.parametrize("name", SAMPLES)
async def test_token_of_a_provider(name: str, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadster_server")
    settings = settings_with(issuer.url)
    bearer = SAMPLES[name].token()
    identity = await TokenVerifier(lambda: settings).verify_token(bearer)
    reasons = [str(record.__dict__["reason"]) for record in caplog.records if record.message == "jwt refused"]
    assert "crash" not in caplog.messages
    if isinstance(identity, AccessToken) and SCOPE in identity.scopes:
        outcome = identity.client_id
    elif isinstance(identity, AccessToken):
        outcome = NO_SCOPE
    else:
        outcome = "".join(reasons)
    assert SAMPLES[name].outcome in outcome, outcome
    assert set(issuer.paths) <= {"/jwks"}
    assert not any(json.dumps(value) in reason for reason in reasons for value in ("steve@example.com", bearer))
