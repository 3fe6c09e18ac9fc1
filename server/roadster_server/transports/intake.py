"""What a POST must be before a transport of the SDK reads it: whole in time, not too large, one sound message.

The other way round, it tells a session of protocol 2025-11-25 when the client of a request has gone:
the SDK would let the call go on, and nobody could read its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import anyio
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp_types import INVALID_REQUEST, JSONRPCNotification, JSONRPCRequest, RequestId
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .messages import MAX_MESSAGE_BYTES, SERVER_STOPPING, TOO_LARGE, MessageRefused, read_message, refuse_while_stopping

BODY_SECONDS = 30.0
"""For a whole body, however slowly it comes: 4 MiB in that time is about one megabit a second."""

_LONGEST_NUMBER = 20
"""Digits, for a Content-Length: far more than any body has bytes, and far less than int() refuses to read."""


class Intake:
    """ASGI, in front of a transport; `stopping` says whether the server takes no more requests."""

    def __init__(self, app: ASGIApp, stopping: Callable[[], bool], *, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._stopping = stopping
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] != "POST":
                await self._app(scope, receive, send)
                return
            body = await self._read(scope, receive)
            message = read_message(body)
            if self._stopping():
                refuse_while_stopping(message)
        except MessageRefused as refused:
            status = _status(refused)
            # A client that still sends would lose the answer with the connection: it is cut off only where it is slow.
            headers = {"Connection": "close"} if status is HTTPStatus.REQUEST_TIMEOUT else {}
            await Response(refused.json(), status, headers, "application/json")(scope, receive, send)
            return
        exchange = _Exchange(body, receive, send)
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.abandoned and isinstance(message, JSONRPCRequest) and MCP_SESSION_ID_HEADER in Headers(scope=scope):
            await self._cancel(scope, message.id)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > _LONGEST_NUMBER or int(declared) > MAX_MESSAGE_BYTES):
            raise _BodyRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
        body = bytearray()
        more = True
        with anyio.move_on_after(self._body_seconds) as deadline:
            while more:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_MESSAGE_BYTES:
                    raise _BodyRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
                more = message.get("more_body", False)  # a client that has gone sends none, and half a message
        if deadline.cancelled_caught:
            raise _BodyRefused(HTTPStatus.REQUEST_TIMEOUT, "Invalid request: the body came too slowly")
        return bytes(body)

    async def _cancel(self, scope: Scope, id_: RequestId) -> None:
        """As the client itself would have told its session."""
        notification = JSONRPCNotification(
            jsonrpc="2.0", method="notifications/cancelled", params={"requestId": id_, "reason": "the client has gone"}
        )
        body = notification.model_dump_json(by_alias=True, exclude_unset=True).encode()
        exchange = _Exchange(body, _never, _nowhere)
        await self._app(scope, exchange.receive, exchange.send)


class _BodyRefused(MessageRefused):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(INVALID_REQUEST, message)
        self.status = status


def _status(refused: MessageRefused) -> HTTPStatus:
    if isinstance(refused, _BodyRefused):
        return refused.status
    stopping = refused.answer.error.code == SERVER_STOPPING
    return HTTPStatus.SERVICE_UNAVAILABLE if stopping else HTTPStatus.BAD_REQUEST


class _Exchange:
    """A request whose body has been read: it is handed on once, and what follows is watched."""

    def __init__(self, body: bytes, receive: Receive, send: Send) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._send = send
        self._answered = False
        self.abandoned = False

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._answered:
            self.abandoned = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True
        await self._send(message)


async def _never() -> Message:
    await anyio.sleep_forever()
    raise AssertionError  # to mypy, the line above may return


async def _nowhere(_message: Message) -> None:
    pass
