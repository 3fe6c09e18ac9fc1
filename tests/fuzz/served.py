"""The whole application over HTTP, in process: MCP messages and web hooks come in as from a socket."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from pydantic import SecretStr

from roadster_sandbox import SandboxTransport, create_app
from roadster_server.events.webhooks import receivers
from roadster_server.protocol.server import build_server
from roadster_server.protocol.subscriptions import Subscriptions
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import WebhookSettings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import caller_of_request, http_app
from tests.conftest import settings_for
from tests.server.events.hooks import KEY, ROADIE_KEY

TOKEN = "fuzz-token"
HERE = "http://127.0.0.1:8123"


@asynccontextmanager
async def served(store_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Opens a client of the application, for a caller who may write at two dealers.

    It has no sessions, so that each message of protocol 2025-11-25 is read by itself.
    """
    settings = settings_for(store_url, token_sha256=[hashlib.sha256(TOKEN.encode()).hexdigest()])
    keys = WebhookSettings(roadster_keys=[SecretStr(KEY)], roadie_keys=[SecretStr(ROADIE_KEY)])
    live = LiveSettings(settings.model_copy(update={"webhooks": keys}))

    async def no_outage() -> str | None:
        return None

    def caller() -> object:
        return caller_of_request(live.current)

    async with open_calls(live, local=False, transport=SandboxTransport(create_app())) as calls:
        await calls.services.store.open()
        subscriptions = Subscriptions(calls, caller, live)  # type: ignore[arg-type]
        app = http_app(
            build_server(calls, caller, subscriptions, sessions=False),  # type: ignore[arg-type]
            live,
            no_outage,
            "http",
            host="127.0.0.1",
            port=8123,
            webhooks=receivers(live, calls.services.store, subscriptions.announce_customer),
            metrics=Metrics(),
            sessions=False,
        )
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=HERE, timeout=None) as client,
        ):
            yield client
