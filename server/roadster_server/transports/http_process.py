"""One serving process: what it opens, what runs beside its listener, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING

import anyio
import uvicorn

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.calls.keys import Keys
from roadster_server.events.inbox import keep_tidy
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.protocol.subscriptions import Subscriptions
from roadster_server.runtime import open_calls
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.sections import Settings, is_loopback
from roadster_server.store import StoreError
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.metrics import Metrics
from roadster_tools import Caller

from .http import HttpTransport, caller_of_request, http_app, url_of
from .shutdown import Stop

if TYPE_CHECKING:
    import socket

    from roadster_server.replicas import Replicas

_DRAIN_SECONDS = 5.0
"""For calls to end by themselves, once the server is to stop."""
_INTERRUPTED_SECONDS = 1.0
"""For calls that were interrupted to get on record."""
_CLOSE_SECONDS = 1
"""For answers to be written out, and for clients to close their streams."""
_EXIT_SECONDS = 10.0


async def serve_backend(
    backend: Backend,
    transport: HttpTransport,
    bound: socket.socket,
    *,
    host: str,
    workers: int = 1,
    on_serving: Callable[[], None] = lambda: None,
) -> None:
    """Serves at `bound` until a signal comes. Raises ConfigurationError where what it needs does not answer.

    It listens before the store is open: migrating may take its time, and `/readyz` says so meanwhile. Where it is one
    of several `workers`, it keeps no sessions: the next request of a client may come to another. `on_serving` is
    called when it takes calls.
    """
    settings = backend.settings
    _warn_where_nobody_can_connect(settings, host)
    port = bound.getsockname()[1]
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        replicas = await _replicas(settings, stack)
        calls = await stack.enter_async_context(
            open_calls(
                backend.live,
                local=False,
                transport=backend.transport,
                random=backend.random,
                observer=metrics,
                replicas=replicas,
            )
        )

        def who() -> Caller:
            return caller_of_request(backend.settings)

        async def missing() -> str | None:
            if not await calls.services.store.healthy():
                return "the store"
            return None if replicas is None or await replicas.healthy() else "Redis"

        sessions = workers == 1
        subscriptions = Subscriptions(calls, who, replicas)
        stop = Stop(within=_EXIT_SECONDS, discard=backend.discard)
        app = http_app(
            build_server(calls, who, subscriptions, sessions=sessions),
            backend.live,
            missing,
            transport,
            host=host,
            port=port,
            sessions=sessions,
            webhooks=receivers(backend.live, calls.services.store, subscriptions.announce_customer, metrics),
            metrics=metrics,
            stopping=stop.requested.is_set,
        )
        listener = _Listener(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # it would print query strings
                server_header=False,
                timeout_graceful_shutdown=_CLOSE_SECONDS,
            )
        )
        stop.heed_signals(watched=workers > 1)
        unopened: list[StoreError] = []

        async def keep_store() -> None:
            try:
                await calls.services.store.open()
            except StoreError as error:
                unopened.append(error)
                listener.should_exit = True
            else:
                log.info("listening", extra={"url": url_of(transport, host, port)})
                on_serving()
                await keep_tidy(backend.live, calls.services.store)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.live.watch)
            tasks.start_soon(_drain, stop, calls, subscriptions, listener)
            tasks.start_soon(subscriptions.run)
            if replicas is not None:
                tasks.start_soon(replicas.run)
            tasks.start_soon(keep_store)
            await listener.serve(sockets=[bound])
            tasks.cancel_scope.cancel()
        # Calls that are cut off only now get on record before the store closes.
        await calls.wait_until_idle()
        for error in unopened:
            raise ConfigurationError([str(error)])


def _warn_where_nobody_can_connect(settings: Settings, host: str) -> None:
    if any(caller.token_sha256 or caller.jwt for caller in settings.callers.values()):
        return
    if not (is_loopback(host) and settings.http.anonymous_caller):
        log.warning("nobody can connect: no caller has a token_sha256 or jwt; make one with roadster-mcp token NAME")


async def _replicas(settings: Settings, stack: AsyncExitStack) -> Replicas | None:
    if settings.replicas is None:
        return None
    from roadster_server.replicas import open_replicas  # noqa: PLC0415 - most servers are the only one

    deployment = Keys.derive(settings.roadster.api_key.get_secret_value()).deployment
    replicas = await stack.enter_async_context(open_replicas(settings.replicas.redis_url, deployment))
    if not await replicas.healthy():
        raise ConfigurationError(["Redis does not answer at [replicas] redis_url; start it, or correct the URL"])
    return replicas


class _Listener(uvicorn.Server):
    """uvicorn, which would close its port at the signal: here it listens on while calls end, and the probes say so."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override] # used as a context manager alone
        return nullcontext()


async def _drain(stop: Stop, calls: Calls, subscriptions: Subscriptions, listener: uvicorn.Server) -> None:
    """Once the server is to stop: lets calls end, interrupts what is left, and has the listener close."""
    await stop.requested.wait()
    subscriptions.close()
    with anyio.move_on_after(_DRAIN_SECONDS):
        await calls.wait_until_idle()
    calls.interrupt()
    with anyio.move_on_after(_INTERRUPTED_SECONDS):
        await calls.wait_until_idle()
    listener.should_exit = True
