"""The way of each request to its route: headers of proxies, a path prefix, and a slash at the end of the path."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from roadster_server.settings.sections import HttpSettings


def route_of(scope: Scope) -> str:
    """Returns the path of the request without the prefix. `FrontDoor` has taken off a slash at its end."""
    path: str = scope["path"]
    return path[len(scope.get("root_path", "")) :]


class FrontDoor:
    """Stands before everything that looks at a path, so that all spellings of a route meet the same guards.

    No spelling is redirected: behind a proxy that ends TLS, the server would send its clients to plain http.
    `paths` are those of the routes.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], HttpSettings], paths: Collection[str]) -> None:
        self._app = app
        self._settings = settings
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._settings()
        prefix = settings.path_prefix
        route = scope["path"].removesuffix("/")
        # A path that is a route comes from a proxy that takes the prefix off, whatever the prefix is.
        if route not in self._paths and route.startswith(f"{prefix}/"):
            route = route[len(prefix) :]
        proxies = ProxyHeadersMiddleware(cast("Any", self._app), settings.trusted_proxies)
        await proxies(cast("Any", {**scope, "path": prefix + (route or "/"), "root_path": prefix}), receive, send)  # type: ignore[arg-type]
