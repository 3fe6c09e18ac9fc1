"""The HTTP application: both eras of Streamable HTTP at /mcp, the legacy SSE pair, the probes, and the web hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_tools import Caller

from .intake import Intake
from .live import LiveSettings
from .metrics import Metrics
from .settings import Settings, is_loopback
from .tokens import SCOPE, TokenVerifier, identity_of

HttpTransport = Literal["http", "sse"]
Missing = Callable[[], Awaitable[str | None]]
"""Names what does not answer."""

_BY_ADDRESS = ("/healthz", "/readyz", "/metrics")
"""What machines ask, by an address: they tell nobody anything of a caller, dealer or customer."""
_HTTP_PORT = 80
"""Browsers and clients leave it out of the Host header."""
_PROBE_SECONDS = 2.0


def caller_of_request(settings: Settings) -> Caller:
    """The caller that the current request was authenticated as."""
    identity = get_access_token()
    if identity is None:
        raise RuntimeError("a request came past the authentication")
    return settings.caller_as_of_now(identity.client_id)


def http_app(
    server: Server[Any],
    live: LiveSettings,
    missing: Missing,
    transport: HttpTransport,
    *,
    host: str,
    port: int,
    webhooks: Mapping[str, ASGIApp],
    metrics: Metrics,
    sessions: bool = True,
    stopping: Callable[[], bool] = lambda: False,
) -> Starlette:
    """The application. `/mcp` is left out where `transport` is sse; `/readyz` asks `missing` and `stopping`.

    Without `sessions` each request of protocol 2025-11-25 stands for itself, and the SSE pair is left out.

    `webhooks` are applications by path, which see to their own senders.
    """
    sse = SseServerTransport("/messages/")
    streamable = StreamableHTTPSessionManager(server, stateless=not sessions)

    async def open_sse(scope: Scope, receive: Receive, send: Send) -> None:
        async with sse.connect_sse(scope, receive, send) as (read, write):
            await server.run(read, write, server.create_initialization_options())

    probes = _Probes(missing, stopping)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with probes.running(), streamable.run():
            yield

    metadata = _ResourceMetadata.of(live.current)

    def guarded(app: ASGIApp) -> ASGIApp:
        return _RequireScope(Intake(app, stopping), [SCOPE], metadata.url if metadata else None)

    routes: list[Route | Mount] = [
        Route("/healthz", probes.alive),
        Route("/readyz", probes.ready),
        Route("/metrics", metrics.scrape),
        *(metadata.routes if metadata else ()),
    ]
    if sessions:
        routes += [
            Route("/sse", guarded(open_sse), methods=["GET"]),
            Mount("/messages/", guarded(sse.handle_post_message)),
        ]
    if transport == "http":
        routes.append(Route("/mcp", guarded(StreamableHTTPASGIApp(streamable))))

    def anonymous() -> str | None:
        return live.current.http.anonymous_caller if is_loopback(host) else None

    return Starlette(
        routes=routes,
        middleware=[
            Middleware(_WebHooks, receivers=webhooks),
            Middleware(_HostGuard, security=lambda: _security(live.current, port)),
            Middleware(AuthenticationMiddleware, backend=_Bearer(TokenVerifier(lambda: live.current), anonymous)),
            Middleware(AuthContextMiddleware),
        ],
        lifespan=lifespan,
    )


class _Probes:
    """What an orchestrator asks: is the process alive, and can it take calls?"""

    def __init__(self, missing: Missing, stopping: Callable[[], bool]) -> None:
        self._missing = missing
        self._stopping = stopping
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def alive(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        if self._stopping():
            return JSONResponse({"status": "the server is stopping"}, 503)
        # A store that hangs is waited for elsewhere: a statement cannot be cancelled, and a probe must be answered.
        answered = anyio.Event()
        missing: str | None = "the store"

        async def ask() -> None:
            nonlocal missing
            missing = await self._missing()
            answered.set()

        if self._tasks is not None:
            self._tasks.start_soon(ask)
            with anyio.move_on_after(_PROBE_SECONDS):
                await answered.wait()
        if missing is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": f"{missing} does not answer"}, 503)


class _Bearer(BearerAuthBackend):
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


class _RequireScope(RequireAuthMiddleware):
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
class _ResourceMetadata:
    """RFC 9728: where OAuth clients find out who issues tokens for this server. No token is needed to read it."""

    url: AnyHttpUrl
    routes: list[Route]

    @classmethod
    def of(cls, settings: Settings) -> _ResourceMetadata | None:
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


class _WebHooks:
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


class _HostGuard:
    """Refuses foreign Host and Origin headers, whatever address it is bound to, but for what is asked by address."""

    def __init__(self, app: ASGIApp, security: Callable[[], TransportSecuritySettings]) -> None:
        self._app = app
        self._security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _BY_ADDRESS:
            refusal = await TransportSecurityMiddleware(self._security()).validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _security(settings: Settings, port: int) -> TransportSecuritySettings:
    names = ("127.0.0.1", "localhost", "[::1]")
    local = [f"{name}:{port}" for name in names] + ([*names] if port == _HTTP_PORT else [])
    return TransportSecuritySettings(
        allowed_hosts=[*local, *settings.http.allowed_hosts],
        allowed_origins=[*(f"http://{name}" for name in local), *settings.http.allowed_origins],
    )
