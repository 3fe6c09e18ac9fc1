"""Guards in front of the routes: bearer tokens, scopes, hosts, and the web hooks' paths."""

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
"""Paths that machines ask by an address. Their answers hold nothing about a caller, a dealer or a customer."""

_HTTP_PORT = 80
"""The port that browsers and clients leave out of the Host header."""


class BearerGuard(BearerAuthBackend):
    """The SDK's check of bearer tokens. A request without any token is the anonymous caller's, where there is one."""

    def __init__(self, verifier: TokenVerifier, anonymous: Callable[[], str | None]) -> None:
        super().__init__(verifier)
        self._anonymous = anonymous

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, AuthenticatedUser] | None:
        name = self._anonymous()
        if name is not None and "authorization" not in conn.headers:
            anonymous = identity_of(name)
            return AuthCredentials(anonymous.scopes), AuthenticatedUser(anonymous)
        identity: tuple[AuthCredentials, AuthenticatedUser] | None = await super().authenticate(conn)
        return identity


class ScopeGuard(RequireAuthMiddleware):
    """The SDK's check of scopes. Its challenges also name the scope to ask for, as the MCP specification requires."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_scope(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "www-authenticate" in headers:
                    headers["www-authenticate"] += f', scope="{SCOPE}"'
            await send(message)

        await super().__call__(scope, receive, send_with_scope)


@dataclass(frozen=True)
class ResourceMetadata:
    """The document of RFC 9728, which tells OAuth clients who issues tokens for this server. It needs no token."""

    url: AnyHttpUrl
    routes: list[Route]

    @classmethod
    def from_settings(cls, settings: Settings) -> ResourceMetadata | None:
        """Returns None without a resource_url, and where no issuer is a URL by which clients could find it."""
        issuers = dict.fromkeys(caller.jwt.issuer for caller in settings.callers.values() if caller.jwt)
        servers = [url for url in map(_parse_url, issuers) if url is not None]
        resource = _parse_url(settings.http.resource_url) if settings.http.resource_url else None
        if resource is None or not servers:
            return None
        return cls(
            build_resource_metadata_url(resource),
            create_protected_resource_routes(resource, servers, scopes_supported=[SCOPE]),
        )


# Issuers are compared as strings: https://issuer.example must not become https://issuer.example/.
_AS_WRITTEN = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


def _parse_url(text: str) -> AnyHttpUrl | None:
    try:
        return _AS_WRITTEN.validate_python(text)
    except ValidationError:
        return None


class WebhookPaths:
    """Hands web hooks to their receivers, past the Host guard and the tokens: their senders have keys of their own.

    The Host guard stops web pages that make a browser call this server under their own name. Such a page has no key.
    A sender's host that is missing from `allowed_hosts`, however, would lose events, and nobody would notice.
    """

    def __init__(self, app: ASGIApp, receivers: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._receivers = receivers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._receivers.get(scope["path"], self._app) if scope["type"] == "http" else self._app
        await app(scope, receive, send)


class HostGuard:
    """Refuses foreign Host and Origin headers, on every address that the server listens on.

    The paths of `BY_ADDRESS` are exempt.
    """

    def __init__(self, app: ASGIApp, rules: Callable[[], TransportSecuritySettings]) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in BY_ADDRESS:
            refusal = await TransportSecurityMiddleware(self._rules()).validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def host_rules(settings: Settings, port: int) -> TransportSecuritySettings:
    """Returns the hosts and origins that may connect: this machine's own names, and those of the configuration."""
    names = ("127.0.0.1", "localhost", "[::1]")
    local = [f"{name}:{port}" for name in names] + ([*names] if port == _HTTP_PORT else [])
    return TransportSecuritySettings(
        allowed_hosts=[*local, *settings.http.allowed_hosts],
        allowed_origins=[*(f"http://{name}" for name in local), *settings.http.allowed_origins],
    )
