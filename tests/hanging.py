"""An upstream that answers when it is told to, for calls that are in flight while something happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio


class HangingUpstream:
    """Holds every request back until `release` is set. The answer is an empty list."""

    def __init__(self) -> None:
        self.url = ""
        self.requested = anyio.Event()
        """Set when a request has come in."""
        self.disconnected = anyio.Event()
        """Set when a client has closed its connection before it was answered."""
        self.release = anyio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            self.requested.set()
            closing = asyncio.ensure_future(_until_closed(reader))
            releasing = asyncio.ensure_future(self.release.wait())
            await asyncio.wait({closing, releasing}, return_when=asyncio.FIRST_COMPLETED)
            if closing.done():
                self.disconnected.set()
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]")
            closing.cancel()
            releasing.cancel()
        writer.close()


async def _until_closed(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65536):
            pass


@asynccontextmanager
async def hanging_upstream() -> AsyncIterator[HangingUpstream]:
    upstream = HangingUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        upstream.release.set()
        server.close()
