"""The public keys of identity providers: found by the issuer's metadata where no URL is configured, and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt
from jwt.algorithms import AllowedPublicKeys
from pydantic_core import from_json

from roadster_client import NetworkPath
from roadster_client.upstream.response import read_content
from roadster_server.settings.sections.callers import IdentitySettings
from roadster_server.settings.sections.section import check_https
from roadster_server.telemetry.logs import log

_MAX_ANSWER_BYTES = 256 * 1024
"""An issuer's key set has a few keys of about 1 KB each, and its metadata are as short."""
FETCH_SECONDS = 5.0
"""Seconds for one fetch of an issuer's keys. Requests with its tokens wait meanwhile."""
_KEYS_SECONDS = 600.0
"""Seconds that keys are good for. A key that the issuer has withdrawn is refused after that time."""
_BETWEEN_FETCHES_SECONDS = 10.0
"""Seconds after a good fetch. A token with an unknown key id would otherwise make us ask the issuer each time. A new
key of the issuer waits as long, also where a stranger's token began that time."""
_AFTER_FAILURE_SECONDS = 60.0
"""Seconds after a failed fetch while the keys from before are still good."""
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


@dataclass(frozen=True)
class Key:
    public: AllowedPublicKeys
    algorithms: tuple[str, ...]
    is_stale: bool = False


@dataclass
class _KeySet:
    """The keys behind one JWKS URL. Times are those of the clock."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    good_until: float = float("-inf")
    next_fetch: float = float("-inf")
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    def key(self, kid: str, now: float) -> Key | None:
        return self.keys.get(kid) if now < self.good_until else None


class IssuerKeys:
    """The issuers' public keys, fetched when a token needs them. Without them no JWT is accepted.

    `clock` is monotonic, in seconds. `fetch_seconds` limits each fetch, with that of the metadata.
    """

    def __init__(self, clock: Clock = time.monotonic, fetch_seconds: float = FETCH_SECONDS) -> None:
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._sets: dict[tuple[str, str | None], _KeySet] = {}

    async def key(self, provider: IdentitySettings, kid: str | None, network: NetworkPath) -> Key:
        """Raises PyJWTError where there is no such key, and where the issuer does not answer."""
        if kid is None:
            raise jwt.InvalidKeyError("the token names no key")
        key_set = self._key_set(provider)
        if key_set.key(kid, self._clock()) is None:
            async with key_set.lock:  # those who waited here use what the first one fetched
                if key_set.key(kid, self._clock()) is None and key_set.next_fetch <= self._clock():
                    await self._refresh(provider, key_set, network)
        key = key_set.key(kid, self._clock())
        if key is None:
            seconds = max(0, ceil(key_set.next_fetch - self._clock()))
            raise jwt.InvalidKeyError(f"the issuer has no such key; the next look is in {seconds} s")
        return key

    async def key_of_stream(self, provider: IdentitySettings, kid: str | None, network: NetworkPath) -> Key:
        """Returns the same, or a stale key while the issuer does not answer. Raises PyJWTError."""
        for _ in range(_STREAM_TRIES):
            with anyio.move_on_after(_STREAM_TRY_SECONDS):
                try:
                    return await self.key(provider, kid, network)
                except jwt.InvalidKeyError:
                    break
        key_set, now = self._key_set(provider), self._clock()
        age = now - key_set.good_until + _KEYS_SECONDS
        key = key_set.keys.get(kid) if kid is not None and _KEYS_SECONDS <= age < _STREAM_KEYS_SECONDS else None
        if key is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        return replace(key, is_stale=True)

    def _key_set(self, provider: IdentitySettings) -> _KeySet:
        return self._sets.setdefault((provider.issuer, provider.jwks_url), _KeySet())

    async def _refresh(self, provider: IdentitySettings, key_set: _KeySet, network: NetworkPath) -> None:
        # Without good keys every caller of this issuer is locked out, so the next try comes sooner.
        is_good = self._clock() < key_set.good_until
        key_set.next_fetch = self._clock() + (_AFTER_FAILURE_SECONDS if is_good else _BETWEEN_FAILURES_SECONDS)
        try:
            with anyio.fail_after(self._fetch_seconds):
                key_set.keys = (await fetch_keys(provider, network)).keys
        except FETCH_ERRORS as error:
            host = urlsplit(provider.jwks_url or provider.issuer).hostname
            log.warning("no keys", extra={"host": host, "reason": type(error).__name__})
            return
        except anyio.get_cancelled_exc_class():  # nobody waited long enough to learn whether the issuer answers
            key_set.next_fetch = self._clock()
            raise
        key_set.good_until = self._clock() + _KEYS_SECONDS
        key_set.next_fetch = self._clock() + _BETWEEN_FETCHES_SECONDS


@dataclass(frozen=True)
class FetchedKeys:
    """The keys that an issuer publishes and that can be used, by their ids, and the URL that they come from."""

    url: str
    keys: Mapping[str, Key]


async def fetch_keys(provider: IdentitySettings, network: NetworkPath) -> FetchedKeys:
    """Returns a provider's keys. Raises FETCH_ERRORS."""
    url = provider.jwks_url or await _find_keys(provider.issuer, network)
    return FetchedKeys(url, _usable_keys(await fetch(url, network)))


