"""Sign-in at an identity provider: authorization code with PKCE (RFC 6749, RFC 7636), and an ID token.

authlib writes the requests. The keys, the checks of the token and the way over the network are this server's own.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import jwt
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from pydantic_core import from_json

from roadster_client import NetworkPath
from roadster_server.settings.rights import Claims
from roadster_server.settings.sections.callers import IdentitySettings
from roadster_server.settings.sections.section import check_https
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.logs import log

from .id_tokens import check_id_token
from .keys import FETCH_ERRORS, IssuerKeys, exchange, fetch, fetch_metadata

ATTEMPT_LIFETIME = timedelta(minutes=10)
"""For a person to sign in at the provider, with a second factor."""
_SECONDS = 10.0
"""Seconds for all requests to the provider, while a person waits for the page."""
_METADATA_SECONDS = 600.0
"""Seconds that metadata are used for."""
_AFTER_FAILURE_SECONDS = 5.0
"""Seconds after a failed fetch in which nobody asks again."""
_MOST_CODE_CHARACTERS = 4096
_ERRORS = frozenset(
    """
    access_denied consent_required interaction_required invalid_client invalid_grant invalid_request invalid_scope
    login_required server_error temporarily_unavailable unauthorized_client unsupported_response_type
    """.split()  # noqa: SIM905 - as words they can be read
)
"""The codes of RFC 6749 and OpenID Connect that the log may have. Any other text is the provider's own."""


class SignInFailed(Exception):
    """Nobody has signed in. The text is for the person, and the log has the reason."""


@dataclass(frozen=True)
class Attempt:
    """A sign-in that has begun. The browser keeps it, sealed, while its person is at the provider."""

    provider: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    next_page: str
    until: float
    """Seconds since 1970."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Attempt:
        return cls(**json.loads(text))

    def is_over(self, now: datetime) -> bool:
        return now.timestamp() > self.until


@dataclass
class _IssuerMetadata:
    """The metadata of one issuer, None where it did not answer as it should. The time is that of the clock."""

    content: Mapping[str, Any] | None = None
    good_until: float = float("-inf")
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class ProviderMetadata:
    """The metadata of the providers, kept for some minutes.

    Anybody may begin a sign-in, so beginning one must not ask the provider each time. Each issuer of the configuration
    has a lock of its own, so one that does not answer holds up no sign-in at another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issuers: dict[str, _IssuerMetadata] = {}

    async def of(self, name: str, provider: IdentitySettings, network: NetworkPath) -> Mapping[str, Any]:
        """Returns a provider's metadata, whose addresses nobody on the way may read. Raises SignInFailed."""
        metadata = self._issuers.setdefault(provider.issuer, _IssuerMetadata())
        async with metadata.lock:  # those who waited here use what the first one fetched
            if metadata.good_until <= self._clock():
                metadata.content = await _fetch_metadata(name, provider, network)
                seconds = _AFTER_FAILURE_SECONDS if metadata.content is None else _METADATA_SECONDS
                metadata.good_until = self._clock() + seconds
            content = metadata.content
        if content is None:
            raise SignInFailed("The identity provider does not answer. Try again in a minute.")
        return content


async def begin_sign_in(
    settings: Settings, name: str, redirect_uri: str, next_page: str, provider_metadata: ProviderMetadata
) -> tuple[str, Attempt]:
    """Returns the address at the provider where a person signs in, and what belongs to it. Raises SignInFailed."""
    provider = settings.identity[name]
    metadata = await provider_metadata.of(name, provider, settings.network.path())
    attempt = Attempt(
        provider=name,
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        verifier=secrets.token_urlsafe(48),
        redirect_uri=redirect_uri,
        next_page=next_page,
        until=(datetime.now(UTC) + ATTEMPT_LIFETIME).timestamp(),
    )
    url: str = prepare_grant_uri(
        metadata["authorization_endpoint"],
        client_id=provider.client_id,
        response_type="code",
        redirect_uri=redirect_uri,
        scope=" ".join(dict.fromkeys(["openid", *provider.sign_in_scopes])),
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(attempt.verifier),
        code_challenge_method="S256",
    )
    return url, attempt


