"""Reads the body of an HTTP request under limits, whatever its sender declares or how slowly it comes."""

from __future__ import annotations

import zlib

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

_LONGEST_NUMBER = 20
"""Digits of a Content-Length. No body has that many bytes, and int() refuses to read thousands of digits."""


class BodyTooLarge(Exception):
    """The body has more bytes than the limit."""


class BodyTooSlow(Exception):
    """The body did not come in time."""


class BodyCutOff(Exception):
    """The sender closed the connection within the body."""


class BodyNotGzip(Exception):
    """The body is not a whole gzip file."""


async def read_capped(scope: Scope, receive: Receive, *, max_bytes: int, seconds: float) -> bytes:
    """Returns the whole body. Raises BodyTooLarge, BodyTooSlow or BodyCutOff."""
    length = Headers(scope=scope).get("content-length", "")
    if length and (not length.isdecimal() or len(length) > _LONGEST_NUMBER or int(length) > max_bytes):
        raise BodyTooLarge
    body = bytearray()
    try:
        with anyio.fail_after(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyCutOff
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise BodyTooLarge
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise BodyTooSlow from None


def inflate_capped(body: bytes, *, max_bytes: int) -> bytes:
    """Returns what a gzip file of one or several parts holds. Inflates no more than the limit.

    Raises BodyTooLarge or BodyNotGzip.
    """
    contents = bytearray()
    while body:
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
    return bytes(contents)


_GZIP = 16 + zlib.MAX_WBITS
"""zlib's word for a file with the header and the checksum of gzip."""
