"""The application of the pages for people. Each feature brings its routes."""

from __future__ import annotations

from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.store import StoreError
from roadster_server.telemetry.logs import log_crash
from roadster_tools import Limited, Uncounted

from .approvals import approval_routes
from .browsers import SAFE_METHODS, cookies_of, is_from_our_page
from .console.actions import action_routes
from .console.views import view_routes
from .context import People
from .downloads import download_routes
from .forms import FormRefused
from .pages import HEADERS, static_file
from .provider_sign_in import provider_routes
from .sign_in import sign_in_routes
from .uploads import upload_routes
from .visitors import SignInRequired

_PAGE_GONE, _FORBIDDEN = 404, 403


def is_page(route: str) -> bool:
    """Returns whether the path, without a prefix, is one of the pages'."""
    return route == "/people" or route.startswith("/people/")


def people_app(people: People) -> ASGIApp:
    """Returns the application. It answers every path that begins with `/people`.

    It stands behind a guard of the Host header, because a cookie is all that a browser shows here.
    """
    routes = [
        Route("/people", _Home(people).show),
        Route("/people/static/{name}", static_file),
        *sign_in_routes(people),
        *provider_routes(people),
        *approval_routes(people),
        *view_routes(people),
        *action_routes(people),
        *upload_routes(people),
        *download_routes(people),
    ]
    errors = _Errors(people)
    app = ExceptionMiddleware(
        Router(routes, redirect_slashes=False),
        handlers={
            HTTPException: errors.http_error,
            SignInRequired: errors.sign_in_required,
            FormRefused: errors.form_refused,
            StoreError: errors.store_failed,
            Limited: errors.over_limit,
            Uncounted: errors.store_failed,
            Exception: errors.on_crash,
        },
    )
    return _GuardedPages(app, errors)


class _Home:
    def __init__(self, people: People) -> None:
        self._people = people

    async def show(self, request: Request) -> Response:
        await self._people.visitors.require(request)
        return self._people.pages.render(request, "home.html")


class _Errors:
    """The pages for what goes wrong. Each says what to do next."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == _PAGE_GONE:
            return self._render(request, status, "There is no such page", _gone_text(request))
        if status == _FORBIDDEN:
            return self._render(
                request, status, "You may not see this", "Your role here does not include it. Ask the operator."
            )
        return self._render(request, status, "This cannot be done here", "Go to the start, and try from there.")

    async def sign_in_required(self, request: Request, _error: Exception) -> Response:
        page = request.url.path.removeprefix(f"{request.scope.get('root_path', '')}/people").strip("/")
        page = page.removesuffix("/file")  # it would only be downloaded, beside the page on which the sign-in began
        if request.method in SAFE_METHODS:
            address = f"{request.scope.get('root_path', '')}/people/sign-in"
            return RedirectResponse(f"{address}?next={page}" if page else address, 303)
        text = "Nothing was done. Sign in, and do it again."
        return self._render(request, 401, "You are not signed in any more", text)

    async def form_refused(self, request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, FormRefused) else 400
        return self._render(request, status, "Nothing was done", str(error))

    async def foreign(self, request: Request) -> Response:
        text = "It came from another site. Open the page here, and do it there."
        return self._render(request, 403, "Nothing was done", text)

    async def over_limit(self, request: Request, error: Exception) -> Response:
        seconds = ceil(error.wait) if isinstance(error, Limited) else 60
        text = f"You have opened too many pages in a minute. Wait {seconds} seconds, and open it again."
        return self._render(request, 429, "Not so fast", text)

    async def store_failed(self, request: Request, _error: Exception) -> Response:
        text = "The store of this server does not answer. Try again in a minute. Its operator sees why in the log."
        return self._render(request, 503, "This does not work now", text)

    async def on_crash(self, request: Request, error: Exception) -> Response:
        log_crash(error)
        text = "A defect of this server. Its operator sees where in the log."
        return self._render(request, 500, "This did not work", text)

    def _render(self, request: Request, status: int, title: str, text: str) -> Response:
        return self._people.pages.render(request, "message.html", status, title=title, text=text, has_start=True)


def _gone_text(request: Request) -> str:
    """Returns the same where a page is not there and where it is hidden from the visitor."""
    if request.scope["state"].get("people_visitor") is None:
        return "Check the address, or go to the start."
    return "There is no such page, or your role may not decide about it. Ask the operator."


class _GuardedPages:
    """Refuses what another site's page sends, and gives every answer its headers and cookies."""

    def __init__(self, app: ASGIApp, errors: _Errors) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's router raises for an unknown path only where it stands in an application.
        scope = {**scope, "state": {}, "app": self}
        request = Request(scope, receive)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                cookies_of(request).write(headers)
            await send(message)

        if scope["method"] not in SAFE_METHODS and not is_from_our_page(scope):
            await (await self._errors.foreign(request))(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)
