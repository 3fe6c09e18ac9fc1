"""MCP over the process's stdin and stdout, for the one caller that started the process.

The SDK writes stdout. This module reads stdin, because the SDK reads a line of any length, does not answer a malformed
one, and waits for no call at the end of input.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, cast

import anyio
import anyio.from_thread
from anyio.lowlevel import EventLoopToken, current_token
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, JSONRPCRequest, RequestId

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.store import StoreError
from roadster_server.store.lazy import LazyStore

from .large_messages import MOST_LARGE, LargeMessages, NoPlaceFree
from .messages import (
    MAX_MESSAGE_BYTES,
    NO_PLACE,
    NOT_NOW,
    TOO_LARGE,
    MessageRefused,
    read_message,
    refuse_while_stopping,
)
from .open_requests import TOO_MANY_OPEN, OpenRequests, cancelled_by
from .shutdown import Stop, drain

_BREATH = 0.05
"""Seconds between the list of tools and the opening of the store, for the list to be written out."""
DRAIN_SECONDS = 3.0
"""Seconds for calls to end by themselves, once the server is to stop."""
_EXIT_SECONDS = 4.75
"""Seconds from the request to stop to the end of the process. Hosts wait for about five."""
_STDIN = 0
_CHUNK = 64 * 1024
"""Bytes of one read."""


async def serve_stdio(
    server: Server[Any], calls: Calls, backend: Backend, on_serving: Callable[[], None] = lambda: None
) -> None:
    """Serves until stdin ends or a signal comes. A store that cannot be opened ends the process with 2.

    `on_serving` is called when a signal stops it, as opposed to ending the process at once.
    """
    stop = Stop(within=_EXIT_SECONDS, discard=backend.discard)
    to_sdk, lines = anyio.create_memory_object_stream[str]()
    to_introduction, introductions = anyio.create_memory_object_stream[SessionMessage | Exception]()
    stop.heed_signals()
    on_serving()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_open_store, calls.services.store)
            tasks.start_soon(backend.live.watch)
            # The SDK only iterates over the lines of its stdin.
            async with stdio_server(stdin=cast("Any", lines)) as (read, write):
                conversation = _Conversation(to_sdk, to_introduction, write, stop)
                tasks.start_soon(conversation.end, calls)
                # Nothing can wake a thread that reads stdin. The exit does not wait for a daemon.
                reader = threading.Thread(
                    target=_read_stdin, args=(conversation, current_token()), name="stdin", daemon=True
                )
                reader.start()
                async with write, anyio.create_task_group() as runs:
                    options = server.create_initialization_options()
                    runs.start_soon(server.run, introductions, conversation, options)
                    runs.start_soon(server.run, read, conversation, options)
            tasks.cancel_scope.cancel()
    except* OSError:  # stdout was closed, so nobody reads an answer any more
        stop.begin("the client has gone")


async def _open_store(store: LazyStore) -> None:
    # A person waits until the client has its list of tools, so the store is opened after that.
    await store.wanted_soon.wait()
    await anyio.sleep(_BREATH)
    try:
        await store.open()
    except StoreError as error:
        sys.stderr.write(f"roadster-mcp: {error}\n")
        os._exit(2)


class _Conversation:
    """The messages of both sides. It knows which requests are open, so that all are answered before the lines end.

    The SDK uses it as the stream of its answers.

    The SDK settles a connection's era at its first request, for good. Clients that ask by `server/discover` whether a
    server knows protocol 2026-07-28, and give up waiting, go on with `initialize`. So the first introductions go to a
    run of the SDK of their own, and the next request settles the era.
    """

    def __init__(
        self,
        to_sdk: MemoryObjectSendStream[str],
        to_introduction: MemoryObjectSendStream[SessionMessage | Exception],
        to_client: WriteStream[SessionMessage],
        stop: Stop,
    ) -> None:
        self._to_sdk = to_sdk
        self._to_introduction = to_introduction
        self._is_era_settled = False
        self._to_client = to_client
        self._stop = stop
        self._open = OpenRequests()
        self._large_messages = LargeMessages(most_of_a_caller=MOST_LARGE)  # there is no other caller

    async def take_line(self, line: bytes | None) -> None:
        """Hands a line of the client on, or refuses it. None stands for a line that was too long to hold."""
        if line is None:
            await self._refuse(MessageRefused(INVALID_REQUEST, TOO_LARGE))
            return
        if not line.strip():
            return
        try:
            message, text = read_message(line)
            if self._stop.requested.is_set():
                refuse_while_stopping(message)
            if isinstance(message, JSONRPCRequest):
                self._admit(message.id, len(line))
        except MessageRefused as refusal:
            await self._refuse(refusal)
            return
        self._open.settle(cancelled_by(message))
        if isinstance(message, JSONRPCRequest):
            self._is_era_settled = self._is_era_settled or message.method != "server/discover"
            if not self._is_era_settled:
                await self._to_introduction.send(SessionMessage(message))
                return
        await self._to_sdk.send(text.decode())

    def _admit(self, id_: RequestId, size: int) -> None:
        """Raises MessageRefused. It never waits: the lines behind this one may be what open requests wait for."""
        if self._open.is_full:
            raise MessageRefused(NOT_NOW, TOO_MANY_OPEN, id_)
        place = self._large_messages.place("")
        try:
            place.take_at_once(size)
        except NoPlaceFree:
            raise MessageRefused(NOT_NOW, NO_PLACE, id_) from None
        self._open.add(id_, place)

    async def _refuse(self, refusal: MessageRefused) -> None:
        await self._to_client.send(SessionMessage(refusal.answer))

    async def take_end(self) -> None:
        """Begins to stop, because there are no more lines."""
        self._stop.begin("end of input")

    async def end(self, calls: Calls) -> None:
        """Waits until the server is to stop, then for the open requests, and ends the lines."""
        await self._stop.requested.wait()
        await drain(calls, DRAIN_SECONDS, self._open.none)
        self._to_introduction.close()
        self._to_sdk.close()

    async def send(self, item: SessionMessage, /) -> None:
        await self._to_client.send(item)
        self._open.settle_answered(item.message)

    async def aclose(self) -> None:
        """Leaves the way to the client open, because another run of the SDK uses it too."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _read_stdin(conversation: _Conversation, loop: EventLoopToken) -> None:
    try:
        for line in _lines():
            anyio.from_thread.run(conversation.take_line, line, token=loop)
        anyio.from_thread.run(conversation.take_end, token=loop)
    except (anyio.RunFinishedError, anyio.ClosedResourceError, anyio.BrokenResourceError, CancelledError):
        pass  # the server has stopped


def _lines() -> Iterator[bytes | None]:
    """Yields the lines of stdin, and None instead of a line above the limit, which is never held."""
    line: bytearray | None = bytearray()
    while chunk := _read_chunk():
        first, *others = chunk.split(b"\n")
        line = _extend(line, first)
        for other in others:
            yield None if line is None else bytes(line)
            line = _extend(bytearray(), other)
    if line is None or line:
        yield None if line is None else bytes(line)


def _extend(line: bytearray | None, part: bytes) -> bytearray | None:
    if line is None or len(line) + len(part) > MAX_MESSAGE_BYTES:
        return None
    line += part
    return line


def _read_chunk() -> bytes:
    try:
        return os.read(_STDIN, _CHUNK)
    except OSError:  # stdin was closed before the start
        return b""