async def _find_keys(issuer: str, network: NetworkPath) -> str:
    """Returns the `jwks_uri` of the issuer's metadata: of RFC 8414, else of OpenID Connect Discovery 1.0."""
    try:
        metadata = await fetch_metadata(issuer, ["jwks_uri"], network)
    except MetadataMissing:
        raise ValueError("the issuer has no metadata that name it and its keys; set jwks_url") from None
    return check_https(metadata["jwks_uri"])


class MetadataMissing(ValueError):
    """The issuer answers, and has no metadata that name it and what is needed."""


async def fetch_metadata(issuer: str, names: Collection[str], network: NetworkPath) -> Mapping[str, Any]:
    """Returns the issuer's metadata that have texts of these names. Raises MetadataMissing, and FETCH_ERRORS."""
    for url in metadata_urls(issuer):
        try:
            metadata = from_json(await fetch(url, network))
        except ValueError:  # this issuer has them at the next place
            continue
        # RFC 8414, section 3.3: metadata that name another issuer are not this one's.
        if (
            isinstance(metadata, dict)
            and metadata.get("issuer") == issuer
            and all(isinstance(metadata.get(name), str) for name in names)
        ):
            return metadata
    raise MetadataMissing("the issuer has no metadata that name it")


def metadata_urls(issuer: str) -> Iterator[str]:
    """Yields where an issuer's metadata may be, the likeliest first."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    check_https(origin)
    yield f"{origin}{path}/.well-known/openid-configuration"
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    if path:
        yield f"{origin}/.well-known/openid-configuration{path}"


async def fetch(url: str, network: NetworkPath, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns the body of an answer with status 200. Raises HTTPError or ValueError."""
    status, content = await exchange(httpx2.Request("GET", url, headers=headers), network)
    if status != httpx2.codes.OK:
        raise ValueError(f"the answer's status is {status}")
    return content


async def exchange(request: httpx2.Request, network: NetworkPath) -> tuple[int, bytes]:
    """Returns the status and the body of an issuer's answer to a request for JSON. Raises HTTPError or ValueError.

    It has no deadline of its own: httpx2's are for each read, and the caller sets one for the whole.
    """
    request.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    async with httpx2.AsyncClient(
        trust_env=False, follow_redirects=False, timeout=None, transport=network.open()
    ) as http:
        response = await http.send(request, stream=True)
        try:
            return response.status_code, await read_content(response, _MAX_ANSWER_BYTES)
        finally:
            await response.aclose()


def _usable_keys(content: bytes) -> dict[str, Key]:
    """Returns the keys of a JWKS that verify signatures, by their ids. It may hold others. Raises ValueError."""
    match from_json(content, allow_inf_nan=False):
        case {"keys": list() as jwks}:
            with_id = [jwk for jwk in jwks if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str)]
            return {jwk["kid"]: key for jwk in with_id if (key := _key_of(jwk)) is not None}
    raise ValueError("the answer is no JWKS")


def _key_of(jwk: Mapping[str, Any]) -> Key | None:
    public = {name: jwk[name] for name in _PUBLIC_MEMBERS if isinstance(jwk.get(name), str)}
    algorithms = _ALGORITHMS.get((public.get("kty", ""), public.get("crv")), ())
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    operations = jwk.get("key_ops", ["verify"])
    for_signatures = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not algorithms or not for_signatures:
        return None
    try:
        return Key(jwt.PyJWK(public, algorithms[0]).key, algorithms)
    except (jwt.PyJWTError, ValueError):
        return None
