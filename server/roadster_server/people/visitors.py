"""The people in front of the pages: their sessions, and the rights that they have at this moment."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from starlette.requests import Request

from roadster_server.calls.context import CallServices, CurrentCaller
from roadster_server.identity.revocations import Revocations
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.rights import Claims
from roadster_server.store import NewSession
from roadster_tools import Caller, Seal, Unsealable

from .browsers import cookies_of, digest_of_session

LIFETIME = timedelta(hours=8)
"""The longest session: a working day. After it a person signs in again."""
IDLE = timedelta(hours=1)
"""A session that nobody uses for so long has ended."""


class SignInRequired(Exception):
    """Nobody has signed in at this browser, or their session has ended."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who signed in. `caller` has the rights that the configuration gave them at this request."""

    caller: Caller
    name: str
    """A name to show to other people. It is never logged."""
    current_caller: CurrentCaller
    """Returns the same with the rights of the moment, which may be none."""

    @property
    def principal(self) -> str:
        return self.caller.principal


class Visitors:
    """Finds who is in front of a page."""

    def __init__(self, services: CallServices, live: LiveSettings, revocations: Revocations) -> None:
        self._store = services.store
        self._key = services.keys.people
        self._limiter = services.limiter
        self._live = live
        self._revocations = revocations

    async def require(self, request: Request) -> Visitor:
        """Returns who signed in at this browser. It counts as a page of theirs.

        Raises SignInRequired, StoreError, and OverLimit and Uncounted as a call does.
        """
        visitor = await self.find(request)
        if visitor is None:
            raise SignInRequired
        await self._limiter.count_page(visitor.caller)
        return visitor

    async def find(self, request: Request) -> Visitor | None:
        """Returns who signed in at this browser, or None. Raises StoreError.

        It is asked once for each request. The rights are those of the newest configuration.
        """
        state = request.scope.setdefault("state", {})
        if "people_visitor" not in state:
            state["people_visitor"] = await self._find(request)
        visitor: Visitor | None = state["people_visitor"]
        return visitor

    async def _find(self, request: Request) -> Visitor | None:
        digest = digest_of_session(request)
        if digest is None:
            return None
        session = await self._store.session(digest, now=datetime.now(UTC), idle=IDLE)
        if session is None:
            return None
        try:
            content: dict[str, Any] = json.loads(self._seal(digest).open(session))
        except Unsealable:  # stored under another API key
            return None
        return await self.visitor_of(content.get("caller"), content.get("claims"), content.get("claim_names", ()))

    async def visitor_of(
        self, local_caller: str | None, claims: Claims | None = None, claim_names: Collection[str] = ()
    ) -> Visitor | None:
        """Returns somebody with a session, as the configuration of now sees them. None if it lets them in no more.

        `claim_names` are those that were looked for at the sign-in, also where the person had no such claim.
        """
        if claims is not None and not await self._revocations.wait():
            return None
        caller = self._caller(local_caller, claims, claim_names)
        if caller is None:
            return None

        def current_caller() -> Caller:
            return self._caller(local_caller, claims, claim_names) or Caller(caller.name, person=caller.person)

        name = self._live.current.name_of(claims) if claims is not None else None
        return Visitor(caller, name or caller.principal, current_caller)

    def _caller(self, local_caller: str | None, claims: Claims | None, claim_names: Collection[str]) -> Caller | None:
        settings = self._live.current
        if claims is None:
            # An operator who takes local_caller away ends the sessions that came in by it.
            is_good = local_caller is not None and local_caller == settings.people.local_caller
            return settings.caller_as_of_now(local_caller) if is_good and local_caller else None
        person = settings.rights.person(claims)
        if person is None:
            return None
        provider = settings.identity[person.provider]
        if not provider.claims_of_sign_in <= set(claim_names):
            return None  # a rule that came since looks at a claim that the session does not keep
        if self._revocations.has_person(person.principal, claims, provider):
            return None
        return settings.rights.caller_of_person(claims)

    async def begin(self, request: Request, principal: str, content: Mapping[str, Any]) -> None:
        """Begins a session with a new secret, and ends the one that this browser had. Raises StoreError."""
        await self.end(request)
        secret = secrets.token_urlsafe(32)
        digest = sha256(secret.encode()).hexdigest()
        now = datetime.now(UTC)
        new = NewSession(digest, principal, self._seal(digest).seal(json.dumps(content)), now + LIFETIME)
        await self._store.add_session(new, now=now)
        cookies_of(request).put("session", secret, seconds=int(LIFETIME.total_seconds()))

    async def end(self, request: Request) -> None:
        """Ends the session of this browser, if it has one. Raises StoreError."""
        digest = digest_of_session(request)
        if digest is not None:
            await self._store.end_session(digest)
            cookies_of(request).remove("session")

    def _seal(self, digest: str) -> Seal:
        return Seal.bound_to(self._key, "session", digest)
