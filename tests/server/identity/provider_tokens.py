"""The tokens of well-known identity providers in the shapes that their documents give, with made-up people.

Each function returns the claims of one kind of token with `changes`. A claim changed to `...` is left out.
"""

from __future__ import annotations

import time
from typing import Any

from tests.server.identity.issuers import RESOURCE

TENANT = "7f1c0f7e-2f6a-4f6e-9d2a-0a1b2c3d4e5f"
API = "0f8fad5b-d9cb-469f-a165-70867728950e"
"""The id of an application of Entra that stands for this server."""
CLIENT = "c2f41be6-7d1a-4a6c-8f5e-3d1f6f0f9a11"
GROUP = "5f4dcc3b-5aa7-45d6-b8f3-8327debb2a3e"
ENTRA_V1 = f"https://sts.windows.net/{TENANT}/"
ENTRA_V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
OKTA = "https://steves-cars.okta.example/oauth2/default"
AUTH0 = "https://steves-cars.auth0.example/"
KEYCLOAK = "https://sso.example.com/realms/steves-cars"
GOOGLE = "https://accounts.google.com"
GOOGLE_CLIENT = "1234567890-abc.apps.googleusercontent.example"
PINGONE = "https://auth.pingone.example/2f6a4f6e/as"
PINGAM = "https://am.example.com/am/oauth2/realms/root/realms/alpha"
COGNITO = "https://cognito-idp.us-east-1.amazonaws.example/us-east-1_AbCdEfGhI"


def _claims(base: dict[str, Any], changes: dict[str, Any], seconds: int = 3600) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iat": now, "exp": now + seconds} | base | changes
    return {name: value for name, value in whole.items() if value is not ...}


def entra_v1(**changes: Any) -> dict[str, Any]:
    base = {
        "aud": "api://roadster-mcp",
        "iss": ENTRA_V1,
        "nbf": int(time.time()),
        "acr": "1",
        "aio": "ATQAy/8TAAAA",
        "amr": ["pwd", "mfa"],
        "appid": CLIENT,
        "appidacr": "0",
        "family_name": "McQueen",
        "given_name": "Steve",
        "groups": [GROUP],
        "ipaddr": "192.0.2.7",
        "name": "Steve McQueen",
        "oid": "11111111-1111-4111-8111-111111111111",
        "rh": "0.AAAA",
        "scp": "roadster",
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "tid": TENANT,
        "unique_name": "steve@example.com",
        "upn": "steve@example.com",
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "1.0",
    }
    return _claims(base, changes, 4800)


def entra_v2(**changes: Any) -> dict[str, Any]:
    base = {
        "aud": API,
        "iss": ENTRA_V2,
        "nbf": int(time.time()),
        "aio": "AWQAm/8TAAAA",
        "azp": CLIENT,
        "azpacr": "0",
        "groups": [GROUP],
        "name": "Steve McQueen",
        "oid": "11111111-1111-4111-8111-111111111111",
        "preferred_username": "steve@example.com",
        "rh": "0.AAAA",
        "scp": "roadster profile",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        "tid": TENANT,
        "uti": "fqiBqXLPj0eQa82S-IYFAA",
        "ver": "2.0",
    }
    return _claims(base, changes, 4800)


def entra_service(**changes: Any) -> dict[str, Any]:
    """Returns the claims of an app-only token: no scope, but application permissions as roles."""
    oid = "22222222-2222-4222-8222-222222222222"
    gone = dict.fromkeys(("scp", "groups", "name", "preferred_username"), ...)
    return entra_v2(**({**gone, "azpacr": "1", "oid": oid, "sub": oid, "roles": ["roadster"]} | changes))


def okta(**changes: Any) -> dict[str, Any]:
    base = {
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": OKTA,
        "aud": RESOURCE,
        "cid": "0oabucvyc38HLL1ef0h7",
        "uid": "00ucv8q7g5cJ0HHL1ef0",
        "scp": ["openid", "roadster", "offline_access"],
        "auth_time": int(time.time()) - 20,
        "sub": "steve@example.com",
        "groups": ["Everyone", "roadster-sales"],
    }
    return _claims(base, changes)


def auth0(**changes: Any) -> dict[str, Any]:
    base = {
        "iss": AUTH0,
        "sub": "auth0|6650c5d1a7b3f0a1b2c3d4e5",
        "aud": [RESOURCE, f"{AUTH0}userinfo"],
        "azp": "AbCdEfGhIjKlMnOpQrStUvWxYz012345",
        "scope": "openid profile email roadster offline_access",
        "permissions": ["roadster:sales"],
        "https://example.com/role": "sales",
        "https://example.com/rooftops": ["umazda"],
    }
    return _claims(base, changes, 86400)


