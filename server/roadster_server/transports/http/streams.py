"""The streams of clients. Each ends with the right to it.

A stream, GET on `/mcp`, `/sse` or `subscriptions/listen`, is opened with a token and may stay open for hours.
Meanwhile the token may expire or be taken out of the configuration, and its caller may lose a dealer or a tool. The
stream then ends like one that its client has closed, so that nobody is told anything more. A client that still has
rights opens it again.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, cast

import anyio
import anyio.lowlevel
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.shared.inbound import MCP_METHOD_HEADER
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadster_server.identity.claims import LEEWAY_SECONDS
from roadster_server.identity.revocations import Revocations
from roadster_server.identity.tokens import SCOPE, Identity, StaleToken, caller_of
from roadster_server.protocol.visible import tools_of
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.logs import log, log_crash
from roadster_server.transports.messages import NOT_NOW, STOPPING, MessageRefused
from roadster_tools import Caller

from .guards import BearerGuard
from .listening.connection import place_of
from .listening.connections import Limit, TooManyConnections
from .refusing import refuse

LOOK_EVERY = 0.5
"""Seconds between two looks at the rights of the open streams."""
_STALE_SECONDS = 30.0
"""Seconds until a token is checked again whose issuer did not answer."""
_FAREWELL_SECONDS = 1.0
"""Seconds for the last bytes of a stream. A client that does not read loses them."""


class Streams:
    """The open streams of this process. All end once `ending` is set, and none begins."""

    def __init__(self, live: LiveSettings, guard: BearerGuard, revocations: Revocations, ending: anyio.Event) -> None:
        self._live = live
        self._guard = guard
        self._revocations = revocations
        self._ending = ending
        self._open: set[_Stream] = set()

    async def run(self) -> None:
        """Ends the streams that nobody has a right to any more, and at the end all of them."""
        async with anyio.create_task_group() as checks:
            while not self._ending.is_set():
                with anyio.move_on_after(LOOK_EVERY):
                    await self._ending.wait()
                settings, number = self._live.current, self._revocations.number
                for stream in [stream for stream in self._open if stream.is_doubtful(settings, number)]:
                    stream.settings, stream.revocations, stream.next_look = settings, number, math.inf
                    checks.start_soon(self._check, stream)
                    await anyio.lowlevel.checkpoint()  # calls have their turns between a thousand checks
        # uvicorn would cancel them, with an error in the log for each.
        for stream in self._open:
            stream.cut()

    def guard(self, app: ASGIApp) -> ASGIApp:
        """Returns an application that ends the answers of `app` with the right to them. Each of them is a stream."""
        return partial(self._serve, app)

    def guard_mcp(self, app: ASGIApp) -> ASGIApp:
        """Returns the same for `/mcp`, where only some requests open a stream."""
        guarded = self.guard(app)

        async def guarded_mcp(scope: Scope, receive: Receive, send: Send) -> None:
            await (guarded if _opens_stream(scope) else app)(scope, receive, send)

        return guarded_mcp

    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if self._ending.is_set():
            await refuse(MessageRefused(NOT_NOW, STOPPING), scope, receive, send)
            return
        stream = _Stream(scope, receive, send, self._live.current)
        with ExitStack() as stack:
            try:
                self._admit(stream, stack)
            except MessageRefused as refusal:
                await refuse(refusal, scope, receive, send)
                return
            await app(scope, stream.receive, stream.send)
        if stream.is_cut:
            await stream.complete()

    def _admit(self, stream: _Stream, stack: ExitStack) -> None:
        """Counts the stream until the end of `stack`. Raises MessageRefused."""
        caller = caller_of(self._live.current, stream.identity)
        if sum(other.principal == stream.principal for other in self._open) >= caller.streams:
            raise _too_many(Limit(caller.streams, caller.setting("streams")))
        place = place_of(stream.scope)
        if place is not None:
            try:
                stack.enter_context(place.as_stream())
            except TooManyConnections as error:
                raise _too_many(error.limit) from None
        self._open.add(stream)
        stack.callback(self._open.discard, stream)

    async def _check(self, stream: _Stream) -> None:
        if stream.has_rights(self._live.current) and await self._has_token(stream):
            return
        log.info(
            "stream ended, its token is gone, or a dealer, a tool or contact data of its caller",
            extra={"caller": stream.caller},
        )
        stream.cut()

    async def _has_token(self, stream: _Stream) -> bool:
        """Returns whether a request with the stream's headers would still be the same caller's."""
        try:
            identity = await self._guard.authenticate(HTTPConnection(stream.scope))
        except Exception as error:  # noqa: BLE001 - it would end the checks of all streams
            log_crash(error)
            return False
        if identity is None:
            return False
        credentials, user = identity
        if not isinstance(user, AuthenticatedUser):
            return False
        if isinstance(user.access_token, StaleToken):
            log.warning("stream's issuer does not answer", extra={"caller": stream.caller})
            stream.next_look = time.monotonic() + _STALE_SECONDS
        return SCOPE in credentials.scopes and user.access_token.client_id == stream.principal


class _Stream:
    """One stream. `settings` are those that it was last checked with, and `revocations` the number of their list.

    `next_look` is when it is checked anyway.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        user: AuthenticatedUser = scope["user"]
        self.scope = scope
        self.identity = cast("Identity", user.access_token)
        self.settings = settings
        self.revocations = self.identity.revocations
        self.next_look = math.inf
        self.is_cut = False
        self._receive = receive
        self._send = send
        caller = caller_of(settings, self.identity)
        self.caller = caller.name
        self._rights = _Rights.of(caller)
        self._expires = _expiry_of(user)
        self._waiting: anyio.CancelScope | None = None
        self._is_started = self._is_complete = False

    @property
    def principal(self) -> str:
        return self.identity.client_id

    def is_doubtful(self, settings: Settings, revocations: int) -> bool:
        """Returns whether anything has changed since the last check. A few reads of attributes, for most streams."""
        is_due = time.monotonic() >= self.next_look
        is_changed = settings is not self.settings or revocations != self.revocations
        return not self.is_cut and (is_changed or self._is_expired or is_due)

    def has_rights(self, settings: Settings) -> bool:
        return not self._is_expired and self._rights.are_within(_Rights.of(caller_of(settings, self.identity)))

    @property
    def _is_expired(self) -> bool:
        return self._expires is not None and time.time() >= self._expires

    def cut(self) -> None:
        """Tells the application that the client has gone."""
        self.is_cut = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def receive(self) -> Message:
        if not self.is_cut:
            with anyio.CancelScope() as self._waiting:
                return await self._receive()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_started = True
        elif not message.get("more_body", False):
            self._is_complete = True
        await self._send(message)

    async def complete(self) -> None:
        """Ends the answer as HTTP wants it, where the application took the client for gone."""
        with anyio.move_on_after(_FAREWELL_SECONDS):
            if not self._is_started:
                await Response(status_code=HTTPStatus.UNAUTHORIZED)(self.scope, self._receive, self._send)
            elif not self._is_complete:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_many(limit: Limit) -> MessageRefused:
    return MessageRefused(NOT_NOW, f"Too many streams: {limit.name} allows {limit.number:,}; end one of them")


def _opens_stream(scope: Scope) -> bool:
    # The SDK refuses a request of protocol 2026-07-28 if this header does not name the method of its message.
    return scope["method"] == "GET" or Headers(scope=scope).get(MCP_METHOD_HEADER) == "subscriptions/listen"


class _Rights(NamedTuple):
    """The rights of a caller. The streams of all callers of a group share one set of its dealers."""

    tools: frozenset[str]
    dealers: frozenset[str]
    contact_data: bool

    @classmethod
    def of(cls, caller: Caller) -> _Rights:
        return cls(frozenset(tool.name for tool in tools_of(caller)), caller.dealer_set, caller.sees_contact_data)

    def are_within(self, others: _Rights) -> bool:
        has_data = others.contact_data or not self.contact_data
        return has_data and self.tools <= others.tools and self.dealers <= others.dealers


def _expiry_of(user: AuthenticatedUser) -> float | None:
    """Returns when a JWT expires. One that already has, and is taken for the clocks' difference, has that long."""
    accepted_until = user.access_token.expires_at
    if accepted_until is None:
        return None
    expiry = accepted_until - LEEWAY_SECONDS
    return expiry if expiry > time.time() else accepted_until
