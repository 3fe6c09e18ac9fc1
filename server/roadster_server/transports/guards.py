"""Guards in front of every route: bearer tokens, scopes, hosts, and the web hooks' paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter, ValidationError
from starlette.authentication import AuthCredentials
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.settings.sections import Settings

from .tokens import SCOPE, TokenVerifier, identity_of

BY_ADDRESS = ("/healthz", "/readyz", "/metrics")
"""What machines ask, by an address: they tell nobody anything of a caller, dealer or customer."""


_HTTP_PORT = 80
"""Browsers and clients leave it out of the Host header."""


class BearerGuard(BearerAuthBackend):
    """The SDK's bearer tokens; who sends none at all is the anonymous caller, where there is one."""

    def __init__(self, verifier: TokenVerifier, anonymous: Callable[[], str | None]) -> None:
        super().__init__(verifier)
        self._anonymous = anonymous

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, AuthenticatedUser] | None:
        name = self._anonymous()
        if name is not None and "authorization" not in conn.headers:
            anonymous = identity_of(name)
            return AuthCredentials(anonymous.scopes), AuthenticatedUser(anonymous)
        found: tuple[AuthCredentials, AuthenticatedUser] | None = await super().authenticate(conn)
        return found


class ScopeGuard(RequireAuthMiddleware):
    """The SDK's guard, whose challenges name the scope to ask for as well, as the MCP specification wants."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def challenging(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "www-authenticate" in headers:
                    headers["www-authenticate"] += f', scope="{SCOPE}"'
            await send(message)

        await super().__call__(scope, receive, challenging)


@dataclass(frozen=True)
class ResourceMetadata:
    """RFC 9728: where OAuth clients find out who issues tokens for this server. No token is needed to read it."""

    url: AnyHttpUrl
    routes: list[Route]

    @classmethod
    def of(cls, settings: Settings) -> ResourceMetadata | None:
        """None without a resource_url, or where no issuer is a URL: an authorization server is found by its URL."""
        issuers = dict.fromkeys(caller.jwt.issuer for caller in settings.callers.values() if caller.jwt)
        servers = [url for url in map(_url, issuers) if url is not None]
        resource = _url(settings.http.resource_url) if settings.http.resource_url else None
        if resource is None or not servers:
            return None
        return cls(
            build_resource_metadata_url(resource),
            create_protected_resource_routes(resource, servers, scopes_supported=[SCOPE]),
        )


# Issuers are compared as strings: https://issuer.example must not become https://issuer.example/.
_AS_WRITTEN = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


def _url(text: str) -> AnyHttpUrl | None:
    try:
        return _AS_WRITTEN.validate_python(text)
    except ValidationError:
        return None


class WebhookPaths:
    """Takes web hooks out before the Host guard and the tokens: their senders have keys of their own.

    The guard is against web pages that make a browser call this server under their own name. Such a page
    has no key, while a host that was left out of `allowed_hosts` would lose events that nobody misses.
    """

    def __init__(self, app: ASGIApp, receivers: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._receivers = receivers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._receivers.get(scope["path"], self._app) if scope["type"] == "http" else self._app
        await app(scope, receive, send)


class HostGuard:
    """Refuses foreign Host and Origin headers, whatever address it is bound to, but for what is asked by address."""

    def __init__(self, app: ASGIApp, security: Callable[[], TransportSecuritySettings]) -> None:
        self._app = app
        self.host_rules = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in BY_ADDRESS:
            refusal = await TransportSecurityMiddleware(self.host_rules()).validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_rules(settings: Settings, port: int) -> TransportSecuritySettings:
    names = ("127.0.0.1", "localhost", "[::1]")
    local = [f"{name}:{port}" for name in names] + ([*names] if port == _HTTP_PORT else [])
    return TransportSecuritySettings(
        allowed_hosts=[*local, *settings.http.allowed_hosts],
        allowed_origins=[*(f"http://{name}" for name in local), *settings.http.allowed_origins],
    )