def keycloak(**changes: Any) -> dict[str, Any]:
    base = {
        "auth_time": int(time.time()) - 20,
        "jti": "onrtac:0b0b0b0b-1c1c-4d2d-8e3e-4f4f4f4f4f4f",
        "iss": KEYCLOAK,
        "aud": [RESOURCE, "account"],
        "sub": "33333333-3333-4333-8333-333333333333",
        "typ": "Bearer",
        "azp": "claude",
        "sid": "44444444-4444-4444-8444-444444444444",
        "acr": "1",
        "allowed-origins": ["https://claude.example"],
        "realm_access": {"roles": ["offline_access", "roadster-sales"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "groups": ["/sales/northwest"],
        "scope": "openid roadster profile email",
        "email_verified": True,
        "preferred_username": "steve",
        "email": "steve@example.com",
    }
    return _claims(base, changes, 300)


def google_id_token(**changes: Any) -> dict[str, Any]:
    base = {
        "iss": GOOGLE,
        "azp": GOOGLE_CLIENT,
        "aud": GOOGLE_CLIENT,
        "sub": "110169484474386276334",
        "hd": "example.com",
        "email": "steve@example.com",
        "email_verified": True,
        "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
        "nonce": "0394852-3190485-2490358",
    }
    return _claims(base, changes)


def google_service(**changes: Any) -> dict[str, Any]:
    """Returns the claims that Google's metadata server writes for a service account, for any audience."""
    base = {
        "iss": GOOGLE,
        "azp": "113774264463038321964",
        "aud": RESOURCE,
        "sub": "113774264463038321964",
        "email": "robot@steves-cars.iam.gserviceaccount.example",
        "email_verified": True,
    }
    return _claims(base, changes)


def pingone(**changes: Any) -> dict[str, Any]:
    base = {
        "client_id": "55555555-5555-4555-8555-555555555555",
        "iss": PINGONE,
        "jti": "66666666-6666-4666-8666-666666666666",
        "aud": [RESOURCE],
        "scope": "openid roadster",
        "sub": "77777777-7777-4777-8777-777777777777",
        "sid": "88888888-8888-4888-8888-888888888888",
        "auth_time": int(time.time()) - 20,
        "acr": "Single_Factor",
        "env": "99999999-9999-4999-8999-999999999999",
        "org": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "groups": ["roadster-sales"],
    }
    return _claims(base, changes)


def pingfederate(**changes: Any) -> dict[str, Any]:
    """Returns the claims of its token manager's defaults: a list of scopes, and no time of issue."""
    return pingone(
        **({"iat": ..., "scope": ["openid", "roadster"], "env": ..., "org": ..., "sid": ..., "acr": ...} | changes)
    )


def pingam(**changes: Any) -> dict[str, Any]:
    base = {
        "sub": "(usr!bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb)",
        "cts": "OAUTH2_STATELESS_GRANT",
        "auth_level": 0,
        "auditTrackingId": "cccccccc-cccc-4ccc-8ccc-cccccccccccc-1234",
        "subname": "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
        "iss": PINGAM,
        "tokenName": "access_token",
        "token_type": "Bearer",
        "authGrantId": "YvFyKCkAE1o0",
        "aud": RESOURCE,
        "nbf": int(time.time()),
        "grant_type": "authorization_code",
        "scope": ["openid", "roadster"],
        "auth_time": int(time.time()) - 20,
        "realm": "/alpha",
        "expires_in": 3600,
        "jti": "d-fGdz2bBNnRVp",
        "groups": ["roadster-sales"],
    }
    return _claims(base, changes)


def cognito(**changes: Any) -> dict[str, Any]:
    base = {
        "sub": "dddddddd-dddd-4ddd-8ddd-dddddddddddd",
        "cognito:groups": ["roadster-sales"],
        "iss": COGNITO,
        "version": 2,
        "client_id": "1example23456789",
        "aud": RESOURCE,
        "origin_jti": "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee",
        "event_id": "ffffffff-ffff-4fff-8fff-ffffffffffff",
        "token_use": "access",
        "scope": f"openid {RESOURCE}/roadster",
        "auth_time": int(time.time()) - 20,
        "jti": "12121212-1212-4121-8121-121212121212",
        "username": "steve",
    }
    return _claims(base, changes)
