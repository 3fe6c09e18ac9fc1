"""The checks of an ID token, by which a provider says who has just signed in (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import jwt

from roadster_server.settings.rights import Claims
from roadster_server.settings.sections.callers import IdentitySettings

from .claims import check_expiry, check_overage, check_times, read_signed
from .keys import Key

_REQUIRED = ("iss", "sub", "aud", "exp", "iat", "nonce")
_KINDS = {"typ": "ID", "token_use": "id", "tokenName": "id_token"}
"""Claims in which Keycloak, Cognito and PingAM say what a token is, with the value of ID tokens."""


def check_id_token(token: str, header: Mapping[str, Any], key: Key, provider: IdentitySettings, nonce: str) -> Claims:
    """Returns the claims of an ID token for our client and for the sign-in of `nonce`, all checked.

    Raises PyJWTError with the reason, without values of claims.
    """
    if str(header.get("typ", "JWT")).lower() not in {"jwt", "application/jwt"}:
        raise jwt.InvalidTokenError("its header's typ is not that of an ID token")
    claims = read_signed(token, header, key, provider)
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise jwt.MissingRequiredClaimError(name)
    for name, value in _KINDS.items():
        if name in claims and claims[name] != value:
            raise jwt.InvalidTokenError(f"its {name} is not that of an ID token")
    check_times(claims, provider)
    check_expiry(claims)
    _check_audience(claims, provider.client_id)
    if not isinstance(claims["nonce"], str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise jwt.InvalidTokenError("it is of another sign-in: its nonce differs")
    check_overage(claims, provider)
    return claims


def _check_audience(claims: Claims, client_id: str | None) -> None:
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    # One that is for others as well must say that it was made for us.
    party = claims.get("azp", client_id if len(audiences) == 1 else None)
    if client_id is None or client_id not in audiences or party != client_id:
        raise jwt.InvalidAudienceError("it is for another client")
