"""MCP over the process's stdin and stdout, for the one caller that started the process.

The SDK writes stdout. `stdin` reads stdin, because the SDK reads a line of any length, does not answer a malformed one,
and waits for no call at the end of input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token
from anyio.streams.memory import MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, JSONRPCError, JSONRPCRequest, JSONRPCResponse, RequestId

from roadster_server.backend import Backend
from roadster_server.calls.calls import Calls
from roadster_server.calls.warm_up import warm_up
from roadster_server.protocol.visible import tools_of
from roadster_server.settings.defaults import LOCAL_CALLER
from roadster_server.settings.live import LiveSettings
from roadster_server.store import StoreError

from .large_messages import MOST_LARGE, LargeMessages, NoPlaceFree
from .loopback_pages import LoopbackPages
from .message_size import TOO_LARGE
from .messages import NO_PLACE, NOT_NOW, MessageRefused, read_message, refuse_while_stopping
from .open_requests import TOO_MANY_OPEN, OpenRequests, cancelled_by
from .shutdown import Stop, drain
from .stdin import LineReceiver, Stdin

_BREATH = 0.05
"""Seconds between the list of tools and the opening of the store, for the list to be written out."""
_REST = 0.5
"""Seconds without a request, after which a client is taken to be idle."""
DRAIN_SECONDS = 3.0
"""Seconds for calls to end by themselves, once the server is to stop."""
_EXIT_SECONDS = 4.75
"""Seconds from the request to stop to the end of the process. Hosts wait for about five."""


async def serve_stdio(
    server: Server[Any],
    calls: Calls,
    backend: Backend,
    stdin: Stdin,
    pages: LoopbackPages,
    on_serving: Callable[[], None] = lambda: None,
) -> None:
    """Serves until stdin ends or a signal comes. A store that cannot be opened ends the process with 2.

    The pages for people end with it. `on_serving` is called when a signal stops it, as opposed to ending the process at
    once.
    """
    stop = Stop(within=_EXIT_SECONDS, discard=backend.discard)
    to_sdk, lines = anyio.create_memory_object_stream[str]()
    to_introduction, introductions = anyio.create_memory_object_stream[SessionMessage | Exception]()
    stop.heed_signals()
    on_serving()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(backend.live.watch)
            tasks.start_soon(pages.run, calls)
            # The SDK only iterates over the lines of its stdin.
            async with stdio_server(stdin=cast("Any", lines)) as (read, write):
                conversation = _Conversation(to_sdk, to_introduction, write, stop)
                tasks.start_soon(_get_ready, calls, backend.live, conversation.idle)
                tasks.start_soon(conversation.end, calls)
                async with write, anyio.create_task_group() as runs:
                    options = server.create_initialization_options()
                    runs.start_soon(server.run, introductions, conversation, options)
                    runs.start_soon(server.run, read, conversation, options)
                    for line in stdin.take_early_lines():
                        await conversation.take_line(line, is_answered=True)
                    run_here = partial(anyio.from_thread.run, token=current_token())
                    stdin.hand_on(
                        LineReceiver(
                            take=partial(run_here, conversation.take_line), end=partial(run_here, conversation.take_end)
                        )
                    )
            tasks.cancel_scope.cancel()
    except* OSError:  # stdout was closed, so nobody reads an answer any more
        stop.begin("the client has gone")


async def _get_ready(calls: Calls, live: LiveSettings, idle: Callable[[], Awaitable[None]]) -> None:
    """Opens the store and does what else the first call would wait for.

    A person waits until the client has its list of tools, so this begins after that.
    """
    store = calls.services.store
    await store.wanted_soon.wait()
    await anyio.sleep(_BREATH)
    try:
        await store.open()
    except StoreError as error:
        sys.stderr.write(f"roadster-mcp: {error}\n")
        os._exit(2)
    await warm_up(calls.services.gate, tools_of(live.current.caller(LOCAL_CALLER)), idle)


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
        self._requests = 0
        self._requests_before_rest = -1
        self._answered: set[RequestId] = set()
        self._large_messages = LargeMessages(most_of_a_caller=MOST_LARGE)  # there is no other caller

    async def take_line(self, line: bytes | None, *, is_answered: bool = False) -> None:
        """Hands a line of the client on, or refuses it. None stands for a line that was too long to hold.

        The client has the answer to one that `is_answered`, so it gets no other.
        """
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
            if not is_answered:
                await self._refuse(refusal)
            return
        self._open.settle(cancelled_by(message))
        if isinstance(message, JSONRPCRequest):
            self._requests += 1
            if is_answered:
                self._answered.add(message.id)
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

    async def idle(self) -> None:
        """Waits until the client is idle. It returns at once if no request has come since the last time."""
        while self._requests_before_rest != self._requests:
            self._requests_before_rest = self._requests
            await self._open.none()
            await anyio.sleep(_REST)

    async def end(self, calls: Calls) -> None:
        """Waits until the server is to stop, then for the open requests, and ends the lines."""
        await self._stop.requested.wait()
        await drain(calls, DRAIN_SECONDS, self._open.none)
        self._to_introduction.close()
        self._to_sdk.close()

    async def send(self, item: SessionMessage, /) -> None:
        message = item.message
        if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id in self._answered:
            self._answered.discard(message.id)
        else:
            await self._to_client.send(item)
        self._open.settle_answered(message)

    async def aclose(self) -> None:
        """Leaves the way to the client open, because another run of the SDK uses it too."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.aclose()
