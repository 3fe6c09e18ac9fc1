"""Messages that no sound client sends: the server refuses them, repeats nothing of them, and goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.types import Message

from roadster_server.transports.http.intake import Intake
from roadster_server.transports.large_messages import LargeMessages
from tests.hanging import HangingUpstream
from tests.processes.stopping import INITIALIZED, open_session, stdio_server, upstream
from tests.processes.test_stdio import SERVE
from tests.servers import PATIENCE

from .test_http import INITIALIZE, LIST_TOOLS, SALES

__all__ = ["upstream"]  # a fixture

pytestmark = pytest.mark.anyio

LIMIT = 4 * 1024 * 1024
SECRET = "Carlos-Silva-4155556666"
PING = {"jsonrpc": "2.0", "id": 99, "method": "ping"}

PARSE_ERROR, INVALID_REQUEST = -32700, -32600

MALFORMED = {
    "no JSON": (f'{{"jsonrpc": "2.0", "id": 7, "{SECRET}": '.encode(), PARSE_ERROR, 7),
    "no UTF-8": (f'{{"jsonrpc": "2.0", "id": 7, "method": "{SECRET}\xff"}}'.encode("latin-1"), PARSE_ERROR, 7),
    "1,900 levels deep": (b'{"jsonrpc": "2.0", "id": 7, "method": ' + b"[" * 1900, PARSE_ERROR, 7),
    "1,900 levels deep and closed": (
        b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":' + b"[" * 1900 + b"]" * 1900 + b"}}",
        PARSE_ERROR,
        7,
    ),
    "90,000 levels deep": (b'{"jsonrpc": "2.0", "id": 7, "method": ' + b"[" * 90_000, INVALID_REQUEST, 7),
    "a text of 70,000 characters": (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": "' + b"a" * 70_000 + b'"}}',
        INVALID_REQUEST,
        7,
    ),
    "a number of 5,000 digits": (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": ' + b"9" * 5000 + b"}}",
        PARSE_ERROR,
        7,
    ),
    "a batch": (json.dumps([PING, {**PING, "method": SECRET}]).encode(), INVALID_REQUEST, None),
    "a string": (json.dumps(SECRET).encode(), INVALID_REQUEST, None),
    "no message": (json.dumps({"id": 7, SECRET: SECRET}).encode(), INVALID_REQUEST, 7),
    "the same key twice": (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": {"dealer": "toyotademo", "dealer": "umazda"}}}',
        INVALID_REQUEST,
        7,
    ),
    "100,000 values": (
        b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": [' + b"0," * 100_000 + b"0]}}",
        INVALID_REQUEST,
        7,
    ),
    "100,000 values before the id": (
        b'{"method": "ping", "params": {"a": [' + b"{}," * 100_000 + b'0]}, "id": 7, "jsonrpc": "2.0"}',
        INVALID_REQUEST,
        7,
    ),
    "an answer with 100,000 values": (
        b'{"result": {"a": [' + b"{}," * 100_000 + b'0]}, "jsonrpc": "2.0", "id": 7}',
        INVALID_REQUEST,
        None,
    ),
    "a long id": (
        b'{"jsonrpc": "2.0", "id": "' + b"a" * 1_000_000 + b'", "method": "ping"}',
        INVALID_REQUEST,
        None,
    ),
    "two ids": (b'{"jsonrpc": "2.0", "id": 7, "id": 8, "method": "ping"}', INVALID_REQUEST, None),
}

malformed_messages = pytest.mark.parametrize(("raw", "code", "id_"), MALFORMED.values(), ids=MALFORMED)


@malformed_messages
async def test_stdio_answers_a_malformed_line_without_quoting_it(
    raw: bytes, code: int, id_: int | None, upstream: HangingUpstream, tmp_path: Path
) -> None:
    async with stdio_server(upstream, tmp_path) as server:
        await server.send(raw, b"", PING)
        refusal = await server.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (id_, code)
        assert SECRET not in json.dumps(refusal)
        assert (await server.receive())["id"] == PING["id"]
        await server.end_input()
        assert await server.exit_code() == 0
        rest = b"".join([chunk async for chunk in server.process.stderr or ()])  # type: ignore[attr-defined]
        assert SECRET.encode() not in rest


async def test_stdio_reads_4_mib_and_skips_a_longer_line(upstream: HangingUpstream, tmp_path: Path) -> None:
    async with stdio_server(upstream, tmp_path) as server:
        await server.send(json.dumps(PING).encode().ljust(LIMIT), json.dumps(PING).encode().ljust(LIMIT + 1), PING)
        assert (await server.receive())["id"] == PING["id"]
        refusal = await server.receive()
        assert (refusal["id"], refusal["error"]["code"]) == (None, INVALID_REQUEST)
        assert (await server.receive())["id"] == PING["id"]


def test_stdio_keeps_stray_prints_out_of_the_protocol() -> None:
    script = (
        "import os, sys, roadster_server.calls.calls as calls\n"
        "from roadster_server.cli.app import app\n"
        "true_answer = calls.Calls.answer\n"
        "async def noisy(*arguments):\n"
        "    print('stray'); os.write(1, b'stray bytes\\n'); os.system('echo stray child')\n"
        "    return await true_answer(*arguments)\n"
        "calls.Calls.answer = noisy\n"
        "app(['serve', '--sandbox'])\n"
    )
    messages = [INITIALIZE, INITIALIZED, {**LIST_TOOLS, "method": "tools/call", "params": {"name": "list_dealers"}}]
    end = subprocess.run(
        [SERVE[0], "-c", script],
        input="".join(json.dumps(message) + "\n" for message in messages).encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert [json.loads(line)["id"] for line in end.stdout.splitlines()] == [INITIALIZE["id"], LIST_TOOLS["id"]]
    for stray in (b"stray\n", b"stray bytes\n", b"stray child\n"):
        assert stray in end.stderr


HEADERS = {
    "Authorization": f"Bearer {SALES}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}


@malformed_messages
@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_http_answers_a_malformed_body_without_quoting_it(
    era: str, raw: bytes, code: int, id_: int | None, server: str
) -> None:
    async with httpx2.AsyncClient(headers={**HEADERS, "Mcp-Protocol-Version": era}, timeout=PATIENCE) as http:
        for path in ("/mcp", "/messages/?session_id=0"):
            response = await http.post(server + path, content=raw)
            assert response.status_code == 400
            assert (response.json()["id"], response.json()["error"]["code"]) == (id_, code)
            assert SECRET not in response.text
        assert (await http.get(f"{server}/healthz")).status_code == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/mcp", "/messages/"])
async def test_http_refuses_what_is_not_said_to_be_json_in_json_rpc(path: str, content_type: str, server: str) -> None:
    async with httpx2.AsyncClient(headers={**HEADERS, "Content-Type": content_type}, timeout=PATIENCE) as http:
        response = await http.post(server + path, content=json.dumps(PING).encode())
    assert response.status_code == 415
    assert response.json()["id"] == PING["id"]
    assert response.json()["error"]["code"] == INVALID_REQUEST
    assert "Content-Type" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 400), ({"Mcp-Session-Id": "0" * 32}, 404), ({"Accept": "text/html"}, 406)],
    ids=["no session", "unknown session", "wrong Accept"],
)
@pytest.mark.parametrize("id_", [7, "a b"])
async def test_http_refusal_of_the_sdk_has_the_id_of_the_request(
    id_: int | str, headers: dict[str, str], status: int, server: str
) -> None:
    async with httpx2.AsyncClient(headers=HEADERS | headers, timeout=PATIENCE) as http:
        response = await http.post(f"{server}/mcp", json={**PING, "id": id_})
    assert response.status_code == status
    assert (response.json()["id"], "error" in response.json()) == (id_, True)


@pytest.mark.parametrize("path", ["/mcp", "/messages/"])
async def test_http_refuses_a_chunked_body_above_4_mib(path: str, server: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (LIMIT // 64)
        yield b" "

    async with httpx2.AsyncClient(headers=HEADERS, timeout=PATIENCE) as http:
        response = await http.post(server + path, content=chunks())
        assert response.status_code == 413
        assert (await http.get(f"{server}/healthz")).status_code == 200


async def test_http_reads_a_body_of_4_mib(server: str) -> None:
    async with httpx2.AsyncClient(headers=HEADERS, timeout=PATIENCE) as http, open_session(http, server) as session:
        response = await http.post(f"{server}/mcp", content=json.dumps(PING).encode().ljust(LIMIT), headers=session)
        assert response.status_code == 200


async def test_http_cuts_off_a_body_that_comes_too_slowly() -> None:
    """It comes one byte at a time for ever: no single read takes long, and the whole never ends."""
    answers: list[Message] = []

    async def drip() -> Message:
        await anyio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Message) -> None:
        answers.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("a transport must not see half a body")

    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [(b"content-type", b"application/json")]}
    with anyio.fail_after(PATIENCE):
        await Intake(never, lambda: False, LargeMessages(), body_seconds=0.01)(scope, drip, send)
    assert answers[0]["status"] == 408


async def test_http_survives_a_client_that_leaves_within_its_body(
    server: str,
) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    async with await anyio.connect_tcp(host, int(port)) as connection:
        head = f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {SALES}\r\nContent-Length: 100\r\n"
        await connection.send(f"{head}\r\n{{".encode())
    async with httpx2.AsyncClient(headers=HEADERS, timeout=PATIENCE) as http:
        assert (await http.post(f"{server}/mcp", json=INITIALIZE)).status_code == 200
