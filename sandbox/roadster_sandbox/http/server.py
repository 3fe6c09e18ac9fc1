"""The sandbox on a socket. Only this file imports uvicorn, which an embedded sandbox does not need."""

from __future__ import annotations

from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .faults import ConnectionDropped


class DroppableHttp(H11Protocol):
    """HTTP/1.1 with connections that the application can drop. Otherwise, uvicorn would answer 500 first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app: Any = self.app

        async def droppable(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            except ConnectionDropped:
                self.transport.abort()
                while (await receive())["type"] != "http.disconnect":
                    pass  # uvicorn must notice the end before this returns, or it would still send an answer

        self.app = droppable


def server_config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """Returns the configuration of uvicorn. The port 0 takes a free one."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=DroppableHttp,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


def run_server(app: ASGIApp, host: str, port: int) -> None:
    """Serves `app` until a signal ends the process."""
    uvicorn.Server(server_config(app, host, port)).run()
