"""Bearer tokens: opaque ones, which the configuration lists by their SHA-256, and JWTs of identity providers.

A sender is told of a refusal what they can do something about: see `Refusal`. The log says more.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import jwt
from mcp.server.auth.provider import AccessToken

from roadster_server.settings.rights import Person
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.logs import log, log_crash
from roadster_tools import Caller

from .claims import LEEWAY_SECONDS, check_claims, has_scope
from .keys import IssuerKeys
from .narrowing import Narrowing, narrow
from .revocations import Revocations, digest_of

SCOPE = "roadster"
"""The scope of a request that may go on. A JWT with the `scope` of its provider has it. An opaque token always does,
because it is made for this server."""

_MAX_TOKEN_CHARACTERS = 14 * 1024
"""Longer ones are refused before any work is spent on them. Entra's with 200 groups have 12.5 KiB, and all headers of
a request may have 16 KiB."""


class Identity(AccessToken):
    """The maker of a request, with the narrowings of their client."""

    narrowings: tuple[Narrowing, ...] = ()
    digest: str = ""
    """The SHA-256 of an opaque token."""
    revocations: int = 0
    """The number of the list of revocations that the token was compared with."""


class StaleToken(Identity):
    """The token of an open stream, good by keys that its issuer published a while ago. It does not answer now."""


class Refusal(Enum):
    """The words for the sender of a refused token. All faults look the same, except that it has expired."""

    INVALID = "The access token is not valid here"
    EXPIRED = "The access token expired"
    """The token is good otherwise, so that a client refreshes it and signs nobody in again."""
    NO_ROLE = "Nobody has given this account a role at this server; ask its operator"
    """The token is good, and no rule matches it. To sign in again would change nothing."""


class TokenVerifier:
    """Finds the caller or the person to whom a token belongs, by the current settings.

    The log has refused people by `hash_person`, and does not say who they are without it. With `are_streams_open`, the
    tokens are those of open streams. An issuer that does not answer ends none of them for an hour: they are StaleTokens
    then, which are to be checked again.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        keys: IssuerKeys | None = None,
        revocations: Revocations | None = None,
        *,
        hash_person: Callable[[str], str] | None = None,
        are_streams_open: bool = False,
    ) -> None:
        self._settings = settings
        self.revocations = revocations or Revocations.nothing()
        self._keys = keys or IssuerKeys()
        self._hash_person = hash_person
        self._find_key = self._keys.key_of_stream if are_streams_open else self._keys.key

    def for_streams(self) -> TokenVerifier:
        """Returns a verifier of the tokens of open streams, with the same keys and revocations."""
        return TokenVerifier(
            self._settings, self._keys, self.revocations, hash_person=self._hash_person, are_streams_open=True
        )

    async def verify_token(self, token: str) -> Identity | Refusal:
        try:
            if len(token) > _MAX_TOKEN_CHARACTERS:
                return _refuse(None, f"it has more than {_MAX_TOKEN_CHARACTERS:,} characters")
            if not await self.revocations.wait():
                return _refuse(None, "it is not known which tokens are revoked")
            return self._check_opaque(token) or await self._check_jwt(token)
        except Exception as error:  # noqa: BLE001 - after a defect of ours nobody gets in, and the server goes on
            log_crash(error)
            return Refusal.INVALID

    def _check_opaque(self, token: str) -> Identity | Refusal | None:
        # The time of the look-up tells nothing: nobody can choose the beginning of a hash.
        digest, number = digest_of(token), self.revocations.number
        owner = self._settings().rights.token_owners.get(digest)
        if owner is None:
            return None
        if self.revocations.has_token(digest):
            log.info("token refused", extra={"caller": owner, "reason": "it is revoked"})
            return Refusal.INVALID
        return identity_of(owner, number, digest)

    async def _check_jwt(self, token: str) -> Identity | Refusal:
        if token.count(".") != 2:  # noqa: PLR2004 - header, payload, signature
            return _refuse(None, "it is no token of the configuration, and no JWT")
        settings, number = self._settings(), self.revocations.number
        try:
            # Not verified yet: this only finds the provider that it may come from.
            raw = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.DecodeError:
            return _refuse(None, "it cannot be read: its header or its claims are no JSON object")
        except jwt.PyJWTError:  # without PyJWT's words, which may quote the header
            return _refuse(None, "it cannot be read: crit, b64 or kid of its header is not supported")
        name = settings.rights.provider_of(raw["payload"])
        if name is None:
            return _refuse(None, "its issuer is that of no provider in the configuration")
        provider = settings.identity[name]
        try:
            key = await self._find_key(provider, raw["header"].get("kid"), settings.network.path())
            claims = check_claims(token, raw["header"], key, provider)
        except jwt.PyJWTError as error:
            is_expired = isinstance(error, jwt.ExpiredSignatureError)
            refusal = Refusal.EXPIRED if is_expired else Refusal.INVALID
            return _refuse(name, f"{type(error).__name__}: {error}", refusal)
        person = settings.rights.person(claims)
        if person is None:
            return _refuse(name, f"no usable {provider.subject_claim}")
        if self.revocations.has_person(person.principal, claims, provider):
            return self._refuse_person(person, "its person is revoked")
        if settings.rights.matching_rule(claims) is None:
            return self._refuse_person(person, "no rule of people matches", Refusal.NO_ROLE)
        # Without the token itself: nothing later needs it, so nothing can pass it on.
        kind = StaleToken if key.is_stale else Identity
        return kind(
            token="",
            client_id=person.principal,
            scopes=[SCOPE] if has_scope(claims, provider) else [],
            expires_at=int(claims["exp"]) + LEEWAY_SECONDS,
            claims=dict(claims),
            revocations=number,
        )

    def _refuse_person(self, person: Person, reason: str, refusal: Refusal = Refusal.INVALID) -> Refusal:
        mark = {} if self._hash_person is None else {"person": self._hash_person(person.principal)}
        return _refuse(person.provider, reason, refusal, **mark)


def _refuse(provider: str | None, reason: str, refusal: Refusal = Refusal.INVALID, **more: str) -> Refusal:
    log.info("jwt refused", extra={"identity": provider, "reason": reason, **more})
    return refusal


def identity_of(name: str, revocations: int = 0, digest: str = "") -> Identity:
    """Returns a caller of the configuration in the form that the SDK carries through a request."""
    return Identity(token="", client_id=name, scopes=[SCOPE], revocations=revocations, digest=digest)


def caller_of(settings: Settings, identity: Identity) -> Caller:
    """Returns who makes a request, with the rights of the moment that their client keeps. These may be none."""
    if identity.claims is None:
        caller = settings.caller_as_of_now(identity.client_id)
    else:
        person = settings.rights.caller_of_person(identity.claims)
        caller = person or settings.rights.without_role(identity.client_id)
    return narrow(settings.rights, caller, identity.narrowings)
