"""Bearer tokens: opaque ones, which the configuration lists by their SHA-256, and JWTs of the callers' own issuers.

A refusal looks the same to the sender whatever is wrong with the token. The log says more.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt
from jwt.algorithms import AllowedPublicKeys
from mcp.server.auth.provider import AccessToken
from pydantic_core import from_json

from roadster_client import NetworkPath
from roadster_client.upstream.response import read_content
from roadster_server.settings.sections import JwtSettings, Settings
from roadster_server.telemetry.logs import log, log_crash

SCOPE = "roadster"
"""The scope that a JWT must have. An opaque token is made for this server, so it always has it."""

_MAX_TOKEN_CHARACTERS = 8 * 1024
"""Longer ones are refused before any work is spent on them."""
LEEWAY_SECONDS = 30
"""Difference between an issuer's clock and ours that `exp` and `nbf` may have."""
_REQUIRED_CLAIMS = ("exp", "nbf", "aud", "iss", "sub")

_MAX_KEYS_BYTES = 256 * 1024
"""An issuer's key set has a few keys of about 1 KB each."""
FETCH_SECONDS = 5.0
"""Seconds for one fetch of an issuer's keys. Requests with its tokens wait meanwhile."""
_KEYS_SECONDS = 600.0
"""Seconds that keys are good for. A key that the issuer has withdrawn is refused after that time."""
_BETWEEN_FETCHES_SECONDS = 60.0
"""Seconds. A token with an unknown key id would otherwise make us ask the issuer each time."""
_STREAM_KEYS_SECONDS = 3600.0
"""The same for streams that are open already, while their issuer does not answer. Then they end."""
_STREAM_TRIES = 2
_STREAM_TRY_SECONDS = 0.7
"""Seconds for one try of a stream to get the keys. All tries fit into the two seconds in which a stream has to end."""
_BETWEEN_FAILURES_SECONDS = 5.0
"""Seconds between two fetches while there are no keys, and the issuer's callers cannot connect."""

FETCH_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError)
"""The errors of a fetch. A TimeoutError is an OSError."""

# The kind of key decides about the algorithm, never the token's own `alg`.
_ALGORITHMS = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")

Clock = Callable[[], float]


class StaleToken(AccessToken):
    """The token of an open stream, good by keys that its issuer published a while ago. It does not answer now."""


