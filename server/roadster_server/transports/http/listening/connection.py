"""One connection of a client. To uvicorn's it adds a place, a time for the head of a request, portions, and an end.

uvicorn waits for a head that never comes, and for an answer that nobody reads, as long as the client likes. It parses
at once all that has come, and it closes a connection whose client still sends, so that the client loses its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import h11
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from roadster_server.settings.sections.http import HttpSettings

from .connections import ConnectionPlace, Connections, TooManyConnections
from .parser import Parser, PortionQueue

HEAD_SECONDS = 10.0
"""Seconds for the head of a request, and for a client that still sends to read its last answer."""
UNREAD_SECONDS = 30.0
"""Seconds in which a client must read something of what waits for it. Then its connection ends."""
MOST_PIPELINED = 8
"""Requests that may come before the answer to the one before them. Then the connection ends with the last answer. No
client of MCP sends them."""
_FAREWELL_SECONDS = 1.0
"""Seconds for a client to read its refusal. A socket that is closed at once would lose it."""

_PLACE = "place"
_REFUSAL = b"too many connections\n"
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Retry-After: 10\r\nConnection: close\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)


@dataclass(frozen=True)
class ConnectionRules:
    """The rules and counts that all connections of a listener share. Above `most_refusals` at once, none is written."""

    connections: Connections
    settings: Callable[[], HttpSettings]
    most_refusals: int
    head_seconds: float = HEAD_SECONDS
    unread_seconds: float = UNREAD_SECONDS
    refusals: set[asyncio.BaseTransport] = field(default_factory=set)
    waiting: dict[ClientConnection, None] = field(default_factory=dict)
    """The connections on which no request is answered. The one that has waited longest comes first."""
    portions: PortionQueue = field(default_factory=PortionQueue)

    def end_longest_wait(self) -> None:
        if self.waiting:
            next(iter(self.waiting)).end()


def place_of(scope: Scope) -> ConnectionPlace | None:
    """Returns the place of the connection of a request. There is none if the request came over no socket."""
    place: ConnectionPlace | None = scope.get("state", {}).get(_PLACE)
    return place


class ClientConnection(H11Protocol):
    """The connection of a client. It answers requests that come at once one after another, as uvicorn does."""

    def __init__(self, rules: ConnectionRules, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.timeout_keep_alive = rules.settings().keep_alive_seconds
        self.conn: Parser = Parser()
        self.flow: _Flow
        self._rules = rules
        self._place: ConnectionPlace
        self._timer: asyncio.TimerHandle | None = None
        self._reading_check: asyncio.TimerHandle | None = None
        self._pipelined = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        peer = get_remote_addr(transport)
        try:
            self._place = self._rules.connections.take_place(peer[0] if peer else None, self._rules.end_longest_wait)
        except TooManyConnections:
            refusal = _Refusal(self._rules)
            transport.set_protocol(refusal)
            refusal.connection_made(transport)
            return
        # Every request of the connection gets a copy of it.
        self.app_state = {**self.app_state, _PLACE: self._place}
        super().connection_made(cast("asyncio.Transport", _Closing(transport, self._close)))
        self.flow = _Flow(transport)
        self._rules.waiting[self] = None
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_timer()
        self._stop_reading_check()
        self._rules.portions.discard(self.handle_events)
        self._rules.waiting.pop(self, None)
        self._place.free()

    def end(self) -> None:
        """Ends the connection, and frees its place at once."""
        self._rules.waiting.pop(self, None)
        self._place.free()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)

    def handle_events(self) -> None:
        """Parses a portion of what has come. No more is read before all is parsed."""
        self.conn.begin_portion()
        super().handle_events()
        if self.transport.is_closing():
            return
        self.flow.is_behind = self.conn.is_behind
        if self.conn.is_behind:
            self._rules.portions.add(self.handle_events)
        if self.cycle is not None and not self.cycle.response_complete:
            self._rules.waiting.pop(self, None)
        self._limit_wait()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Ends a request whose body has not come. uvicorn would cancel it, with an error in the log."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.close()
        else:
            super().shutdown()

    def _close(self, transport: asyncio.Transport) -> None:
        """Closes the transport. A client that still sends gets a while to read its answer first, and is not heard."""
        self._rules.portions.discard(self.handle_events)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.is_whole:
            transport.close()
            return
        self._rules.waiting[self] = None
        transport.write_eof()
        transport.resume_reading()
        self.loop.call_later(self._rules.head_seconds, transport.abort)

    def on_response_complete(self) -> None:
        cycle = self.cycle
        super().on_response_complete()
        self._pipelined = self._pipelined + 1 if self.cycle is not cycle else 0
        if self._pipelined >= MOST_PIPELINED:
            self.cycle.keep_alive = False
        if self.cycle.response_complete:
            self._rules.waiting[self] = None
        if self.transport.is_closing():
            self._expect_reading()
        self._limit_wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_reading_check()

    def _expect_reading(self) -> None:
        """Ends the connection if its client reads nothing for a while. Nothing is written meanwhile."""
        unread = self.transport.get_write_buffer_size()
        if unread and self._reading_check is None:
            self._reading_check = self.loop.call_later(self._rules.unread_seconds, self._check_reading, unread)

    def _check_reading(self, unread_before: int) -> None:
        self._reading_check = None
        if self.transport.get_write_buffer_size() >= unread_before:
            self.transport.abort()
        else:
            self._expect_reading()

    def _stop_reading_check(self) -> None:
        if self._reading_check is not None:
            self._reading_check.cancel()
            self._reading_check = None

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # also where the client does not read its last answer

    def _limit_wait(self) -> None:
        if not self._is_waiting:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    @property
    def _is_waiting(self) -> bool:
        """Returns whether a head has begun and is not whole."""
        return self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] != b""

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._rules.head_seconds, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Closing:
    """The transport of a connection, which is closed by `close`."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[asyncio.Transport], None]) -> None:
        self._transport = transport
        self._close = close
        self._is_closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if not self.is_closing():
            self._is_closing = True
            self._close(self._transport)

    def is_closing(self) -> bool:
        return self._is_closing or self._transport.is_closing()


class _Flow(FlowControl):
    """uvicorn's, with a second reason to read nothing: the parser `is_behind`."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_wanted = True
        self._is_behind = False

    @property
    def is_behind(self) -> bool:
        return self._is_behind

    @is_behind.setter
    def is_behind(self, is_behind: bool) -> None:
        self._is_behind = is_behind
        self._read_or_pause()

    def pause_reading(self) -> None:
        self._is_wanted = False
        self._read_or_pause()

    def resume_reading(self) -> None:
        self._is_wanted = True
        self._read_or_pause()

    def _read_or_pause(self) -> None:
        if self._is_wanted and not self._is_behind:
            super().resume_reading()
        else:
            super().pause_reading()


class _Refusal(asyncio.Protocol):
    """A connection without a place. It is told so, and ends."""

    def __init__(self, rules: ConnectionRules) -> None:
        self._rules = rules
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        self._transport = transport
        if len(self._rules.refusals) >= self._rules.most_refusals:
            transport.abort()
            return
        self._rules.refusals.add(transport)
        transport.write(_ANSWER)
        transport.write_eof()
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, transport.abort)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._rules.refusals.discard(self._transport)
