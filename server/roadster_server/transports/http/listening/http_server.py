"""uvicorn, as this server uses it: with places for connections, times for clients, and without its signal handlers."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from roadster_server.settings.live import LiveSettings

from .connection import HEAD_SECONDS, UNREAD_SECONDS, ClientConnection, ConnectionRules
from .connections import Connections, Limit
from .descriptors import room_below

_CLOSE_SECONDS = 1
"""Seconds for answers to be written out, and for clients to close their streams."""


_AT_ONCE = 1
"""Connections that are accepted before the requests of others get their turn.

Workers share a listener. One that accepted all that wait would leave nothing to the other, which has time for them.
"""


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers, which close the port. Here it listens on while calls end, for the probes.

    `backlog` connections may wait to be accepted.
    """

    def __init__(self, config: uvicorn.Config, backlog: int) -> None:
        super().__init__(config)
        self._backlog = backlog

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio has one number for those that wait and those that it accepts at once. The kernel gets the right one.
        for listener in sockets or ():
            listener.listen(self._backlog)

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override] # it is only used as a context manager
        return nullcontext()


def http_server(
    app: ASGIApp,
    live: LiveSettings,
    *,
    descriptors: int,
    head_seconds: float = HEAD_SECONDS,
    unread_seconds: float = UNREAD_SECONDS,
) -> HttpServer:
    """Returns a server of `app` in a process that may have so many `descriptors`."""
    room = room_below(descriptors)
    descriptor_limit = Limit(room.connections, f"the limit of {descriptors:,} descriptors")
    connections = Connections(lambda: live.current.http, descriptor_limit)
    connections.tell_where_descriptors_decide()
    rules = ConnectionRules(
        connections,
        lambda: live.current.http,
        most_refusals=room.backlog,
        head_seconds=head_seconds,
        unread_seconds=unread_seconds,
    )
    return HttpServer(
        uvicorn.Config(
            cast("Any", app),
            http=cast("Any", partial(ClientConnection, rules)),
            ws="none",
            backlog=_AT_ONCE if os.name == "posix" else room.backlog,  # Windows takes no second number
            log_config=None,
            log_level="error",  # a warning is one line for each connection that sends no HTTP
            access_log=False,  # it would print query strings
            server_header=False,
            proxy_headers=False,  # `FrontDoor` reads them, from the proxies of the settings
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        ),
        room.backlog,
    )
