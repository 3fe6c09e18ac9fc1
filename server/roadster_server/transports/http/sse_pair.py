"""The legacy SSE pair, `/sse` and `/messages`.

A POST to `/messages` is answered in the stream of `/sse`, and ends before its call does. So the stream knows which
requests are open, and keeps the places of their messages. The stream's narrowings are theirs too: the URL of
`/messages` comes from the SDK, and lacks the query of `/sse`.
"""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from roadster_server.identity.narrowing import Narrowing
from roadster_server.transports.messages import NOT_NOW, MessageRefused
from roadster_server.transports.open_requests import TOO_MANY_OPEN, OpenRequests

from .intake import Incoming, incoming_of
from .narrowing import narrowings_of, serve_narrowed
from .refusing import refuse

_SESSION = re.compile(rb"session_id=([0-9a-f]{32})")
"""The session in the first event of a stream, which tells the client where to send its messages."""


class SsePair:
    """Two ASGI applications: `open_stream`, and `take_message` behind an intake."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._sse = SseServerTransport("/messages/")
        self._open: dict[str, tuple[OpenRequests, tuple[Narrowing, ...]]] = {}
        """The open requests and the narrowings of each stream, by its session."""

    async def open_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        requests = OpenRequests()
        session = ""

        async def learn_session(message: Message) -> None:
            nonlocal session
            if not session and (found := _SESSION.search(message.get("body", b""))):
                session = found[1].decode()
                self._open[session] = requests, narrowings_of(scope)
            await send(message)

        try:
            async with self._sse.connect_sse(scope, receive, learn_session) as (read, write):
                answers = _Answers(write, requests)
                await self._server.run(read, answers, self._server.create_initialization_options())
        finally:
            self._open.pop(session, None)
            requests.settle_all()

    async def take_message(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = incoming_of(scope)
        stream = self._open.get(_session_of(scope))
        if stream is None:  # the SDK says so
            await self._sse.handle_post_message(scope, receive, send)
            return
        requests, narrowings = stream
        if incoming.request_id is not None and requests.is_full:
            await refuse(MessageRefused(NOT_NOW, TOO_MANY_OPEN, incoming.request_id), scope, receive, send)
        else:
            hand_on = partial(self._hand_on, incoming, requests)
            await serve_narrowed(hand_on, narrowings, scope, receive, send)

    async def _hand_on(
        self, incoming: Incoming, requests: OpenRequests, scope: Scope, receive: Receive, send: Send
    ) -> None:
        is_accepted = False

        async def look_at_status(message: Message) -> None:
            nonlocal is_accepted
            is_accepted = is_accepted or message.get("status") == HTTPStatus.ACCEPTED
            await send(message)

        if incoming.request_id is not None:
            requests.add(incoming.request_id, incoming.place)
        try:
            await self._sse.handle_post_message(scope, receive, look_at_status)
        finally:
            if incoming.request_id is not None and not is_accepted:  # another caller's session, for example
                requests.discard(incoming.request_id, incoming.place)
        if is_accepted:
            requests.settle(incoming.cancelled_id)


class _Answers:
    """The stream of the server's messages to one client. An answer settles its request."""

    def __init__(self, inner: WriteStream[SessionMessage], requests: OpenRequests) -> None:
        self._inner = inner
        self._requests = requests

    async def send(self, item: SessionMessage, /) -> None:
        await self._inner.send(item)
        self._requests.settle_answered(item.message)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _session_of(scope: Scope) -> str:
    """Returns the session that a POST names, in the form of `_SESSION`. The SDK reads other forms as well."""
    try:
        return UUID(hex=Request(scope).query_params.get("session_id", "")).hex
    except ValueError:
        return ""
