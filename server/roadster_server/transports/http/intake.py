"""Checks a POST before a transport of the SDK reads it: whole in time, not too large, one sound message.

It also watches the answer. Where the client of a request has gone, a session of protocol 2025-11-25 is told to cancel
it: the SDK would let the call go on, and nobody could read its answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import anyio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PARAM_HEADER_PREFIX, encode_header_value
from mcp_types import INVALID_REQUEST, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, RequestId
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.request_body import BodyCutOff, BodyTooLarge, BodyTooSlow, read_body
from roadster_server.transports.large_messages import LargeMessages, MessagePlace, NoPlaceFree
from roadster_server.transports.message_id import find_id
from roadster_server.transports.message_size import MAX_MESSAGE_BYTES, TOO_LARGE
from roadster_server.transports.messages import (
    NO_PLACE,
    NOT_NOW,
    MessageRefused,
    SoundMessage,
    read_message,
    refuse_while_stopping,
)
from roadster_server.transports.open_requests import cancelled_by

from .refusing import refuse

BODY_SECONDS = 30.0
"""Seconds for a whole body. 4 MiB in that time need about one megabit a second."""

_INCOMING = "roadster_server.incoming"

DEALER_HEADER = f"{MCP_PARAM_HEADER_PREFIX}dealer".lower()
"""The header by which a gateway can route, as the mark in the listed schemas names it."""


@dataclass(frozen=True)
class Incoming:
    """The facts of a message for the transport behind the intake. One that answers elsewhere keeps the place."""

    request_id: RequestId | None
    """None where the message is no request."""
    cancelled_id: Any
    """The id of the request that the message cancels."""
    place: MessagePlace


def _headers_with_dealer(scope: Scope, message: JSONRPCMessage) -> list[tuple[bytes, bytes]]:
    """Returns the headers, with that of the dealer if it is missing.

    A client of 2026-07-28 reads in `tools/list` that it shall send it. A script that has not listed the tools cannot
    know, and the SDK would refuse its call.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    params = (message.params or {}) if isinstance(message, JSONRPCRequest) and message.method == "tools/call" else {}
    arguments = params.get("arguments")
    dealer = arguments.get("dealer") if isinstance(arguments, dict) else None
    if not isinstance(dealer, str) or DEALER_HEADER in Headers(scope=scope):
        return headers
    return [*headers, (DEALER_HEADER.encode(), encode_header_value(dealer).encode())]


def incoming_of(scope: Scope) -> Incoming:
    """Returns the facts of the message of a POST that the intake has let in."""
    incoming: Incoming = scope[_INCOMING]
    return incoming


