"""MCP over the process's stdin and stdout: one caller, the one that started the process.

The SDK writes stdout. Lines are read here, because the SDK reads them whole whatever their length,
answers nothing to a malformed one, and at the end of input waits for no call.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
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
from mcp_types import INVALID_REQUEST, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.store import StoreError
from roadster_server.store.lazy import LazyStore

from .messages import MAX_MESSAGE_BYTES, TOO_LARGE, MessageRefused, read_message, refuse_while_stopping
from .shutdown import Stop

_BREATH = 0.05
_DRAIN_SECONDS = 3.0
"""For calls to end by themselves, once the server is to stop."""
_INTERRUPTED_SECONDS = 1.0
"""For calls that were interrupted to be answered and to get on record."""
_EXIT_SECONDS = 4.75
_STDIN = 0
_CHUNK = 64 * 1024


async def serve_stdio(server: Server[Any], calls: Calls, backend: Backend) -> None:
    """Serves until stdin ends or a signal comes; a store that cannot be opened ends it with 2."""
    stop = Stop(within=_EXIT_SECONDS, discard=backend.discard)
    to_sdk, lines = anyio.create_memory_object_stream[str]()
    stop.heed_signals()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_open_store, calls.services.store)
            tasks.start_soon(backend.live.watch)
            # The SDK does no more with it than to iterate over its lines.
            async with stdio_server(stdin=cast("Any", lines)) as (read, write):
                conversation = _Conversation(to_sdk, write, stop)
                tasks.start_soon(conversation.drain, calls)
                # Nothing can wake a thread that reads stdin; a daemon is one that no exit waits for.
                reader = threading.Thread(
                    target=_read_stdin, args=(conversation, current_token()), name="stdin", daemon=True
                )
                reader.start()
                await server.run(read, conversation, server.create_initialization_options())
            tasks.cancel_scope.cancel()
    except* OSError:  # stdout was closed: nobody reads an answer any more
        stop.begin("the client has gone")


async def _open_store(store: LazyStore) -> None:
    # After the client has its list of tools: until then every millisecond is one that a person waits.
    await store.wanted_soon.wait()
    await anyio.sleep(_BREATH)
    try:
        await store.open()
    except StoreError as error:
        sys.stderr.write(f"roadster-mcp: {error}\n")
        os._exit(2)


class _Conversation:
    """What is said on both sides, so that each request is answered before the lines end.

    To the SDK it is the stream of its answers.
    """

    def __init__(self, to_sdk: MemoryObjectSendStream[str], to_client: WriteStream[SessionMessage], stop: Stop) -> None:
        self._to_sdk = to_sdk
        self._to_client = to_client
        self._stop = stop
        self._open: set[RequestId] = set()
        self._one_settled = anyio.Event()

    async def received(self, line: bytes | None) -> None:
        """Hands on a line of the client, or refuses it; None is one that was too long to keep."""
        if line is None:
            await self._refuse(MessageRefused(INVALID_REQUEST, TOO_LARGE))
            return
        if not line.strip():
            return
        try:
            message = read_message(line)
            if self._stop.requested.is_set():
                refuse_while_stopping(message)
        except MessageRefused as refused:
            await self._refuse(refused)
            return
        if isinstance(message, JSONRPCRequest):
            self._open.add(message.id)
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))  # it gets no answer
        await self._to_sdk.send(line.decode())

    async def _refuse(self, refused: MessageRefused) -> None:
        await self._to_client.send(SessionMessage(refused.answer))

    async def ended(self) -> None:
        """There are no more lines."""
        self._stop.begin("end of input")

    async def drain(self, calls: Calls) -> None:
        """Once the server is to stop: lets calls end, interrupts what is left, and ends the lines."""
        await self._stop.requested.wait()
        with anyio.move_on_after(_DRAIN_SECONDS):
            await self._settled()
        calls.interrupt()
        with anyio.move_on_after(_INTERRUPTED_SECONDS):
            await self._settled()
        self._to_sdk.close()

    async def send(self, item: SessionMessage, /) -> None:
        await self._to_client.send(item)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._settle(item.message.id)

    async def aclose(self) -> None:
        await self._to_client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _settle(self, id_: Any) -> None:
        if isinstance(id_, str | int):
            self._open.discard(id_)
            self._one_settled.set()

    async def _settled(self) -> None:
        while self._open:
            self._one_settled = anyio.Event()
            await self._one_settled.wait()


def _read_stdin(conversation: _Conversation, loop: EventLoopToken) -> None:
    try:
        for line in _lines():
            anyio.from_thread.run(conversation.received, line, token=loop)
        anyio.from_thread.run(conversation.ended, token=loop)
    except (anyio.RunFinishedError, anyio.ClosedResourceError, anyio.BrokenResourceError, CancelledError):
        pass  # the server has stopped


def _lines() -> Iterator[bytes | None]:
    """The lines of stdin, None in the place of one above the limit: it is never held."""
    line: bytearray | None = bytearray()
    while chunk := _chunk():
        first, *others = chunk.split(b"\n")
        line = _longer(line, first)
        for other in others:
            yield None if line is None else bytes(line)
            line = _longer(bytearray(), other)
    if line is None or line:
        yield None if line is None else bytes(line)


def _longer(line: bytearray | None, by: bytes) -> bytearray | None:
    if line is None or len(line) + len(by) > MAX_MESSAGE_BYTES:
        return None
    line += by
    return line


def _chunk() -> bytes:
    try:
        return os.read(_STDIN, _CHUNK)
    except OSError:  # closed before it was opened
        return b""
