"""Each caller's share of the sessions of protocol 2025-11-25.

The SDK has one limit for all callers together. A request without the id of a session opens one, if its answer is a
result. If its caller then has more than it may, the oldest idle one ends, as if its client had ended it. A client that
comes back to it gets 404 and opens another, as the protocol wants. The SDK answers a refused introduction with 200 and
the id of a session as well: that session ends, and its client does not learn the id.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

import anyio
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_client.json_text import parse_lenient_json
from roadster_server.identity.narrowing import Narrowing
from roadster_server.identity.tokens import caller_of
from roadster_server.settings.settings import Settings
from roadster_server.transports.messages import NOT_NOW, MessageRefused

from .narrowing import narrowings_of, serve_narrowed
from .refusing import refuse


class Sessions:
    """An ASGI application in front of the SDK's sessions."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings
        self._of_caller: defaultdict[str, list[_Session]] = defaultdict(list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if headers.get(MCP_PROTOCOL_VERSION_HEADER, HANDSHAKE_PROTOCOL_VERSIONS[0]) not in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._app(scope, receive, send)
            return
        sessions = self._of_caller[scope["user"].access_token.client_id]
        id_ = headers.get(MCP_SESSION_ID_HEADER)
        if id_ is None:
            await self._open(sessions, scope, receive, send)
            return
        session = next((session for session in sessions if session.id == id_), None)
        if session is None:  # the SDK says so
            await self._app(scope, receive, send)
            return
        with session.in_use(scope["method"]):
            send_of_session = partial(session.send, send, scope["method"])
            await serve_narrowed(self._app, session.narrowings, scope, receive, send_of_session)
        if session.has_ended and session in sessions:
            sessions.remove(session)

    async def _open(self, sessions: list[_Session], scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request that opens a session, if it succeeds. `sessions` are those of its caller."""
        if sum(not session.is_idle for session in sessions) >= self._share(scope):
            refusal = MessageRefused(NOT_NOW, "Too many sessions with a call under way; end one of them")
            await refuse(refusal, scope, receive, send)
            return
        session = _Session(narrowings_of(scope))
        sessions.append(session)
        opening = _Opening(session, send, on_open=partial(self._make_room, sessions, scope))
        try:
            with session.in_use("POST"):
                await self._app(scope, receive, opening.send)
        finally:
            if not opening.has_opened:
                sessions.remove(session)
                if session.id is not None:
                    with anyio.CancelScope(shield=True):
                        await self._end(session, scope)

    async def _make_room(self, sessions: list[_Session], scope: Scope) -> None:
        """Ends the oldest idle sessions of those that are too many, by a request of the caller as `scope` is one."""
        idle = sorted((session for session in sessions if session.is_idle), key=_Session.importance)
        for old in idle[: max(0, len(sessions) - self._share(scope))]:
            sessions.remove(old)
            await self._end(old, scope)

    async def _end(self, session: _Session, scope: Scope) -> None:
        """Ends the session, by a request of the caller as `scope` is one."""
        headers = [(MCP_SESSION_ID_HEADER.encode(), (session.id or "").encode())]
        await self._app({**scope, "method": "DELETE", "headers": headers}, _receive_empty_body, _drop)

    def _share(self, scope: Scope) -> int:
        return caller_of(self._settings(), scope["user"].access_token).sessions


class _Session:
    """One session. All its requests are narrowed as that one was which opened it."""

    def __init__(self, narrowings: tuple[Narrowing, ...]) -> None:
        self.narrowings = narrowings
        self.id: str | None = None
        """None until the SDK tells it."""
        self.has_ended = False
        self._messages = 0
        """Those that are being answered."""
        self._streams = 0
        self._last_use = 0.0

    @property
    def is_idle(self) -> bool:
        """Returns whether no message is being answered. A client that has forgotten a session may leave its stream."""
        return not self._messages

    def importance(self) -> tuple[bool, float]:
        """Returns what idle sessions are ordered by. The first of them ends first."""
        return bool(self._streams), self._last_use

    @contextmanager
    def in_use(self, method: str) -> Iterator[None]:
        is_stream = method == "GET"
        self._messages += not is_stream
        self._streams += is_stream
        try:
            yield
        finally:
            self._messages -= not is_stream
            self._streams -= is_stream
            self._last_use = time.monotonic()

    async def send(self, send: Send, method: str, message: Message) -> None:
        """Sends a part of an answer. Its head says whether the session has ended."""
        if message["type"] == "http.response.start":
            status = message["status"]
            self.has_ended = status == HTTPStatus.NOT_FOUND or (method == "DELETE" and status == HTTPStatus.OK)
        await send(message)


class _Opening:
    """The answer to a request that opens `session`. Its head waits for the body, which says whether it is open.

    `on_open` is called before the client learns the id.
    """

    def __init__(self, session: _Session, send: Send, on_open: Callable[[], Awaitable[None]]) -> None:
        self.has_opened = False
        self._session = session
        self._send = send
        self._on_open = on_open
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            if message["status"] < HTTPStatus.BAD_REQUEST:  # else the SDK has ended the session
                self._session.id = Headers(raw=message["headers"]).get(MCP_SESSION_ID_HEADER)
            return
        if self._head is not None:
            if message.get("body", b"").startswith(_COMMENT):
                return
            head, self._head = self._head, None
            if self._session.id is not None and _is_result(message.get("body", b"")):
                self.has_opened = True
                await self._on_open()
            else:
                del MutableHeaders(scope=head)[MCP_SESSION_ID_HEADER]
            await self._send(head)
        await self._send(message)


_COMMENT = b":"
"""The first character of a line that keeps a stream of events alive."""


def _is_result(event: bytes) -> bool:
    """Returns whether the JSON-RPC answer in an event of a stream is a result."""
    try:
        answer = parse_lenient_json(event.partition(b"data: ")[2])
    except ValueError:
        return False
    return isinstance(answer, dict) and "result" in answer


async def _receive_empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _drop(_message: Message) -> None:
    pass
