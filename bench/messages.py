"""How much memory the server takes for the largest messages: its peak after one, and after sixteen at once.

    .venv/bin/python -m bench.messages [--at-once 16] [--limit-mib 512]

Starts a server of its own for each kind of message, and sends it over real HTTP, each of a caller of its
own. The peak is the resident memory that Linux has counted, in MiB. The limits of `examples/deploy` come from here.
`bench/held_messages.py` measures the memory that calls hold while an upstream does not answer.

Exits with 1 if a peak is above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from bench.servers.processes import memory_of, start_process

CONFIG = """
[roadster]
api_key = "env:ROADSTER_API_KEY"
base_url = "http://127.0.0.1:9/v1"
[store]
url = "sqlite:///{folder}/store.db"
[dealers.toyotademo]
"""
CALLER = """
[callers.caller{number}]
token_sha256 = ["{digest}"]
dealers = ["toyotademo"]
access = {{ dealers = "read" }}
"""
BYTES = 4 * 1024 * 1024
VALUES = 100_000
ANSWER_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description="The peak of the resident memory, by kind of message.")
    parser.add_argument("--at-once", type=int, default=16, help="messages in the second round (default: 16)")
    parser.add_argument("--limit-mib", type=float, default=512, help="highest peak that exits with 0 (default: 512)")
    options = parser.parse_args()
    peaks = []
    for kind, message in messages().items():
        memory = measure(message, options.at_once)
        peaks.append(memory.after_many)
        print(
            f"{kind:28}  {len(message) / 2**20:4.1f} MiB  at rest {memory.at_rest:4.0f}  "
            f"after one {memory.after_one:5.0f}  after {options.at_once} at once {memory.after_many:5.0f}  "
            f"{dict(memory.statuses)}",
            flush=True,
        )
    return int(max(peaks) > options.limit_mib)


class Memory(NamedTuple):
    """The peaks of one server's resident memory in MiB, and the statuses of the answers to the messages at once."""

    at_rest: float
    after_one: float
    after_many: float
    statuses: Counter[str]


def measure(message: bytes, at_once: int) -> Memory:
    """Sends the message once, and then from many callers at once."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "roadster.toml")
        callers = (
            CALLER.format(number=number, digest=hashlib.sha256(token_of(number).encode()).hexdigest())
            for number in range(at_once)
        )
        config.write_text(CONFIG.format(folder=folder) + "".join(callers), encoding="utf-8")
        command = ("serve", "--transport", "http", "--config", str(config))
        with start_process(*command, path="/readyz", ROADSTER_API_KEY="not-a-key") as (url, process):
            port = int(url.rpartition(":")[2])
            asyncio.run(send(port, call(), 0))
            at_rest = memory_of(process.pid, "VmHWM")
            asyncio.run(send(port, message, 0))
            after_one = memory_of(process.pid, "VmHWM")
            statuses = asyncio.run(send_at_once(port, message, at_once))
            return Memory(at_rest, after_one, memory_of(process.pid, "VmHWM"), statuses)


def messages() -> dict[str, bytes]:
    """Returns messages of about 4 MiB by kind. All are refused: a message may be small, or hold a file."""
    pairs = VALUES // 2 - 100
    text = "x" * (BYTES // pairs - 20)
    objects = [{f"{number}{text}": 1} for number in range(pairs)]
    return {
        "1.3 million empty objects": call(query=[{}] * 1_390_000),
        "objects of one long key": call(query=objects),
        "the same in _meta": call({"objects": objects}),
        "long texts": call(query=[text] * pairs),
        "one text": call(query="x" * (BYTES - 1000)),
    }


def call(meta: dict[str, Any] | None = None, **arguments: Any) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        **(meta or {}),
    }
    params = {"name": "list_dealers", "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode()


async def send_at_once(port: int, message: bytes, number: int) -> Counter[str]:
    return Counter(await asyncio.gather(*(send(port, message, sender) for sender in range(number))))


def token_of(number: int) -> str:
    return f"the-token-of-caller-{number}"


async def send(port: int, message: bytes, caller: int) -> str:
    """Returns the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token_of(caller)}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: list_dealers\r\n"
        f"Content-Length: {len(message)}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(head.encode() + message)
            answer = await reader.read()
    except ConnectionError:
        return "cut off"
    finally:
        writer.close()
    return answer[9:12].decode()


if __name__ == "__main__":
    sys.exit(main())
