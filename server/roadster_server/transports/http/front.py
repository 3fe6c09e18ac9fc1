"""The way of each request to its route: headers of proxies, a path prefix, and a slash at the end of the path."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from roadster_server.people.app import is_page
from roadster_server.settings.sections.http import HttpSettings


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
        self._proxies: tuple[HttpSettings, ProxyHeadersMiddleware] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._settings()
        prefix = settings.path_prefix
        route = scope["path"].removesuffix("/")
        # A path that is a route comes from a proxy that takes the prefix off, whatever the prefix is.
        is_route = route in self._paths or is_page(route)
        if not is_route and route.startswith(f"{prefix}/"):
            route = route[len(prefix) :]
        scope = {**scope, "path": prefix + (route or "/"), "root_path": prefix, _PEER: scope.get("client")}
        await self._proxies_of(settings)(cast("Any", scope), receive, send)  # type: ignore[arg-type]

    def _proxies_of(self, settings: HttpSettings) -> ProxyHeadersMiddleware:
        """Returns the reader of the proxies' headers, which is made anew when the settings change."""
        if self._proxies is None or self._proxies[0] is not settings:
            proxies = ProxyHeadersMiddleware(cast("Any", self._serve), settings.trusted_proxies)
            self._proxies = settings, proxies
        return self._proxies[1]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope[_PEER]
        if self._is_proxy(peer) and (scope["client"] is peer or not _is_address(scope["client"][0])):
            scope["client"] = None  # the proxy's own address would pass for that of a client on this machine
        await self._app(scope, receive, send)

    def _is_proxy(self, peer: tuple[str, int] | None) -> bool:
        return peer is not None and self._proxies is not None and peer[0] in self._proxies[1].trusted_hosts


_PEER = "roadster_peer"
"""The key of a request's scope for the address that the connection comes from."""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
