"""Sign-in by an identity provider: the way there, and the page that its answer comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from roadster_server.identity.authorization import (
    ATTEMPT_LIFETIME,
    Attempt,
    ProviderMetadata,
    SignInFailed,
    begin_sign_in,
    finish_sign_in,
)
from roadster_server.settings.rights import Claims
from roadster_server.settings.sections.callers import IdentitySettings
from roadster_server.telemetry.logs import log
from roadster_tools import Seal, Unsealable

from .browsers import cookies_of
from .context import People
from .sign_in import go_to, page_after

_IN_SESSIONS = frozenset({"iss", "sub", "iat", "exp"})
"""The claims that a session has besides those of the rules. By the times, a revocation finds it."""
_COOKIE_CHARACTERS = 12
"""Characters of the state that name its cookie, so that two tabs can sign in at once."""


def provider_routes(people: People) -> list[Route]:
    pages = _ProviderSignIn(people)
    return [
        Route("/people/sign-in/{provider}", pages.begin),
        Route("/people/signed-in/{provider}", pages.finish),
    ]


class _ProviderSignIn:
    def __init__(self, people: People) -> None:
        self._people = people
        self._metadata = ProviderMetadata()
        self._seal = Seal.bound_to(people.calls.services.keys.people, "sign-in")

    async def begin(self, request: Request) -> Response:
        """Sends the browser to the provider. It changes nothing here, so a link may do it."""
        name = request.path_params["provider"]
        self._provider(name)
        origin = await self._people.calls.services.page_links.origin()
        page = page_after(request.query_params)
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            # The provider sends the browser back to the public address, where a cookie of this one is unknown.
            address = await self._people.calls.services.page_links.url(f"sign-in/{quote(name)}")
            return RedirectResponse(f"{address}?next={page}" if page else str(address), 303)
        redirect_uri = await self._people.calls.services.page_links.url(f"signed-in/{quote(name)}")
        try:
            url, attempt = await begin_sign_in(self._people.settings, name, str(redirect_uri), page, self._metadata)
        except SignInFailed as failure:
            return self._failure_page(request, str(failure))
        seconds = int(ATTEMPT_LIFETIME.total_seconds())
        cookies_of(request).put(_cookie_of(attempt.state), self._seal.seal(attempt.to_json()), seconds=seconds)
        return RedirectResponse(url, 303)

    async def finish(self, request: Request) -> Response:
        attempt = self._attempt(request)
        if attempt is None:
            return self._failure_page(request, "This sign-in was not begun in this browser, or took too long.")
        cookies_of(request).remove(_cookie_of(attempt.state))
        try:
            claims = await finish_sign_in(
                self._people.settings,
                attempt,
                dict(request.query_params),
                self._metadata,
                self._people.issuer_keys,
            )
        except SignInFailed as failure:
            return self._failure_page(request, str(failure))
        return await self._let_in(request, attempt, claims)

    async def _let_in(self, request: Request, attempt: Attempt, claims: Claims) -> Response:
        provider = self._provider(attempt.provider)
        names = provider.claims_of_sign_in | _IN_SESSIONS
        content: dict[str, Any] = {
            "claims": {name: claims[name] for name in names if name in claims},
            "claim_names": sorted(names),
        }
        visitor = await self._people.visitors.visitor_of(None, content["claims"], names)
        if visitor is None:
            log.info("sign-in refused", extra={"identity": attempt.provider, "reason": "no rule of people matches"})
            text = "You are signed in at the identity provider, and nobody has given your account a role here. "
            return self._failure_page(request, f"{text}Ask the operator of this server.", 403)
        await self._people.visitors.begin(request, visitor.principal, content)
        await self._people.record(visitor, "sign-in", setting=f"identity.{attempt.provider}")
        log.info("signed in", extra={"caller": visitor.caller.name})
        return go_to(request, attempt.next_page)

    def _provider(self, name: str) -> IdentitySettings:
        provider = self._people.settings.identity.get(name)
        if provider is None or provider.client_id is None:
            raise HTTPException(404)
        return provider

    def _attempt(self, request: Request) -> Attempt | None:
        """Returns the sign-in that the browser began, if the answer belongs to it."""
        cookie = cookies_of(request).get(_cookie_of(request.query_params.get("state", "")))
        try:
            attempt = Attempt.from_json(self._seal.open(cookie or ""))
        except Unsealable:
            return None
        is_of_provider = attempt.provider == request.path_params["provider"]
        return attempt if is_of_provider and not attempt.is_over(datetime.now(UTC)) else None

    def _failure_page(self, request: Request, text: str, status: int = 403) -> Response:
        return self._people.pages.render(request, "sign_in_failed.html", status, text=text)


def _cookie_of(state: str) -> str:
    return f"attempt-{state[:_COOKIE_CHARACTERS]}"
