"""The pages on which people sign in and out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from roadster_server.telemetry.logs import log

from .browsers import cookies_of
from .context import People
from .forms import read_form
from .local_links import LIFETIME, LocalLink, read_local_key

_PAGE: Final = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
"""The path of a page below `/people/`. Nothing else can be where a sign-in leads to."""

_MOST_PAGE = 200
"""Characters. A cookie and the state of a sign-in keep the page."""

_NEXT = "next"
"""The cookie with the page for which somebody came, until they have signed in by a link."""


def page_after(values: Mapping[str, str | None]) -> str:
    """Returns the page to show after the sign-in. It is one of ours, whatever the address says."""
    page = values.get("next")
    return page if isinstance(page, str) and len(page) <= _MOST_PAGE and _PAGE.fullmatch(page) else ""


def go_to(request: Request, page: str) -> Response:
    """Returns the answer that leads a browser on to a page of ours."""
    prefix = request.scope.get("root_path", "")
    return RedirectResponse(f"{prefix}/people/{page}".removesuffix("/"), 303)


def sign_in_routes(people: People) -> list[Route]:
    pages = _SignIn(people)
    return [
        Route("/people/sign-in", pages.show),
        Route("/people/link", pages.show_link),
        Route("/people/link", pages.use_link, methods=["POST"]),
        Route("/people/sign-out", pages.sign_out, methods=["POST"]),
    ]


class _SignIn:
    def __init__(self, people: People) -> None:
        self._people = people
        self._key = people.calls.services.keys.people

    async def show(self, request: Request) -> Response:
        settings = self._people.settings
        providers = [name for name, provider in settings.identity.items() if provider.client_id]
        local_caller = settings.people.local_caller
        has_links = local_caller is not None and self._people.is_at_this_machine(request)
        next_page = page_after(request.query_params)
        if has_links:
            # The link comes from a terminal, which does not know for which page somebody came.
            cookies_of(request).put(_NEXT, next_page, seconds=int(LIFETIME.total_seconds()))
        return self._people.pages.render(
            request,
            "sign_in.html",
            providers=providers,
            has_links=has_links,
            command=self._command(request),
            own_address=None if local_caller is None else self._own_address(request),
            next_page=next_page,
        )

    async def show_link(self, request: Request) -> Response:
        """Shows the button. To open a link must not sign anybody in: chats and scanners open links in advance."""
        key = request.query_params.get("key", "")
        link = self._read(request, key)
        if link is None:
            return self._people.pages.render(request, "link_gone.html", 403, own_address=self._own_address(request))
        return self._people.pages.render(
            request,
            "link.html",
            key=key,
            caller=link.caller,
            next_page=page_after({"next": cookies_of(request).get(_NEXT)}),
        )

    async def use_link(self, request: Request) -> Response:
        fields = dict(await read_form(request, self._key))
        link = self._read(request, fields.get("key", ""))
        store = self._people.calls.services.store
        if link is None or not await store.use_once(link.nonce, expires_at=link.until, now=datetime.now(UTC)):
            return self._people.pages.render(request, "link_gone.html", 403, own_address=self._own_address(request))
        await self._people.visitors.begin(request, link.caller, {"caller": link.caller})
        visitor = await self._people.visitors.visitor_of(link.caller)
        if visitor is not None:
            await self._people.record(visitor, "sign-in", setting="people.local_caller")
        log.info("signed in", extra={"caller": link.caller})
        cookies_of(request).remove(_NEXT)
        return go_to(request, page_after(fields))

    async def sign_out(self, request: Request) -> Response:
        await read_form(request, self._key)
        await self._people.visitors.end(request)
        return go_to(request, "sign-in")

    def _command(self, request: Request) -> str:
        """Returns the command that prints a link for this server.

        It names the configuration's file without its folder, because anybody may open this page through a proxy.
        """
        path = self._people.live.path
        option = "--sandbox" if path is None else f"--config {shlex.quote(path.name)}"
        return f"roadster-mcp people open {option} --port {_port(request)}"

    def _own_address(self, request: Request) -> str | None:
        """Returns the only address at which a link signs anybody in. None where other machines reach the server."""
        if not self._people.is_local:
            return None
        prefix = request.scope.get("root_path", "")
        return f"http://127.0.0.1:{_port(request)}{prefix}/people"

    def _read(self, request: Request, key: str) -> LocalLink | None:
        """Returns the link where it is good here, for as whom local links sign in now."""
        link = read_local_key(self._key, key, datetime.now(UTC))
        if link is None or not self._people.is_at_this_machine(request):
            return None
        return link if link.caller == self._people.settings.people.local_caller else None


def _port(request: Request) -> int:
    """Returns the port that this process listens on, also where a proxy took the request at another one."""
    server = request.scope.get("server")
    return int(server[1]) if server else 80
