"""One process that serves over HTTP: it opens the server, runs the tasks beside it, and ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette

from roadster_client import is_loopback
from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.calls.keys import Keys
from roadster_server.calls.page_links import PageLinks
from roadster_server.events.inbox import keep_tidy
from roadster_server.events.webhooks import receivers
from roadster_server.identity.keys import IssuerKeys
from roadster_server.identity.revocations import Revocations
from roadster_server.identity.tokens import TokenVerifier
from roadster_server.people.app import people_app
from roadster_server.people.context import People
from roadster_server.protocol.server import build_server
from roadster_server.protocol.subscriptions import Subscriptions
from roadster_server.runtime import open_calls
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.settings import Settings
from roadster_server.store import StoreError
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.shutdown import Stop, drain
from roadster_tools import Caller

from .application import HttpTransport, caller_of_request, http_app, identity_of_request, origin_of, url_of
from .listening.descriptors import raise_limit
from .listening.http_server import http_server

if TYPE_CHECKING:
    import socket

    from roadster_server.replicas import Replicas

DRAIN_SECONDS = 5.0
"""Seconds for calls to end by themselves, once the server is to stop."""
EXIT_SECONDS = 10.0
"""Seconds from the signal to the end of the process, whatever holds it up. A service manager must wait longer."""


async def serve_backend(
    backend: Backend,
    transport: HttpTransport,
    listener: socket.socket,
    *,
    host: str,
    workers: int = 1,
    on_serving: Callable[[], None] = lambda: None,
) -> None:
    """Serves at `listener` until a signal comes. Raises ConfigurationError where the store or Redis does not answer.

    It listens before the store is open: a migration may take its time, and `/readyz` says so meanwhile. As one of
    several `workers` it keeps no sessions, because the next request of a client may come to another worker.
    `on_serving` is called when it takes calls.
    """
    _warn_where_nobody_can_connect(backend.settings, host)
    port = listener.getsockname()[1]
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        replicas = await _open_replicas(backend.settings, stack)
        calls = await stack.enter_async_context(
            open_calls(
                backend.live,
                local=False,
                transport=backend.transport,
                random=backend.random,
                observer=metrics,
                replicas=replicas,
                page_links=PageLinks(lambda: backend.settings, _address_of(host, port)),
                current_identity=identity_of_request,
            )
        )
        process = _Process(backend, calls, replicas, is_watched=workers > 1)
        app = process.build_app(transport, host, port, metrics)

        def on_open() -> None:
            log.info("listening", extra={"url": url_of(transport, host, port)})
            on_serving()

        await process.run(app, listener, on_open)


class _Process:
    """The server of one process, and the tasks that run beside it. `is_watched` says that it is one of several."""

    def __init__(self, backend: Backend, calls: Calls, replicas: Replicas | None, *, is_watched: bool) -> None:
        self._backend = backend
        self._calls = calls
        self._store = calls.services.store
        self._store_problem: str | None = None
        self._replicas = replicas
        self._is_watched = is_watched
        self._subscriptions = Subscriptions(calls, self._caller, backend.live, replicas)
        self._revocations = Revocations(self._store.revocations)
        self._issuer_keys = IssuerKeys()
        self._ending = anyio.Event()
        self._stop = Stop(within=EXIT_SECONDS, discard=backend.discard)

    def build_app(self, transport: HttpTransport, host: str, port: int, metrics: Metrics) -> Starlette:
        sessions = not self._is_watched
        live = self._backend.live
        return http_app(
            build_server(self._calls, self._caller, self._subscriptions, sessions=sessions),
            live,
            self._unavailable,
            transport,
            host=host,
            port=port,
            sessions=sessions,
            webhooks=receivers(live, self._store, self._subscriptions.announce_customer, metrics),
            metrics=metrics,
            is_stopping=self._stop.requested.is_set,
            ending=self._ending,
            verifier=TokenVerifier(
                lambda: live.current,
                self._issuer_keys,
                self._revocations,
                hash_person=self._calls.services.keys.hash,
            ),
            people=people_app(People(self._calls, live, self._revocations, self._issuer_keys, is_loopback(host))),
        )

    async def run(self, app: Starlette, listener: socket.socket, on_open: Callable[[], None]) -> None:
        """Serves until a signal comes. Calls `on_open` once the store is open. Raises ConfigurationError."""
        server = http_server(app, self._backend.live, descriptors=raise_limit())
        store_errors: list[StoreError] = []

        async def keep_store() -> None:
            try:
                await self._store.open()
            except StoreError as error:
                store_errors.append(error)
                server.should_exit = True
            else:
                on_open()
                tasks.start_soon(self._revocations.follow)
                await keep_tidy(self._backend.live, self._store, self._calls.services.observer)

        async def end() -> None:
            await self._stop.requested.wait()
            self._subscriptions.close()
            await drain(self._calls, DRAIN_SECONDS, self._calls.wait_until_idle)
            self._ending.set()
            server.should_exit = True

        self._stop.heed_signals(is_watched=self._is_watched)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._backend.live.watch)
            tasks.start_soon(end)
            tasks.start_soon(self._subscriptions.run)
            if self._replicas is not None:
                tasks.start_soon(self._replicas.run)
            tasks.start_soon(keep_store)
            await server.serve(sockets=[listener])
            tasks.cancel_scope.cancel()
        # Calls that are cut off only now still get on record before the store closes.
        await self._calls.wait_until_idle()
        for error in store_errors:
            raise ConfigurationError([str(error)])

    def _caller(self) -> Caller:
        return caller_of_request(self._backend.settings)

    async def _unavailable(self) -> str | None:
        problem = await self._store.problem()
        if problem != self._store_problem:
            self._store_problem = problem
            if problem is not None:
                log.error("the store takes no writes", extra={"reason": problem})
        if problem is not None:
            return "the store takes no writes"
        return None if self._replicas is None or await self._replicas.healthy() else "Redis does not answer"


def _address_of(host: str, port: int) -> Callable[[], Awaitable[str | None]]:
    """Returns a function that returns the address of this process, as a browser on this machine writes it."""
    every_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens here

    async def address() -> str:
        return origin_of(every_address.get(host, host), port)

    return address


def _warn_where_nobody_can_connect(settings: Settings, host: str) -> None:
    if settings.rights.token_owners or settings.identity:
        return
    if not (is_loopback(host) and settings.http.anonymous_caller):
        log.warning(
            "nobody can connect: no caller has a token_sha256, and there is no [identity.NAME]; "
            "make a token with roadster-mcp token NAME"
        )


async def _open_replicas(settings: Settings, stack: AsyncExitStack) -> Replicas | None:
    if settings.replicas is None:
        return None
    from roadster_server.replicas import open_replicas  # noqa: PLC0415 - most servers run without it

    deployment = Keys.derive(settings.roadster.api_key.get_secret_value()).deployment
    replicas = await stack.enter_async_context(open_replicas(settings.replicas.redis_url, deployment))
    if not await replicas.healthy():
        raise ConfigurationError(["Redis does not answer at [replicas] redis_url; start it, or correct the URL"])
    return replicas
