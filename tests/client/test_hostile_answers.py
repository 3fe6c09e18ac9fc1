"""Answers made to harm. None takes memory, time or credentials, and each ends as one typed error."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest

from roadster_client import ClientError, ForeignDealer, MalformedAnswer, RequestRefused
from roadster_client.json_text import MAX_VALUES
from roadster_client.upstream.response import MAX_ANSWER_BYTES
from roadster_sandbox import SandboxTransport
from roadster_tools import failure
from tests.conftest import Connect, World, kind_of, text_of
from tests.upstreams import VIRTUAL_TIME, WatchedNetwork, error_of, open_clients, reply

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability

FLAT = 3 * MAX_ANSWER_BYTES
"""Bytes: the answer as it is received, a second time as it is parsed, and as much again for the sandbox."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def error_and_peak(network: httpx2.AsyncBaseTransport) -> tuple[ClientError | None, int]:
    """Returns the error of a read over `network`, and the bytes of memory at its peak."""
    async with open_clients(network) as client_for:
        tracemalloc.start()
        error = await error_of(client_for().list_inventory(size=100))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return error, peak


class EndlessBody(httpx2.AsyncByteStream):
    """A body that sends one chunk after the other without end."""

    def __init__(self, first: bytes, chunk: bytes) -> None:
        self._first = first
        self._chunk = chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        while True:
            await anyio.lowlevel.checkpoint()
            yield self._chunk


def endless_network(first: bytes, chunk: bytes, **headers: str) -> WatchedNetwork:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=headers, stream=EndlessBody(first, chunk))

    return WatchedNetwork(answer)


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        *((fault, MalformedAnswer) for fault in ("huge", "gzip_bomb", "deep")),
        ("huge_number", type(None)),  # it is left out, and the rest is read
    ],
)
@reliability(
    "an answer without end, a bomb, deep nesting, a huge number", "memory stays within three times the 8 MiB cap"
)
async def test_answer_memory_stays_within_the_cap(fault: str, error_type: type, world: World) -> None:
    await world.fault("*", fault)
    error, peak = await error_and_peak(SandboxTransport(world.app))
    assert type(error) is error_type
    assert peak < FLAT


FULL = b",".join([b"{}"] * (MAX_VALUES // 2 - 2))
"""The largest number of values that is parsed."""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" + b",".join([b"{}"] * 1_000_000) + b"]", id="empty objects"),
        pytest.param(b'{"vehicles":[' + b",".join([b"[]"] * 1_000_000) + b"]}", id="empty lists"),
        pytest.param(b'{"vehicles":[' + b",".join([b"1"] * 3_000_000) + b"]}", id="numbers"),
        pytest.param(b"{" + b",".join(b'"%d":0' % n for n in range(400_000)) + b"}", id="fields"),
        pytest.param(b'{"vehicles":[' + FULL + b"]}", id="as many as are parsed"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
@reliability("an answer of millions of values", "is not parsed: above 100,000 values it is a malformed answer")
async def test_answer_of_millions_of_values_is_not_parsed(body: bytes, status: int) -> None:
    """Parsing three megabytes of values would take 330 MB, and stop all other calls for seconds."""

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(body, status)

    error, peak = await error_and_peak(WatchedNetwork(answer))
    assert type(error) is (MalformedAnswer if status == httpx2.codes.OK else RequestRefused)
    assert peak < FLAT


@pytest.mark.parametrize("text", [",", '"', "[{", "\\,"], ids=["commas", "quotes", "brackets", "backslashes"])
async def test_values_in_a_text_are_no_values(text: str) -> None:
    body = json.dumps({"vehicles": [], "note": text * (MAX_VALUES * 2)}).encode()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(body)

    assert (await error_and_peak(WatchedNetwork(answer)))[0] is None


@pytest.mark.parametrize("dpid", [["umazda"], {"dpid": "umazda"}, 7, True, "umazda\u200b", "toyotademo"], ids=str)
async def test_answer_with_an_odd_dealer_is_foreign(dpid: Any) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(json.dumps({"vehicles": [], "more": [{"dpid": dpid}]}).encode())

    assert type((await error_and_peak(WatchedNetwork(answer)))[0]) is ForeignDealer


@pytest.mark.parametrize(
    "partner_id", [["12345"], {"partner_id": ["12345"]}, {"partner_id": 12345.5}, "12345"], ids=str
)
async def test_answer_with_an_odd_partner_id_is_foreign(partner_id: Any) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(json.dumps({"vehicles": [], "more": [{"dealer": partner_id}]}).encode())

    assert type((await error_and_peak(WatchedNetwork(answer)))[0]) is ForeignDealer


@reliability(
    "gzip that goes on for ever and inflates to nothing", "ends at 8 MiB of compressed bytes; memory stays flat"
)
@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"\x00\x00\x00\xff\xff" * 13_000, id="empty blocks"),
        pytest.param(b"x" * 65_000, id="a file name"),
    ],
)
async def test_answer_of_endless_empty_gzip_ends_at_the_cap(chunk: bytes) -> None:
    header = b"\x1f\x8b\x08" + (b"\x08" if chunk.startswith(b"x") else b"\x00") + b"\0" * 6
    error, peak = await error_and_peak(endless_network(header, chunk, **{"content-encoding": "gzip"}))
    assert type(error) is MalformedAnswer
    assert peak < FLAT


