"""The checks of a JWT as an access token for this server, after RFC 9068 and what providers really issue."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
from pydantic import AnyHttpUrl, ValidationError

from roadster_server.settings.rights import Claims
from roadster_server.settings.sections.callers import IdentitySettings

from .keys import Key

LEEWAY_SECONDS = 30
"""Difference between an issuer's clock and ours that times may have."""
_LATEST_TIME = 253402300799
"""Seconds since 1970: the end of the year 9999."""
_TYPES = {"at+jwt", "application/at+jwt", "jwt"}
"""Values of the header `typ`. RFC 9068 names the first two. Most providers still write the third."""
_OTHER_FORMS = ("zip", "enc")
"""Members of the header by which a token would be compressed or encrypted (RFC 7516). Some readers would heed them."""
_REQUIRED = ("exp", "iss", "aud")
_ONLY_IN_ID_TOKENS = ("nonce", "at_hash", "c_hash")
"""OpenID Connect Core 1.0, sections 2 and 3.3.2.11."""
_KINDS = {"typ": "Bearer", "token_use": "access", "tokenName": "access_token"}
"""Claims in which Keycloak, Cognito and PingAM say what a token is, with the value of access tokens."""


def check_claims(token: str, header: Mapping[str, Any], key: Key, provider: IdentitySettings) -> Claims:
    """Returns the claims of `token`, all checked.

    Raises PyJWTError with the reason, without values of claims. ExpiredSignatureError means that nothing else is wrong.
    """
    _check_type(header)
    claims = read_signed(token, header, key, provider)
    _check_content(claims, provider)
    check_expiry(claims)
    return claims


def read_signed(token: str, header: Mapping[str, Any], key: Key, provider: IdentitySettings) -> dict[str, Any]:
    """Returns the claims that the provider has signed. Raises PyJWTError. It looks at no time and no audience."""
    if "crit" in header:
        raise jwt.InvalidTokenError("no critical extension is supported")
    for name in _OTHER_FORMS:
        if name in header:
            raise jwt.InvalidTokenError(f"its header has {name}, and a signed token has none")
    if "cty" in header:
        raise jwt.InvalidTokenError("it holds something else than claims: its header has cty")
    claims: dict[str, Any] = jwt.decode(
        token,
        key.public,
        algorithms=key.algorithms,
        issuer=provider.issuer,
        options={
            "enforce_minimum_key_length": True,
            # Checked apart: PyJWT also accepts times that are no numbers, and ends at an expired one.
            "verify_aud": False,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        },
    )
    return claims


def check_expiry(claims: Claims) -> None:
    if claims["exp"] + LEEWAY_SECONDS <= time.time():
        raise jwt.ExpiredSignatureError("it has expired")


def problem_of(claims: Claims, provider: IdentitySettings) -> str | None:
    """Returns why a token with these claims is refused, or None. The signature and the expiry are not looked at."""
    try:
        _check_content(claims, provider)
    except jwt.PyJWTError as error:
        return str(error)
    if not has_scope(claims, provider):
        return f"it lacks the scope {provider.scope}"
    return None


def _check_content(claims: Claims, provider: IdentitySettings) -> None:
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise jwt.MissingRequiredClaimError(name)
    check_times(claims, provider)
    _check_audience(claims["aud"], provider.audiences)
    _check_kind(claims)
    check_overage(claims, provider)


def has_scope(claims: Claims, provider: IdentitySettings) -> bool:
    return not provider.scope or provider.scope in _scopes(claims)


def _check_type(header: Mapping[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise jwt.InvalidTokenError("its header's typ is not that of an access token")


def check_times(claims: Claims, provider: IdentitySettings) -> None:
    """Checks all times, but not whether the token has expired."""
    now = time.time()
    for name in {"exp", "nbf", "iat"} & claims.keys():
        if type(claims[name]) not in {int, float} or not 0 <= claims[name] <= _LATEST_TIME:
            raise jwt.DecodeError(f"{name} is no time")
    for name in {"nbf", "iat"} & claims.keys():
        if claims[name] > now + LEEWAY_SECONDS:
            raise jwt.ImmatureSignatureError(f"{name} is in the future")
    begin = claims.get("iat", claims.get("nbf", now))
    if claims["exp"] - begin > provider.longest_lifetime.total_seconds() + LEEWAY_SECONDS:
        raise jwt.InvalidTokenError("it lives longer than longest_lifetime")


def _check_audience(claim: Any, audiences: list[str]) -> None:
    values = claim if isinstance(claim, list) else [claim]
    if not all(isinstance(value, str) for value in values):
        raise jwt.InvalidAudienceError("aud is no text")
    if not set(map(_canonical, values)) & set(map(_canonical, audiences)):
        raise jwt.InvalidAudienceError("it is for another audience")


_CHANGED_BY_READERS = re.compile(r"[\s\x00-\x1f\x7f\\]|/(\.|%2e){1,2}(?=[/?#]|$)", re.IGNORECASE)
"""Parts of a URL that readers leave out or resolve: blanks, tabs, backslashes, `/x/../`. No provider writes it."""


def _canonical(audience: str) -> str:
    """Returns one spelling of a URL: a host in small letters, no default port, no slash at the end."""
    if not audience.lower().startswith(("https://", "http://")) or _CHANGED_BY_READERS.search(audience):
        return audience  # any text, such as a GUID or api://…
    try:
        return str(AnyHttpUrl(audience)).removesuffix("/")
    except ValidationError:
        return audience


def _check_kind(claims: Claims) -> None:
    for name, value in _KINDS.items():
        if name in claims and claims[name] != value:
            raise jwt.InvalidTokenError(f"its {name} is not that of an access token")
    # Keycloak before version 24 copies a client's nonce into access tokens too.
    if not _KINDS.keys() & claims.keys():
        for name in _ONLY_IN_ID_TOKENS:
            if name in claims:
                raise jwt.InvalidTokenError(f"it is an ID token: it has {name}")
    if "cnf" in claims:  # RFC 7800: nobody here asks for a proof of the key, so a stolen one would work
        raise jwt.InvalidTokenError("it is bound to a key of its client: it has cnf")


def check_overage(claims: Claims, provider: IdentitySettings) -> None:
    """Refuses a token of Entra without the groups because there are too many: a rule must not read them as none."""
    elsewhere = claims.get("_claim_names")
    missing = set(elsewhere) if isinstance(elsewhere, dict) else set()
    if claims.get("hasgroups"):
        missing.add("groups")
    for name in missing & {claim for rule in provider.people for claim in [*rule.match, rule.dealers_claim]}:
        mend = "let the provider send only the groups that are assigned to this application, or app roles"
        raise jwt.InvalidTokenError(f"it has too many {name} to hold them; {mend}")


def _scopes(claims: Claims) -> Iterator[str]:
    # RFC 9068 defines a string `scope`. Some issuers send `scp`, as a list or as a string. Entra sends neither to a
    # service without a person: its `roles` are then what an administrator has granted to the service.
    in_roles = _is_of_a_service(claims) and not {"scope", "scp"} & claims.keys()
    for claim in ("scope", "scp", *(["roles"] if in_roles else [])):
        match claims.get(claim):
            case str() as scopes:
                yield from scopes.split(" ")
            case list() as scopes:
                yield from scopes


def _is_of_a_service(claims: Claims) -> bool:
    """Returns whether Entra made the token for a service. A person's `sub` differs from their `oid` there."""
    return claims.get("idtyp") == "app" or (isinstance(claims.get("oid"), str) and claims["oid"] == claims.get("sub"))
