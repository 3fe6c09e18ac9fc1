"""uvicorn, as this server uses it: with places for connections, times for clients, and without its signal handlers."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from roadster_server.settings.live import LiveSettings

from .connection import HEAD_SECONDS, ClientConnection, ConnectionRules
from .connections import Connections
from .descriptors import room_below

_CLOSE_SECONDS = 1
"""Seconds for answers to be written out, and for clients to close their streams."""


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers, which close the port. Here it listens on while calls end, for the probes."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override] # it is only used as a context manager
        return nullcontext()


def http_server(
    app: ASGIApp, live: LiveSettings, *, descriptors: int, head_seconds: float = HEAD_SECONDS
) -> HttpServer:
    """Returns a server of `app` in a process that may have so many `descriptors`."""
    room = room_below(descriptors)
    rules = ConnectionRules(
        Connections(lambda: live.current.http, room.places),
        lambda: live.current.http,
        most_refusals=room.backlog,
        head_seconds=head_seconds,
    )
    return HttpServer(
        uvicorn.Config(
            cast("Any", app),
            http=cast("Any", partial(ClientConnection, rules)),
            ws="none",
            backlog=room.backlog,
            log_config=None,
            log_level="error",  # a warning is one line for each connection that sends no HTTP
            access_log=False,  # it would print query strings
            server_header=False,
            proxy_headers=False,  # `FrontDoor` reads them, from the proxies of the settings
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
    )
