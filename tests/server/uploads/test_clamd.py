"""Scanning with clamd. A small server speaks its protocol, on a loopback port or at a Unix socket."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from roadster_server.uploads.acceptance import accept
from roadster_server.uploads.clamd import scan_with
from roadster_tools.failures import UnusableFile

from .pictures import picture

pytestmark = pytest.mark.anyio

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + rb"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


async def clamd(connection: ByteStream) -> None:
    """Answers one INSTREAM, as clamd's manual describes it."""
    async with connection:
        received = BufferedByteReceiveStream(connection)
        assert await received.receive_exactly(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack(">I", await received.receive_exactly(4))[0]:
            content += await received.receive_exactly(size)
        found = b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0"
        await connection.send(found[:9])
        await connection.send(found[9:])


@asynccontextmanager
async def listening(
    kind: str, folder: Path, answer: Callable[[ByteStream], Awaitable[None]] = clamd
) -> AsyncIterator[str]:
    """Yields the address of a scanner."""
    if kind == "unix":
        listener = await anyio.create_unix_listener(folder / "clamd.ctl")
        address = f"unix://{folder / 'clamd.ctl'}"
    else:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        address = f"tcp://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        yield address
        tasks.cancel_scope.cancel()
    await listener.aclose()


def replying(reply: bytes) -> Callable[[ByteStream], Awaitable[None]]:
    async def answer(connection: ByteStream) -> None:
        async with connection:
            await connection.receive()
            await connection.send(reply)

    return answer


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_clean_files_pass_and_a_virus_does_not(kind: str, tmp_path: Path) -> None:
    async with listening(kind, tmp_path) as address:
        scan = scan_with(address)
        await scan(b"a clean file" * 100_000)
        for infected in (EICAR, b"x" * 65_530 + EICAR):
            with pytest.raises(UnusableFile, match="has a virus"):
                await scan(infected)


async def test_a_picture_with_a_virus_behind_it_is_refused(tmp_path: Path) -> None:
    """It would not survive that the picture is written anew, but nobody should trust its device."""
    async with listening("tcp", tmp_path) as address:
        with pytest.raises(UnusableFile, match="has a virus"):
            await accept([picture("PNG") + EICAR], scan_with(address))


@pytest.mark.reliability("a clamd that answers with an error, or cut off", "no file is taken; the log has the reason")
@pytest.mark.parametrize("reply", [b"", b"INSTREAM size limit exceeded. ERROR\0", b"stream: ", b"x" * 5000])
async def test_a_scanner_that_does_not_scan_lets_nothing_pass(
    reply: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening("tcp", tmp_path, replying(reply)) as address:
        with pytest.raises(UnusableFile, match="cannot be scanned for viruses at the moment"):
            await scan_with(address)(b"a clean file")
    assert [record.message for record in caplog.records] == ["a file was not scanned"]


@pytest.mark.reliability("no clamd at `[uploads] clamd`", "no file is taken; the answer tells the person to try again")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "unix:///nowhere/clamd.ctl"])
async def test_without_its_scanner_nothing_passes(address: str) -> None:
    with pytest.raises(UnusableFile, match="cannot be scanned"):
        await scan_with(address)(b"a clean file")


async def test_without_the_setting_nothing_is_scanned() -> None:
    await scan_with(None)(EICAR)
