"""Runs an ASGI application as the network of an httpx2 client, without a socket.

Unlike `httpx2.ASGITransport`, it passes the body on chunk by chunk, so a client can read a part of an endless body.
A connection that the application drops is a read error for the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message

from .faults import ConnectionDropped


class SandboxTransport(httpx2.AsyncBaseTransport):
    """The network of a client. `app` comes from `create_app`. It needs asyncio, like a server that would run `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _Exchange(self._app, _scope(request), await request.aread())
        try:
            start = await exchange.next_message()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx2.Response(start["status"], headers=start["headers"], stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    """One run of the application. Before each message it waits for the reader, as it would on a socket."""

    def __init__(self, app: ASGIApp, scope: MutableMapping[str, Any], body: bytes) -> None:
        self._messages: asyncio.Queue[Message | Exception] = asyncio.Queue(maxsize=1)
        self._body: bytes | None = body
        self._task = asyncio.create_task(self._run(app, scope))

    async def next_message(self) -> Message:
        message = await self._messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.next_message()
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def aclose(self) -> None:
        self._task.cancel()

    async def _run(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._messages.put)
        except ConnectionDropped:
            await self._messages.put(httpx2.ReadError("the connection was dropped"))
        except Exception as error:  # noqa: BLE001  # the reader raises it, so a test can see it
            await self._messages.put(error)

    async def _receive(self) -> Message:
        if self._body is None:
            await asyncio.Event().wait()  # a client that disconnects cancels the task
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _scope(request: httpx2.Request) -> MutableMapping[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "state": {},
    }
