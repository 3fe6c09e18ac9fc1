"""Reads the body of an HTTP request under limits, whatever its sender declares or how slowly it comes."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

_LONGEST_NUMBER = 20
"""Digits of a Content-Length. No body has that many bytes, and int() refuses to read thousands of digits."""

_START_SECONDS = 20.0
"""Seconds in which a sender may be slower than the least speed. A phone may look for its network first."""

_GZIP = 16 + zlib.MAX_WBITS
"""zlib's word for a file with the header and the checksum of gzip."""

_MOST_PARTS = 16
"""Parts of a gzip file. Senders write one. Each costs a copy of all that follow, so 50,000 empty ones take a second."""


class BodyTooLarge(Exception):
    """The body has more bytes than the limit."""


class BodyTooSlow(Exception):
    """The body did not come in time."""


class BodyCutOff(Exception):
    """The sender closed the connection within the body."""


class BodyNotGzip(Exception):
    """The body is not a whole gzip file, or one of too many parts."""


async def _admit(size: int) -> None:
    """Lets a body of any size in."""


async def read_body(
    scope: Scope,
    receive: Receive,
    *,
    max_bytes: int,
    seconds: float,
    least_speed: int | None = None,
    admit: Callable[[int], Awaitable[None]] = _admit,
) -> bytes:
    """Returns the whole body. Raises BodyTooLarge, BodyTooSlow or BodyCutOff, and what `admit` raises.

    `admit` is called with the number of bytes that the body has at least. It may wait before more are read. Its time
    does not count as time of the sender. After a start of 20 seconds, a body that has come in with fewer than
    `least_speed` bytes a second is too slow.
    """
    await admit(_declared_length(scope, max_bytes))
    body = bytearray()
    more = True
    spent = 0.0
    while more:
        limit = seconds if least_speed is None else min(seconds, max(_START_SECONDS, len(body) / least_speed))
        start = anyio.current_time()
        try:
            with anyio.fail_after(limit - spent):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        spent += anyio.current_time() - start
        if message["type"] == "http.disconnect":
            raise BodyCutOff
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLarge
        await admit(len(body))
        more = message.get("more_body", False)
    return bytes(body)


def _declared_length(scope: Scope, max_bytes: int) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or len(length) > _LONGEST_NUMBER or int(length) > max_bytes:
        raise BodyTooLarge
    return int(length)


def inflate_capped(body: bytes, *, max_bytes: int) -> bytes:
    """Returns what a gzip file of one or a few parts holds. Inflates no more than the limit.

    Raises BodyTooLarge or BodyNotGzip.
    """
    contents = bytearray()
    for _ in range(_MOST_PARTS):
        part = zlib.decompressobj(wbits=_GZIP)
        try:
            contents += part.decompress(body, max_bytes + 1 - len(contents))
        except zlib.error:
            raise BodyNotGzip from None
        if len(contents) > max_bytes:
            raise BodyTooLarge
        if not part.eof:
            raise BodyNotGzip
        body = part.unused_data
        if not body:
            return bytes(contents)
    raise BodyNotGzip
