"""The parser of requests, h11, in small portions and under limits of its own.

h11 takes microseconds for each line and each chunk, and has no limit of their number. 256 KiB of chunks of one byte
took it a second, in which nobody else was served. Many blanks with a NUL behind them take it the square of their
number.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import h11

MOST_CHUNKS = 10_000
"""Chunks of a body. One of 4 MiB then has 420 bytes a chunk."""
MOST_LINES = 100
"""Header lines of a request."""
_EVENTS = 16
"""Events of a portion, which take less time than a request. An event is a head, a chunk, or the end of a body."""
_BYTES = 16 * 1024
"""Bytes of a portion, and of a head that is not whole."""

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_MANY_BLANKS = re.compile(rb"[ \t]{100}")
_LAST_CHUNK = re.compile(rb"(?:\r?\n)?0+[ \t]*(?:;[^\n]*)?\r\n")
"""Behind the end of the chunk before it, or half of that end."""


class Parser(h11.Connection):
    """h11 for a server. After a portion it says that it needs data, and `is_behind` says whether it has some."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _BYTES)
        self._unread = b""
        self._events_left = 0
        self._needs_data = True
        self._chunks = 0
        self._is_between_chunks = False

    @property
    def is_whole(self) -> bool:
        """Returns whether the last request is whole, and nothing came behind it."""
        is_heard = self.their_state not in {h11.SEND_BODY, h11.ERROR}
        return is_heard and not self._unread and not self.trailing_data[0]

    @property
    def is_behind(self) -> bool:
        return not self._events_left or (self._needs_data and bool(self._unread))

    def receive_data(self, data: bytes) -> None:
        self._unread += data

    def begin_portion(self) -> None:
        self._events_left = _EVENTS
        portion, self._unread = self._unread[:_BYTES], self._unread[_BYTES:]
        if portion:  # h11 takes nothing for the end
            super().receive_data(portion)

    def next_event(self) -> Any:
        """Raises h11.RemoteProtocolError."""
        if not self._events_left:
            return h11.NEED_DATA
        self._events_left -= 1
        if self.their_state is h11.IDLE:
            _check_head(self.trailing_data[0])
        event = h11.NEED_DATA if self._is_within_end() else super().next_event()
        self._needs_data = event is h11.NEED_DATA
        if isinstance(event, h11.Request):
            self._chunks = 0
            self._is_between_chunks = any(name == b"transfer-encoding" for name, _ in event.headers)
        elif isinstance(event, h11.Data):
            self._is_between_chunks = bool(event.chunk_end)
            self._chunks += event.chunk_start
            if self._chunks > MOST_CHUNKS:
                raise h11.RemoteProtocolError("too many chunks")
        return event

    def send(self, event: Any) -> Any:
        """Tells a client whose body has not ended that its answer is the last one on this connection."""
        if isinstance(event, h11.Response) and self.their_state is h11.SEND_BODY:
            headers = [*event.headers, (b"connection", b"close")]
            event = h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
        return super().send(event)

    def _is_within_end(self) -> bool:
        """Returns whether a chunked body ends, and its last line is not whole. Raises h11.RemoteProtocolError.

        Trailers are refused. They are as slow as a head, no client of MCP sends them, and nobody reads them.
        """
        if not self._is_between_chunks or self.their_state is not h11.SEND_BODY:
            return False
        data = self.trailing_data[0]
        last_chunk = _LAST_CHUNK.match(data)
        if last_chunk is None:
            return False
        rest = data[last_chunk.end() :]
        if rest not in (b"", b"\r") and not rest.startswith((b"\n", b"\r\n")):
            raise h11.RemoteProtocolError("trailers are not read")
        return rest in (b"", b"\r")


class PortionQueue:
    """The next portions of connections that are behind, as functions that parse them.

    Each step of the loop takes one of them, so that others are served however many they are.
    """

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}
        self._is_called = False

    def add(self, parse: Callable[[], None]) -> None:
        self._waiting[parse] = None
        self._call_soon()

    def discard(self, parse: Callable[[], None]) -> None:
        self._waiting.pop(parse, None)

    def _call_soon(self) -> None:
        if self._waiting and not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._parse_next)

    def _parse_next(self) -> None:
        self._is_called = False
        parse = next(iter(self._waiting), None)
        if parse is not None:
            del self._waiting[parse]
            try:
                parse()
            finally:
                self._call_soon()


def _check_head(data: bytes) -> None:
    """Raises h11.RemoteProtocolError for a head that is whole and would take h11 long."""
    end = _END_OF_HEAD.search(data)
    if end is not None:
        head = data[: end.start()]
        if head.count(b"\n") > MOST_LINES or _MANY_BLANKS.search(head):
            raise h11.RemoteProtocolError("a head of too many lines or blanks", error_status_hint=431)