class Intake:
    """An ASGI application in front of a transport. `is_stopping` tells when the server takes no more requests.

    A large message has one of the places of `large_messages` until its call ends. It is in the memory as long.
    """

    def __init__(
        self,
        app: ASGIApp,
        is_stopping: Callable[[], bool],
        large_messages: LargeMessages,
        *,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._is_stopping = is_stopping
        self._large_messages = large_messages
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if MCP_SESSION_ID_HEADER not in Headers(scope=scope):
            send = _hide_failed_session(send)
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        with self._large_messages.place(_caller()) as place:
            try:
                message, body = await self._take_message(scope, receive, place)
            except MessageRefused as refusal:
                await refuse(refusal, scope, receive, send, status=_status_of(refusal))
                return
            request_id = message.id if isinstance(message, JSONRPCRequest) else None
            if request_id is not None:
                send = _name_request(send, request_id)
            scope = {**scope, "headers": _headers_with_dealer(scope, message)}
            scope[_INCOMING] = Incoming(request_id, cancelled_by(message), place)
            exchange = _Exchange(body, receive, send)
            del body, message  # the transport parses the text again, and lets go of it before the call ends
            await self._app(scope, exchange.receive, exchange.send)
            if exchange.is_abandoned and request_id is not None and MCP_SESSION_ID_HEADER in Headers(scope=scope):
                await self._cancel(scope, request_id)

    async def _take_message(self, scope: Scope, receive: Receive, place: MessagePlace) -> SoundMessage:
        """Raises MessageRefused."""
        if not Headers(scope=scope).get("content-type", "").lower().startswith("application/json"):
            # The SDK would refuse it too, but not in JSON-RPC.
            problem = "Invalid request: the header Content-Type must be application/json"
            body = await self._read(scope, receive, place)
            raise _BodyRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem, find_id(body))
        sound = read_message(await self._read(scope, receive, place))
        if self._is_stopping():
            refuse_while_stopping(sound.message)
        return sound

    async def _read(self, scope: Scope, receive: Receive, place: MessagePlace) -> bytes:
        try:
            return await read_body(
                scope, receive, max_bytes=MAX_MESSAGE_BYTES, seconds=self._body_seconds, admit=place.wait
            )
        except NoPlaceFree:
            raise MessageRefused(NOT_NOW, NO_PLACE) from None
        except BodyTooLarge:
            raise _BodyRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE) from None
        except BodyTooSlow:
            raise _BodyRefused(HTTPStatus.REQUEST_TIMEOUT, "Invalid request: the body came too slowly") from None
        except BodyCutOff:
            raise _BodyRefused(HTTPStatus.BAD_REQUEST, "Invalid request: the body was cut off") from None

    async def _cancel(self, scope: Scope, id_: RequestId) -> None:
        """Cancels the request in its session, as a client that is still there would."""
        notification = JSONRPCNotification(
            jsonrpc="2.0", method="notifications/cancelled", params={"requestId": id_, "reason": "the client has gone"}
        )
        body = notification.model_dump_json(by_alias=True, exclude_unset=True).encode()
        exchange = _Exchange(body, _receive_for_ever, _drop)
        await self._app(scope, exchange.receive, exchange.send)


class _BodyRefused(MessageRefused):
    def __init__(self, status: HTTPStatus, message: str, id_: RequestId | float | None = None) -> None:
        super().__init__(INVALID_REQUEST, message, id_)
        self.status = status


def _status_of(refusal: MessageRefused) -> HTTPStatus:
    if isinstance(refusal, _BodyRefused):
        return refusal.status
    not_now = refusal.answer.error.code == NOT_NOW
    return HTTPStatus.SERVICE_UNAVAILABLE if not_now else HTTPStatus.BAD_REQUEST


def _caller() -> str:
    identity = get_access_token()
    return "" if identity is None else identity.client_id


class _Exchange:
    """A request with a body that has been read already. It hands the body on, and notices when the client goes."""

    def __init__(self, body: bytes, receive: Receive, send: Send) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._send = send
        self._is_complete = False
        self.is_abandoned = False
        """True once the client has gone before its answer was complete."""

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._is_complete:
            self.is_abandoned = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_complete = True
        await self._send(message)


def _hide_failed_session(send: Send) -> Send:
    """Takes a new session's id out of refusals. The SDK has ended the session, and a client would go on with it."""

    async def send_without(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
            del MutableHeaders(scope=message)[MCP_SESSION_ID_HEADER]
        await send(message)

    return send_without


def _name_request(send: Send, id_: RequestId) -> Send:
    """Puts the request's id into a refusal of the SDK, which has none where no session took the message."""
    start: Message | None = None

    async def send_with_id(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
            start = message
            return
        if start is not None and not message.get("more_body", False):
            message = {**message, "body": _with_id(message.get("body", b""), id_)}
            MutableHeaders(scope=start)["content-length"] = str(len(message["body"]))
        if start is not None:
            await send(start)
            start = None
        await send(message)

    return send_with_id


def _with_id(body: bytes, id_: RequestId) -> bytes:
    """Returns a JSON-RPC error without an id under this one, and anything else as it is."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    is_nameless = isinstance(answer, dict) and "error" in answer and answer.get("id") is None
    return json.dumps({**answer, "id": id_}, separators=(",", ":")).encode() if is_nameless else body


async def _receive_for_ever() -> Message:
    await anyio.sleep_forever()
    raise AssertionError  # mypy does not know that the line above never returns


async def _drop(_message: Message) -> None:
    pass