@reliability("gzip with endless bytes after its end", "ends at 8 MiB of compressed bytes; memory stays flat")
async def test_answer_with_endless_bytes_after_gzip_ends_at_the_cap() -> None:
    error, peak = await error_and_peak(
        endless_network(gzip.compress(b'{"vehicles": []}'), b"x" * 65_536, **{"content-encoding": "gzip"})
    )
    assert type(error) is MalformedAnswer
    assert peak < FLAT


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param({"content-encoding": "gzip"}, b"no gzip", id="no gzip"),
        pytest.param({"content-encoding": "gzip"}, gzip.compress(b'{"vehicles": []}')[:20], id="half of a gzip"),
        pytest.param({"content-encoding": "br"}, zlib.compress(b"{}"), id="an encoding that we do not accept"),
        pytest.param({}, b'{"vehicles": []}{"vehicles": []}', id="two documents"),
        pytest.param({}, b'{"vehicles": \xff}', id="no UTF-8 outside of a text"),
        pytest.param({}, b"\xef\xbb\xbf{", id="a byte order mark"),
        pytest.param({}, b"null", id="null"),
        pytest.param({}, b"17", id="a number"),
        pytest.param({}, b'"vehicles"', id="a string"),
        pytest.param({}, b"Infinity", id="infinity by its name"),
    ],
)
@reliability("bytes that are no JSON of the documented fields", "malformed answer; nothing of it is shown")
async def test_answer_that_is_no_documented_json_is_malformed(headers: dict[str, str], body: bytes) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(body, **headers)

    error, _ = await error_and_peak(WatchedNetwork(answer))
    assert type(error) is MalformedAnswer
    assert "vehicles" not in failure(error).text


@pytest.mark.parametrize("price", [b"Infinity", b"-Infinity", b"NaN", b"1e999", b"9" * 5_000])
async def test_answer_is_read_without_a_number_that_json_does_not_have(price: bytes) -> None:
    body = b'{"vehicles": [{"vin": "3MVDMBBM0SM472067", "make": "Mazda", "price": %s}]}' % price

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(body)

    async with open_clients(WatchedNetwork(answer)) as client_for:
        (vehicle,) = (await client_for().list_inventory(size=1)).vehicles
    assert (vehicle.make, vehicle.price) == ("Mazda", None)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "application/hal+json", None]
)
async def test_answer_media_type_may_vary_or_be_missing(media_type: str | None) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(**({"content_type": media_type} if media_type else {}))

    error, _ = await error_and_peak(WatchedNetwork(answer))
    assert error is None


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/v1",
        "//elsewhere.example",
        "/v1/vehicles",
        "",
        "http://[",
        "ftp://x",
        "\x7f",
        "http://a..b/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
@reliability(
    "a redirect to another host, or to nowhere", "an error; no second request is made and no credential leaves"
)
async def test_answer_that_redirects_is_not_followed(status: int, location: str) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(b"", status, location=location)

    network = WatchedNetwork(answer)
    error, _ = await error_and_peak(network)
    assert type(error) is MalformedAnswer
    assert {request.url.host for _, request in network.requests} == {"sandbox"}
    assert len(network.requests) == 1


@reliability("an upstream that sets cookies", "none is kept or sent")
async def test_answer_cookies_are_not_sent_back() -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(set_cookie="session=of-somebody; Path=/")

    network = WatchedNetwork(answer)
    async with open_clients(network) as client_for:
        for _ in range(2):
            await client_for().list_inventory(size=1)
    assert not any("cookie" in request.headers for _, request in network.requests)


@reliability("numbers of 4,000 digits in every field", "an answer without them or an upstream failure, never a defect")
@pytest.mark.parametrize("tool", ["list_inventory", "get_dealer", "list_dealers"])
async def test_answer_with_absurd_numbers_is_no_defect(tool: str, connect: Connect, world: World) -> None:
    sandbox = SandboxTransport(world.app)

    async def answer(request: httpx2.Request) -> httpx2.Response:
        response = await sandbox.handle_async_request(request)
        return reply(json.dumps(_with_every_number(json.loads(await response.aread()), 10**3_999)).encode())

    async with connect(upstream=WatchedNetwork(answer)) as client:
        result = await client.call_tool(tool, {} if tool in ("list_dealers", "get_approval") else {"dealer": "umazda"})
    assert not result.is_error or kind_of(result) == "upstream"
    assert "failed on this call" not in text_of(result)


def _with_every_number(node: Any, number: int) -> Any:
    match node:
        case list():
            return [_with_every_number(each, number) for each in node]
        case dict():
            return {name: _with_every_number(value, number) for name, value in node.items()}
        case int() | float() if not isinstance(node, bool):
            return number
        case _:
            return node
