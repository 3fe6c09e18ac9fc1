"""The sandbox on a socket. Kept apart because it imports uvicorn, which an embedded sandbox does not need."""

from __future__ import annotations

from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .faults import ConnectionDropped


class DroppableHttp(H11Protocol):
    """HTTP/1.1 whose connection an application can drop; by itself, uvicorn would answer 500 first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        served: Any = self.app

        async def droppable(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await served(scope, receive, send)
            except ConnectionDropped:
                self.transport.abort()
                while (await receive())["type"] != "http.disconnect":
                    pass  # uvicorn must have noticed before this returns, or it would still answer

        self.app = droppable


def server_config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """How the sandbox is served; port 0 takes a free one."""
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


def run(app: ASGIApp, host: str, port: int) -> None:
    """Serves until a signal ends it."""
    uvicorn.Server(server_config(app, host, port)).run()