async def finish_sign_in(
    settings: Settings,
    attempt: Attempt,
    answer: Mapping[str, str],
    provider_metadata: ProviderMetadata,
    keys: IssuerKeys,
) -> Claims:
    """Returns the claims of the person who signed in, by the query that the provider sent their browser back with.

    Raises SignInFailed.
    """
    name, network = attempt.provider, settings.network.path()
    provider = settings.identity.get(name)
    if provider is None or provider.client_id is None:
        raise _failure(name, "the configuration has no such provider any more")
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        raise _failure(name, "the state is that of another sign-in")
    if answer.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
        raise _failure(name, "the answer is another issuer's")
    code = answer.get("code", "")
    if "error" in answer or not 0 < len(code) <= _MOST_CODE_CHARACTERS:
        error = answer.get("error", "")
        raise _failure(name, f"the provider says {error}" if error in _ERRORS else "the provider sent no code")
    metadata = await provider_metadata.of(name, provider, network)
    try:
        with anyio.fail_after(_SECONDS):
            tokens = await _redeem(provider, metadata, attempt, code, network)
            claims = await _check(tokens, provider, attempt.nonce, keys, network)
            return await _with_user_info(claims, tokens, provider, metadata, network)
    except jwt.PyJWTError as error:
        raise _failure(name, f"{type(error).__name__}: {error}") from None
    except FETCH_ERRORS as error:
        reason = str(error) if isinstance(error, _Unusable) else type(error).__name__
        raise _failure(name, reason, "The identity provider did not answer as it should. Try again.") from None


class _Unusable(ValueError):
    """An answer of the provider from which nobody can be signed in. The text is for the log."""


def _failure(name: str, reason: str, message: str = "You are not signed in. Try again.") -> SignInFailed:
    log.warning("sign-in failed", extra={"identity": name, "reason": reason})
    return SignInFailed(message)


async def _fetch_metadata(name: str, provider: IdentitySettings, network: NetworkPath) -> Mapping[str, Any] | None:
    """Returns None, and logs why, where the provider does not answer as it should."""
    needs = ("authorization_endpoint", "token_endpoint")
    try:
        with anyio.fail_after(_SECONDS):
            metadata = await fetch_metadata(provider.issuer, needs, network)
        for need in needs:
            check_https(metadata[need])
    except FETCH_ERRORS as error:
        log.warning("sign-in failed", extra={"identity": name, "reason": f"no metadata: {type(error).__name__}"})
        return None
    return metadata


async def _redeem(
    provider: IdentitySettings, metadata: Mapping[str, Any], attempt: Attempt, code: str, network: NetworkPath
) -> Mapping[str, Any]:
    """Returns the tokens for the code."""
    body = prepare_token_request(
        "authorization_code", redirect_uri=attempt.redirect_uri, code=code, code_verifier=attempt.verifier
    )
    secret = provider.client_secret.get_secret_value() if provider.client_secret else None
    method = _method_of(metadata, has_secret=secret is not None)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    client = ClientAuth(provider.client_id, secret, method)
    url, headers, body = client.prepare("POST", metadata["token_endpoint"], headers, body)
    status, content = await exchange(httpx2.Request("POST", url, headers=headers, content=body), network)
    try:
        answer = from_json(content)
    except ValueError:
        answer = None
    if status == httpx2.codes.OK and isinstance(answer, dict) and isinstance(answer.get("id_token"), str):
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    says = f", {error}" if isinstance(error, str) and error in _ERRORS else ""
    raise _Unusable(f"the code got no ID token: status {status}{says}")


def _method_of(metadata: Mapping[str, Any], *, has_secret: bool) -> str:
    """Returns the way in which our client shows its secret: the default of RFC 8414, or the one that is offered."""
    if not has_secret:
        return "none"
    offers = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return "client_secret_post" if "client_secret_basic" not in offers else "client_secret_basic"


async def _check(
    tokens: Mapping[str, Any], provider: IdentitySettings, nonce: str, keys: IssuerKeys, network: NetworkPath
) -> Claims:
    token = tokens["id_token"]
    # Not verified yet: this only finds the key.
    header = jwt.get_unverified_header(token)
    key = await keys.key(provider, header.get("kid"), network)
    return check_id_token(token, header, key, provider, nonce)


async def _with_user_info(
    claims: Claims,
    tokens: Mapping[str, Any],
    provider: IdentitySettings,
    metadata: Mapping[str, Any],
    network: NetworkPath,
) -> Claims:
    """Returns the claims, with those that the rules need and only UserInfo has (OpenID Connect Core 1.0, 5.3)."""
    url, token = metadata.get("userinfo_endpoint"), tokens.get("access_token")
    if not provider.claims_of_sign_in - claims.keys() or not isinstance(url, str) or not isinstance(token, str):
        return claims
    content = await fetch(check_https(url), network, {"Authorization": f"Bearer {token}"})
    more = from_json(content)
    if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
        raise _Unusable("UserInfo is about somebody else")
    return {**more, **claims}
