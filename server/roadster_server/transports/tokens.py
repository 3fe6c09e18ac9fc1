"""Whose token was sent: opaque tokens known by their SHA-256, and JWTs of the callers' own issuers.

A refused token looks the same to its sender whatever was wrong with it; the log says more.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt
from jwt.algorithms import AllowedPublicKeys
from mcp.server.auth.provider import AccessToken
from pydantic_core import from_json

from roadster_client.upstream.response import read_capped
from roadster_server.settings.sections import JwtSettings, Settings
from roadster_server.telemetry.logs import log, log_crash

SCOPE = "roadster"
"""What a JWT must be scoped for. An opaque token is made for this server, and so always is."""

_MAX_TOKEN_CHARACTERS = 8 * 1024
_LEEWAY_SECONDS = 30
_REQUIRED_CLAIMS = ("exp", "nbf", "aud", "iss", "sub")

_MAX_KEYS_BYTES = 256 * 1024
_FETCH_SECONDS = 5.0
_KEYS_KEPT_SECONDS = 600.0
_BETWEEN_FETCHES_SECONDS = 60.0
_BETWEEN_FAILURES_SECONDS = 5.0

# No key verifies what it was not made for: the kind of key decides, never the token's own `alg`.
_ALGORITHMS = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")

Clock = Callable[[], float]


class TokenVerifier:
    """Finds the caller whose token was sent, by the settings of the moment. `clock` is a monotonic one, in seconds."""

    def __init__(self, settings: Callable[[], Settings], *, clock: Clock = time.monotonic) -> None:
        self._settings = settings
        self._issuers = _IssuersKeys(clock)

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            if len(token) > _MAX_TOKEN_CHARACTERS:
                return None
            return self._owner(token) or await self._bearer_of_jwt(token)
        except Exception as error:  # noqa: BLE001 - a defect of ours lets nobody in, and ends no server
            log_crash(error)
            return None

    def _owner(self, token: str) -> AccessToken | None:
        given = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for name, caller in self._settings().callers.items():
            for digest in caller.token_sha256:  # all of them, so that the time tells nothing
                if hmac.compare_digest(given, digest):
                    found = name
        return identity_of(found) if found is not None else None

    async def _bearer_of_jwt(self, token: str) -> AccessToken | None:
        if token.count(".") != 2:  # noqa: PLR2004 - header, payload, signature
            return None
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        claimed = unverified["payload"].get("iss"), unverified["payload"].get("sub")
        for name, caller in self._settings().callers.items():
            if caller.jwt is not None and (caller.jwt.issuer, caller.jwt.subject) == claimed:
                try:
                    claims = await self._verified(token, unverified["header"], caller.jwt)
                except jwt.PyJWTError as error:
                    log.info("jwt refused", extra={"caller": name, "reason": type(error).__name__})
                    return None
                return identity_of(name, [SCOPE] if SCOPE in _scopes(claims) else [])
        return None

    async def _verified(self, token: str, header: Mapping[str, Any], expected: JwtSettings) -> Mapping[str, Any]:
        """The claims of `token`, all checked. Raises PyJWTError."""
        if "crit" in header:
            raise jwt.InvalidTokenError("no critical extension is supported")
        key = await self._issuers.key(expected.jwks_url, header.get("kid"))
        claims = jwt.decode(
            token,
            key.public,
            algorithms=key.algorithms,
            audience=expected.audience,
            issuer=expected.issuer,
            subject=expected.subject,
            leeway=_LEEWAY_SECONDS,
            options={"require": [*_REQUIRED_CLAIMS], "enforce_minimum_key_length": True},
        )
        for claim in ("exp", "nbf"):
            if type(claims[claim]) not in {int, float}:  # PyJWT takes strings and booleans for numbers
                raise jwt.DecodeError(f"{claim} is no number")
        return claims


def identity_of(name: str, scopes: list[str] | None = None) -> AccessToken:
    """The caller as the SDK carries it through a request, within all scopes unless told."""
    # The token itself is not kept: nothing after this needs it, and so nothing can pass it on.
    return AccessToken(token="", client_id=name, scopes=[SCOPE] if scopes is None else scopes)


def _scopes(claims: Mapping[str, Any]) -> Iterator[str]:
    # RFC 9068 has a string `scope`; of the issuers with `scp`, some send a list and some a string.
    for claim in ("scope", "scp"):
        match claims.get(claim):
            case str() as scopes:
                yield from scopes.split(" ")
            case list() as scopes:
                yield from scopes


@dataclass(frozen=True)
class _Key:
    public: AllowedPublicKeys
    algorithms: tuple[str, ...]


@dataclass
class _KeySet:
    """What is known of one JWKS URL. Times are the clock's."""

    keys: Mapping[str, _Key] = field(default_factory=dict)
    kept_until: float = float("-inf")
    next_fetch: float = float("-inf")
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    def key(self, kid: str, now: float) -> _Key | None:
        return self.keys.get(kid) if now < self.kept_until else None


class _IssuersKeys:
    """The issuers' public keys, fetched when a token needs them. Without them nobody's JWT is good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}

    async def key(self, url: str, kid: str | None) -> _Key:
        """Raises PyJWTError where there is no such key, also where that cannot be found out."""
        if kid is None:
            raise jwt.InvalidKeyError("the token names no key")
        known = self._sets.setdefault(url, _KeySet())
        if known.key(kid, self._clock()) is None:
            async with known.lock:  # who waited here finds what the first one fetched
                if known.key(kid, self._clock()) is None and known.next_fetch <= self._clock():
                    await self._refresh(url, known)
        found = known.key(kid, self._clock())
        if found is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        return found

    async def _refresh(self, url: str, known: _KeySet) -> None:
        # While nothing is kept, every caller of this issuer is locked out: then a failure is tried again sooner.
        kept = self._clock() < known.kept_until
        known.next_fetch = self._clock() + (_BETWEEN_FETCHES_SECONDS if kept else _BETWEEN_FAILURES_SECONDS)
        try:
            with anyio.fail_after(_FETCH_SECONDS):
                known.keys = _usable_keys(await _fetched(url))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            log.warning("no keys", extra={"host": urlsplit(url).hostname, "reason": type(error).__name__})
            return
        known.kept_until = self._clock() + _KEYS_KEPT_SECONDS
        known.next_fetch = self._clock() + _BETWEEN_FETCHES_SECONDS


async def _fetched(url: str) -> bytes:
    """The body of a 200 answer. Raises HTTPError or ValueError."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        # httpx2's timeouts are for each read; the deadline around this is a total one.
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"the answer's status is {response.status_code}")
        return await read_capped(response, _MAX_KEYS_BYTES)


def _usable_keys(content: bytes) -> dict[str, _Key]:
    """The signature keys in a JWKS that we can use; issuers publish others beside them. Raises ValueError."""
    match from_json(content, allow_inf_nan=False):
        case {"keys": list() as jwks}:
            named = [jwk for jwk in jwks if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
            return {jwk["kid"]: key for jwk in named if (key := _usable(jwk)) is not None}
    raise ValueError("the answer is no JWKS")


def _usable(jwk: Mapping[str, Any]) -> _Key | None:
    public = {name: jwk[name] for name in _PUBLIC_MEMBERS if isinstance(jwk.get(name), str)}
    algorithms = _ALGORITHMS.get((public.get("kty", ""), public.get("crv")), ())
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    operations = jwk.get("key_ops", ["verify"])
    for_signatures = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not algorithms or not for_signatures:
        return None
    try:
        return _Key(jwt.PyJWK(public, algorithms[0]).key, algorithms)
    except (jwt.PyJWTError, ValueError):
        return None
