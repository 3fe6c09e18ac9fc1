"""The real application on a real socket, in the loop of the test."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx2

from roadster_sandbox import create_app
from roadster_sandbox.http.transport import SandboxTransport
from roadster_server.calls.page_links import PageLinks
from roadster_server.identity.keys import IssuerKeys
from roadster_server.identity.revocations import Revocations
from roadster_server.identity.tokens import TokenVerifier
from roadster_server.people.app import people_app
from roadster_server.people.context import People
from roadster_server.protocol.server import build_server
from roadster_server.protocol.subscriptions import Subscriptions
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import caller_of_request, http_app, identity_of_request
from roadster_server.transports.http.listening.connection import HEAD_SECONDS
from roadster_server.transports.http.listening.http_server import http_server


@asynccontextmanager
async def listening(
    live: LiveSettings,
    upstream: httpx2.AsyncBaseTransport | None = None,
    *,
    descriptors: int = 4096,
    head_seconds: float = HEAD_SECONDS,
    verifier: TokenVerifier | None = None,
    revocations: Revocations | None = None,
) -> AsyncIterator[str]:
    """Serves with the settings of `live`, by default against a sandbox, and yields the URL."""

    async def no_outage() -> str | None:
        return None

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        async def address() -> str:
            return f"http://127.0.0.1:{port}"

        async with open_calls(
            live,
            local=False,
            transport=upstream or SandboxTransport(create_app()),
            page_links=PageLinks(lambda: live.current, address),
            current_identity=identity_of_request,
        ) as calls:
            await calls.services.store.open()
            subscriptions = Subscriptions(calls, lambda: caller_of_request(live.current), live)
            app = http_app(
                build_server(calls, lambda: caller_of_request(live.current), subscriptions),
                live,
                no_outage,
                "http",
                host="127.0.0.1",
                port=port,
                webhooks={},
                metrics=Metrics(),
                verifier=verifier,
                people=people_app(
                    People(calls, live, revocations or Revocations.nothing(), IssuerKeys(), is_local=True)
                ),
            )
            server = http_server(app, live, descriptors=descriptors, head_seconds=head_seconds)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(subscriptions.run)
                tasks.start_soon(server.serve, [listener])
                yield f"http://127.0.0.1:{port}"
                subscriptions.close()
                server.should_exit = True
                while server.server_state.connections:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
