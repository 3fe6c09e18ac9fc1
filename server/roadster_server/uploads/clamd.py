"""Scans files with clamd, the daemon of ClamAV, by its command INSTREAM. A file that cannot be scanned is refused."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from anyio.abc import ByteStream

from roadster_server.telemetry.logs import log
from roadster_tools.failures import UnusableFile

from .acceptance import Scan

_SECONDS = 30.0
"""For one file. ClamAV scans ten megabytes within a second or two."""

_CHUNK_BYTES = 64 * 1024
_LONGEST_REPLY = 4096

_CLEAN, _INFECTED = b"stream: OK\0", b" FOUND\0"

_NOT_SCANNED = "cannot be scanned for viruses at the moment; try again later, or tell the server's operator"


class ScanFailed(Exception):
    """clamd does not answer, or not as it should. The text says what is wrong, for an operator."""


def scan_with(address: str | None) -> Scan:
    """Returns the function that scans with the clamd at the address. Without one it scans nothing."""

    async def scan(content: bytes) -> None:
        if address is None:
            return
        try:
            is_clean = await is_clean_by(address, content)
        except ScanFailed as error:
            log.error("a file was not scanned", extra={"reason": str(error)})
            raise UnusableFile(_NOT_SCANNED) from None
        if not is_clean:
            log.warning("a file with a virus was refused")
            raise UnusableFile("has a virus, says the scanner; delete it, and have the device looked at")

    return scan


async def is_clean_by(address: str, content: bytes) -> bool:
    """Returns whether the clamd at the address finds nothing in the file. Raises ScanFailed."""
    try:
        with anyio.fail_after(_SECONDS):
            async with _connected(address) as clamd:
                await clamd.send(b"zINSTREAM\0")
                for start in range(0, len(content), _CHUNK_BYTES):
                    chunk = content[start : start + _CHUNK_BYTES]
                    await clamd.send(struct.pack(">I", len(chunk)) + chunk)
                await clamd.send(struct.pack(">I", 0))
                reply = await _reply(clamd)
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):  # a TimeoutError is an OSError
        raise ScanFailed("clamd does not answer at [uploads] clamd; start it, or correct the address") from None
    if reply == _CLEAN:
        return True
    if reply.startswith(b"stream: ") and reply.endswith(_INFECTED):
        return False
    raise ScanFailed("clamd does not scan: its StreamMaxLength may be less than 10M, or it is no clamd; see its log")


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[ByteStream]:
    parts = urlsplit(address)
    connection: ByteStream
    if parts.scheme == "unix":
        connection = await anyio.connect_unix(parts.path)
    else:
        connection = await anyio.connect_tcp(parts.hostname or "", parts.port or 0)
    async with connection:
        yield connection


async def _reply(clamd: ByteStream) -> bytes:
    reply = b""
    try:
        while not reply.endswith(b"\0") and len(reply) < _LONGEST_REPLY:
            reply += await clamd.receive()
    except anyio.EndOfStream:
        pass
    return reply
