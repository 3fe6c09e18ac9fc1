"""How much memory calls hold that an upstream does not answer: many calls of one caller, each with a large message.

    .venv/bin/python -m bench.held_messages [--calls 25] [--limit-mib 512]

Starts a server of its own for each kind of message and each transport, before an upstream that takes requests and never
answers. Prints the resident memory in MiB: at rest, held when all calls wait, and the peak until then.

Exits with 1 if a peak is above the limit.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from bench.messages import BYTES, VALUES
from bench.servers.processes import memory_of, start_process

CONFIG = """
[roadster]
api_key = "env:ROADSTER_API_KEY"
base_url = "http://127.0.0.1:{upstream}/v1"
[store]
url = "sqlite:///{folder}/store.db"
[dealers.toyotademo]
[callers.local]
token_sha256 = ["{digest}"]
dealers = ["toyotademo"]
personal_data = "contact"
access = {{ dealers = "read", upload_document = "write" }}
"""
TOKEN = "the-token-of-the-caller"
ERA = "2025-11-25"
QUIET_SECONDS = 4
"""Seconds in which the memory stays as it is. Then all calls wait for the upstream."""
FILE_BYTES = 2**20 - 200
PIXEL = b"IDAT" + zlib.compress(b"\0\0")

Body = dict[str, Any]


class Memory(NamedTuple):
    """Resident memory in MiB."""

    at_rest: float
    after_calls: float
    peak: float


def main() -> int:
    parser = argparse.ArgumentParser(description="The memory that calls hold, by transport and kind of message.")
    parser.add_argument("--calls", type=int, default=25, help="calls of one caller (default: 25)")
    parser.add_argument("--limit-mib", type=float, default=512, help="highest peak that exits with 0 (default: 512)")
    options = parser.parse_args()
    peaks = []
    for transport in TRANSPORTS:
        for kind, body in messages().items():
            memory = measure(transport, body, options.calls)
            peaks.append(memory.peak)
            print(
                f"{transport:10}  {kind:28}  {len(json.dumps(body)) / 2**20:4.2f} MiB  at rest {memory.at_rest:4.0f}  "
                f"held {memory.after_calls:4.0f}  peak {memory.peak:4.0f}",
                flush=True,
            )
    return int(max(peaks) > options.limit_mib)


def messages() -> dict[str, Body]:
    """Returns params of `tools/call` by kind. The first is refused, the others are the largest that are let in."""
    return {
        "100,000 values in _meta": {"name": "list_dealers", "_meta": {"a": _objects(VALUES // 2 - 100, BYTES)}},
        "2,000 values in _meta": {"name": "list_dealers", "_meta": {"a": _objects(980, 60_000)}},
        "a file of 1 MiB": {
            "name": "upload_document",
            "arguments": {
                "customer_id": "1650260",
                "document_type": "license",
                "document_name": "DL Front",
                "file_name": "license.png",
                "relationship": "self",
                "contents": base64.b64encode(_file()).decode(),
            },
        },
    }


def measure(transport: str, params: Body, calls: int) -> Memory:
    """Sends the calls, and looks at the memory once it has stopped to change."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        # Connections wait in the queue of this listener, and nobody takes them.
        upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        config = Path(folder, "roadster.toml")
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        config.write_text(
            CONFIG.format(upstream=upstream.getsockname()[1], folder=folder, digest=digest), encoding="utf-8"
        )
        pid, send = TRANSPORTS[transport](stack, config)
        at_rest = _quiet_memory_of(pid)
        for id_ in range(calls):
            send({"jsonrpc": "2.0", "id": id_ + 10, "method": "tools/call", "params": params})
        after_calls = _quiet_memory_of(pid)
        return Memory(at_rest, after_calls, memory_of(pid, "VmHWM"))


Send = Callable[[Body], None]


def _start_stdio(stack: ExitStack, config: Path) -> tuple[int, Send]:
    process = subprocess.Popen(
        [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)],
        env={"ROADSTER_API_KEY": "not-a-key"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdin
    stdin = process.stdin
    stack.callback(_close, stdin)

    def send(message: Body) -> None:
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()

    _introduce(send)
    return process.pid, send


def _close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # the process may leave a message unread
        pipe.close()


def _start_http(stack: ExitStack, config: Path) -> tuple[int, Send]:
    port, pid = _start_server(stack, config)

    def send(message: Body) -> None:
        _post(stack, port, "/mcp", message)

    return pid, send


def _start_sse(stack: ExitStack, config: Path) -> tuple[int, Send]:
    port, pid = _start_server(stack, config)
    stream = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    stream.sendall(f"GET /sse HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    events = b""
    while not (session := re.search(rb"/messages/\?session_id=[0-9a-f]{32}", events)):
        events += stream.recv(4096)
    path = session[0].decode()

    def send(message: Body) -> None:
        _post(stack, port, path, message)

    _introduce(send)
    return pid, send


TRANSPORTS = {"/mcp": _start_http, "/messages": _start_sse, "stdio": _start_stdio}


def _start_server(stack: ExitStack, config: Path) -> tuple[int, int]:
    command = ("serve", "--transport", "http", "--config", str(config))
    url, process = stack.enter_context(start_process(*command, path="/readyz", ROADSTER_API_KEY="not-a-key"))
    return int(url.rpartition(":")[2]), process.pid


def _introduce(send: Send) -> None:
    params = {"protocolVersion": ERA, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    time.sleep(1)
    send({"jsonrpc": "2.0", "method": "notifications/initialized"})


def _post(stack: ExitStack, port: int, path: str, message: Body) -> None:
    """Sends a request of protocol 2026-07-28 to `/mcp`, and does not wait for the answer."""
    headers = ""
    if path == "/mcp":
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = message["params"]
        message = {**message, "params": {**params, "_meta": {**params.get("_meta", {}), **meta}}}
        headers = f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {params['name']}\r\n"
    body = json.dumps(message).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n{headers}"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    connection.setblocking(True)
    connection.settimeout(2)
    try:
        connection.sendall(head.encode() + body)
    except TimeoutError:  # the server does not read it, because it has no place for it
        return


def _quiet_memory_of(pid: int) -> float:
    """Returns the memory once it has not changed by a mebibyte for `QUIET_SECONDS`."""
    memory, since = memory_of(pid, "VmRSS"), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        time.sleep(0.2)
        now = memory_of(pid, "VmRSS")
        if abs(now - memory) > 1:
            memory, since = now, time.monotonic()
    return memory


def _objects(number: int, size: int) -> list[Body]:
    text = "x" * max(1, size // number - 20)
    return [{f"{index}{text}": 1} for index in range(number)]


def _file() -> bytes:
    """Returns a PNG of one pixel and of nearly the largest size that a call may carry."""
    filler = b"raNd" + bytes(FILE_BYTES)
    return _chunks(
        b"\x89PNG\r\n\x1a\n", (b"IHDR" + bytes.fromhex("00000001000000010800000000"), filler, PIXEL, b"IEND")
    )


def _chunks(signature: bytes, chunks: tuple[bytes, ...]) -> bytes:
    return signature + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


if __name__ == "__main__":
    sys.exit(main())
