"""An HTTP proxy on loopback, which tunnels every host to one port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext

import anyio
from anyio.streams.tls import TLSListener


class ConnectProxy:
    """A proxy that leads each CONNECT to `upstream_port`, or answers with `refusal`. `heads` holds what it was sent."""

    def __init__(self, upstream_port: int, refusal: bytes | None = None) -> None:
        self.heads: list[bytes] = []
        self.upstream_port = upstream_port
        self._refusal = refusal

    @property
    def targets(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads]

    @asynccontextmanager
    async def listen(self, context: SSLContext | None = None) -> AsyncIterator[int]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as tasks:
            tasks.start_soon(
                (TLSListener(tcp, context, standard_compatible=False) if context else tcp).serve, self._serve
            )
            yield tcp.extra(anyio.abc.SocketAttribute.local_port)
            tasks.cancel_scope.cancel()

    async def _serve(self, client: anyio.abc.ByteStream) -> None:
        async with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await client.receive()
            self.heads.append(head)
            if self._refusal is not None:
                await client.send(b"HTTP/1.1 " + self._refusal + b"\r\nContent-Length: 0\r\n\r\n")
                return
            async with await anyio.connect_tcp("127.0.0.1", self.upstream_port) as upstream:
                await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_copy, client, upstream)
                    await _copy(upstream, client)
                    tasks.cancel_scope.cancel()


async def _copy(source: anyio.abc.ByteStream, target: anyio.abc.ByteStream) -> None:
    try:
        async for part in source:
            await target.send(part)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
