"""The HTTP application: both eras of Streamable HTTP at /mcp, the legacy SSE pair, the probes, and the web hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from roadster_client import is_loopback
from roadster_server.calls.keys import Keys
from roadster_server.identity.requesters import describe_narrowings
from roadster_server.identity.tokens import Identity, TokenVerifier, caller_of
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.large_messages import LargeMessages
from roadster_server.turns import Turns
from roadster_tools import Caller

from .front import FrontDoor
from .guards import BearerGuard, HostGuard, PeoplePaths, ResourceMetadata, ScopeGuard, WebhookPaths, live_host_rules
from .intake import Intake
from .narrowing import NarrowedConnections
from .probes import Probes, Unavailable
from .refused_people import LoggedRefusals
from .sessions import Sessions
from .sse_pair import SsePair
from .streams import Streams
from .turn_taking import TurnTaking

HttpTransport = Literal["http", "sse"]


def url_of(transport: HttpTransport, host: str, port: int) -> str:
    """Returns the URL that a client on this machine connects to."""
    return f"{origin_of(host, port)}/{'mcp' if transport == 'http' else 'sse'}"


def origin_of(host: str, port: int) -> str:
    """Returns the scheme, host and port of what listens there."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def caller_of_request(settings: Settings) -> Caller:
    """Returns the caller whose credentials the current request carries."""
    identity = get_access_token()
    if not isinstance(identity, Identity):
        raise RuntimeError("a request came past the authentication")  # noqa: TRY004 - a defect of ours
    return caller_of(settings, identity)


def identity_of_request() -> dict[str, Any] | None:
    """Returns what a stored call needs of the current request's maker: claims or token, and narrowings."""
    identity = get_access_token()
    if not isinstance(identity, Identity):
        return None
    return {
        "claims": identity.claims,
        "token": identity.digest,
        "narrowings": describe_narrowings(identity.narrowings),
    }


def http_app(
    server: Server[Any],
    live: LiveSettings,
    unavailable: Unavailable,
    transport: HttpTransport,
    *,
    host: str,
    port: int,
    webhooks: Mapping[str, ASGIApp],
    metrics: Metrics,
    sessions: bool = True,
    is_stopping: Callable[[], bool] = lambda: False,
    ending: anyio.Event | None = None,
    verifier: TokenVerifier | None = None,
    people: ASGIApp | None = None,
) -> Starlette:
    """Builds the application, for sse without `/mcp`. `/readyz` asks `unavailable` and `is_stopping`.

    Without `sessions` it has no SSE pair, and each request of protocol 2025-11-25 stands for itself. All streams end
    once `ending` is set.

    `webhooks` are applications by path. They check their senders themselves. `verifier` checks bearer tokens, by
    default by the current settings. `people` are the pages for people.
    """
    sse = SsePair(server)
    streamable = StreamableHTTPSessionManager(server, stateless=not sessions, max_sessions=None)  # see `Sessions`

    hash_person = Keys.derive(live.current.roadster.api_key.get_secret_value()).hash
    verifier = verifier or TokenVerifier(lambda: live.current, hash_person=hash_person)
    large_messages, turns = LargeMessages(), Turns()
    probes = Probes(unavailable, is_stopping)

    def anonymous() -> str | None:
        return live.current.http.anonymous_caller if is_loopback(host) else None

    bearer_guard = BearerGuard(verifier, anonymous)
    guard_of_streams = BearerGuard(verifier.for_streams(), anonymous)
    streams = Streams(live, guard_of_streams, verifier.revocations, ending or anyio.Event())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with probes.run(), streamable.run(), anyio.create_task_group() as tasks:
            tasks.start_soon(streams.run)
            yield
            tasks.cancel_scope.cancel()

    metadata = ResourceMetadata.from_settings(live.current)

    def guard(app: ASGIApp) -> ASGIApp:
        intake = TurnTaking(Intake(NarrowedConnections(app, lambda: live.current), is_stopping, large_messages), turns)
        door = ScopeGuard(intake, metadata.url if metadata else None, lambda: live.current)
        return LoggedRefusals(door, lambda: live.current, hash_person)

    routes: list[Route] = [
        Route("/healthz", probes.alive),
        Route("/readyz", probes.ready),
        Route("/metrics", metrics.scrape),
        *(metadata.routes if metadata else ()),
    ]
    if sessions:
        sse_route = Route("/sse", guard(streams.guard(sse.open_stream)))
        sse_route.methods = {"GET"}  # Starlette adds HEAD, and its answer would be a stream that never ends
        routes += [sse_route, Route("/messages", guard(sse.take_message))]
    if transport == "http":
        mcp: ASGIApp = StreamableHTTPASGIApp(streamable)
        routes.append(Route("/mcp", guard(streams.guard_mcp(Sessions(mcp, lambda: live.current) if sessions else mcp))))

    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(
                FrontDoor,
                settings=lambda: live.current.http,
                paths=frozenset([*(route.path for route in routes), *webhooks]),
            ),
            Middleware(WebhookPaths, receivers=webhooks),
            Middleware(HostGuard, rules=live_host_rules(lambda: live.current, port)),
            *([] if people is None else [Middleware(PeoplePaths, people=people)]),
            Middleware(AuthenticationMiddleware, backend=bearer_guard),
            Middleware(AuthContextMiddleware),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app