class TokenVerifier:
    """Finds the caller to whom a token belongs, by the current settings.

    `clock` is monotonic, in seconds. `fetch_seconds` limits each fetch of an issuer's keys.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        clock: Clock = time.monotonic,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._settings = settings
        self._issuers = _IssuerKeys(clock, fetch_seconds)
        self._key = self._issuers.key

    def for_streams(self) -> TokenVerifier:
        """Returns a verifier of the tokens of open streams. An issuer that does not answer ends none for an hour.

        It gives a StaleToken then, which is to be checked again.
        """
        verifier = copy(self)
        verifier._key = self._issuers.key_of_stream  # noqa: SLF001 - it is a copy of this one
        return verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            if len(token) > _MAX_TOKEN_CHARACTERS:
                return None
            return self._check_opaque(token) or await self._check_jwt(token)
        except Exception as error:  # noqa: BLE001 - after a defect of ours nobody gets in, and the server goes on
            log_crash(error)
            return None

    def _check_opaque(self, token: str) -> AccessToken | None:
        token_digest = hashlib.sha256(token.encode()).hexdigest()
        owner = None
        for name, caller in self._settings().callers.items():
            for digest in caller.token_sha256:  # all of them, so that the time reveals nothing
                if hmac.compare_digest(token_digest, digest):
                    owner = name
        return identity_of(owner) if owner is not None else None

    async def _check_jwt(self, token: str) -> AccessToken | None:
        if token.count(".") != 2:  # noqa: PLR2004 - header, payload, signature
            return None
        try:
            # Not verified yet: this only finds the caller that it may belong to.
            raw = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        claim = raw["payload"].get("iss"), raw["payload"].get("sub")
        for name, caller in self._settings().callers.items():
            if caller.jwt is not None and (caller.jwt.issuer, caller.jwt.subject) == claim:
                try:
                    claims, key = await self._verify(token, raw["header"], caller.jwt)
                except jwt.PyJWTError as error:
                    log.info("jwt refused", extra={"caller": name, "reason": type(error).__name__})
                    return None
                scopes = [SCOPE] if SCOPE in _scopes(claims) else []
                identity = identity_of(name, scopes, expires_at=int(claims["exp"]) + LEEWAY_SECONDS)
                return StaleToken(**identity.model_dump()) if key.is_stale else identity
        return None

    async def _verify(
        self, token: str, header: Mapping[str, Any], rules: JwtSettings
    ) -> tuple[Mapping[str, Any], _Key]:
        """Returns the claims of `token`, all checked, and the key that they are signed with. Raises PyJWTError."""
        if "crit" in header:
            raise jwt.InvalidTokenError("no critical extension is supported")
        key = await self._key(rules.jwks_url, header.get("kid"), self._settings().network.path())
        claims = jwt.decode(
            token,
            key.public,
            algorithms=key.algorithms,
            audience=rules.audience,
            issuer=rules.issuer,
            subject=rules.subject,
            leeway=LEEWAY_SECONDS,
            options={"require": [*_REQUIRED_CLAIMS], "enforce_minimum_key_length": True},
        )
        for claim in ("exp", "nbf"):
            if type(claims[claim]) not in {int, float}:  # PyJWT also accepts strings and booleans
                raise jwt.DecodeError(f"{claim} is no number")
        return claims, key


def identity_of(name: str, scopes: list[str] | None = None, *, expires_at: int | None = None) -> AccessToken:
    """Returns the caller in the form that the SDK carries through a request, by default with all scopes.

    `expires_at` is the time from which the token is refused.
    """
    # Without the token itself: nothing later needs it, so nothing can pass it on.
    scopes = [SCOPE] if scopes is None else scopes
    return AccessToken(token="", client_id=name, scopes=scopes, expires_at=expires_at)


def _scopes(claims: Mapping[str, Any]) -> Iterator[str]:
    # RFC 9068 defines a string `scope`. Some issuers send `scp`, as a list or as a string.
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
    is_stale: bool = False


@dataclass
class _KeySet:
    """The keys behind one JWKS URL. Times are those of the clock."""

    keys: Mapping[str, _Key] = field(default_factory=dict)
    good_until: float = float("-inf")
    next_fetch: float = float("-inf")
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    def key(self, kid: str, now: float) -> _Key | None:
        return self.keys.get(kid) if now < self.good_until else None


class _IssuerKeys:
    """The issuers' public keys, fetched when a token needs them. Without them no JWT is accepted."""

    def __init__(self, clock: Clock, fetch_seconds: float) -> None:
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._sets: dict[str, _KeySet] = {}

    async def key(self, url: str, kid: str | None, network: NetworkPath) -> _Key:
        """Raises PyJWTError where there is no such key, and where the issuer does not answer."""
        if kid is None:
            raise jwt.InvalidKeyError("the token names no key")
        key_set = self._sets.setdefault(url, _KeySet())
        if key_set.key(kid, self._clock()) is None:
            async with key_set.lock:  # those who waited here use what the first one fetched
                if key_set.key(kid, self._clock()) is None and key_set.next_fetch <= self._clock():
                    await self._refresh(url, key_set, network)
        key = key_set.key(kid, self._clock())
        if key is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        return key

    async def key_of_stream(self, url: str, kid: str | None, network: NetworkPath) -> _Key:
        """Returns the same, or a stale key while the issuer does not answer. Raises PyJWTError."""
        for _ in range(_STREAM_TRIES):
            with anyio.move_on_after(_STREAM_TRY_SECONDS):
                try:
                    return await self.key(url, kid, network)
                except jwt.InvalidKeyError:
                    break
        key_set, now = self._sets.setdefault(url, _KeySet()), self._clock()
        age = now - key_set.good_until + _KEYS_SECONDS
        key = key_set.keys.get(kid) if kid is not None and _KEYS_SECONDS <= age < _STREAM_KEYS_SECONDS else None
        if key is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        return replace(key, is_stale=True)

    async def _refresh(self, url: str, key_set: _KeySet, network: NetworkPath) -> None:
        # Without good keys every caller of this issuer is locked out, so the next try comes sooner.
        is_good = self._clock() < key_set.good_until
        key_set.next_fetch = self._clock() + (_BETWEEN_FETCHES_SECONDS if is_good else _BETWEEN_FAILURES_SECONDS)
        try:
            key_set.keys = await _fetch_keys(url, network, self._fetch_seconds)
        except FETCH_ERRORS as error:
            log.warning("no keys", extra={"host": urlsplit(url).hostname, "reason": type(error).__name__})
            return
        except anyio.get_cancelled_exc_class():  # nobody waited long enough to learn whether the issuer answers
            key_set.next_fetch = self._clock()
            raise
        key_set.good_until = self._clock() + _KEYS_SECONDS
        key_set.next_fetch = self._clock() + _BETWEEN_FETCHES_SECONDS


async def count_keys(url: str, network: NetworkPath) -> int:
    """Returns the number of keys that an issuer publishes and that can be used. Raises FETCH_ERRORS."""
    return len(await _fetch_keys(url, network, FETCH_SECONDS))


async def _fetch_keys(url: str, network: NetworkPath, seconds: float) -> dict[str, _Key]:
    with anyio.fail_after(seconds):
        return _usable_keys(await _fetch(url, network))


async def _fetch(url: str, network: NetworkPath) -> bytes:
    """Returns the body of an answer with status 200. Raises HTTPError or ValueError."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        # httpx2's timeouts are for each read. The caller sets a deadline for the whole.
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None, transport=network.open()) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"the answer's status is {response.status_code}")
        return await read_content(response, _MAX_KEYS_BYTES)


def _usable_keys(content: bytes) -> dict[str, _Key]:
    """Returns the keys of a JWKS that verify signatures, by their ids. It may hold others. Raises ValueError."""
    match from_json(content, allow_inf_nan=False):
        case {"keys": list() as jwks}:
            with_id = [jwk for jwk in jwks if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
            return {jwk["kid"]: key for jwk in with_id if (key := _key_of(jwk)) is not None}
    raise ValueError("the answer is no JWKS")


def _key_of(jwk: Mapping[str, Any]) -> _Key | None:
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
