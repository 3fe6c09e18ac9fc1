"""Forms with files that come in slowly. Runs in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from roadster_server.people.browsers import form_token
from roadster_server.people.file_forms import read_files
from roadster_server.people.forms import TOKEN_HEADER, FormRefused
from tests.upstreams import VIRTUAL_TIME

pytestmark = pytest.mark.anyio

KEY = b"k" * 32
MIB = 1024 * 1024
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
END = b"\r\n--x--\r\n"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


def request_with(pieces: AsyncIterator[bytes], token: str | None = None) -> Request:
    """Returns the request of a page's script whose body comes in these pieces."""
    headers = {
        "host": "127.0.0.1",
        "cookie": "roadster-80-browser=b",
        "content-type": "multipart/form-data; boundary=x",
    }
    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": [], "state": {}}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    token = form_token(Request(scope), KEY) if token is None else token
    scope["headers"].append((TOKEN_HEADER.encode(), token.encode()))

    async def receive() -> Message:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    return Request(scope, receive)


async def body_of(size: int, *, bytes_a_second: int) -> AsyncIterator[bytes]:
    yield HEAD
    for start in range(0, size, bytes_a_second):
        await anyio.sleep(1)
        yield bytes(min(bytes_a_second, size - start))
    yield END


async def test_a_phone_with_a_megabit_a_second_hands_over_its_photos() -> None:
    size = 20 * MIB
    (file,) = await read_files(request_with(body_of(size, bytes_a_second=125_000)), KEY)
    assert len(file.content) == size
    assert anyio.current_time() > 160


async def test_a_phone_that_finds_its_network_late_hands_over_its_photo() -> None:
    async def late() -> AsyncIterator[bytes]:
        await anyio.sleep(15)
        async for piece in body_of(3 * MIB, bytes_a_second=125_000):
            yield piece

    (file,) = await read_files(request_with(late()), KEY)
    assert len(file.content) == 3 * MIB


@pytest.mark.parametrize(("bytes_a_second", "end"), [(0, 20), (1000, 20), (16_000, 20)])
async def test_a_form_that_trickles_gives_its_place_away_soon(bytes_a_second: int, end: int) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield HEAD
        while True:
            await anyio.sleep(1)
            if bytes_a_second:
                yield bytes(bytes_a_second)

    with pytest.raises(FormRefused, match="came in too slowly") as refusal:
        await read_files(request_with(trickle()), KEY)
    assert refusal.value.status == 408
    assert anyio.current_time() == pytest.approx(end, abs=1)


async def test_a_form_that_stops_after_a_good_start_gives_its_place_away() -> None:
    """What came before counts: 1 MiB pays for 64 seconds."""

    async def stop() -> AsyncIterator[bytes]:
        yield HEAD + bytes(MIB)
        await anyio.sleep_forever()

    with pytest.raises(FormRefused, match="came in too slowly"):
        await read_files(request_with(stop()), KEY)
    assert anyio.current_time() == pytest.approx(64, abs=1)


async def test_a_wrong_token_in_the_header_is_refused_before_the_body_is_read() -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body is read")
        yield b""

    with pytest.raises(FormRefused) as refusal:
        await read_files(request_with(unread(), token="0" * 64), KEY)
    assert refusal.value.status == 403
