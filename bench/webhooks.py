"""How fast events are acknowledged: events a second, and the time from sending one to its 2xx.

    .venv/bin/python bench/webhooks.py [--events 3000] [--senders 16] [--store postgresql://…] [--limit-ms 250]

Starts a server with a store of its own (SQLite in a temporary folder unless told otherwise) and sends it
documented events over real HTTP: first one after another, then from several senders at once. Every event
is durable before it is acknowledged, so the disk decides: where `fsync` is slow, so is this. Senders and server
share the machine; absolute figures are good for comparing two versions on the same one, in turns.

Exits with 1 where an event was not acknowledged, or the p99 of one after another is above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent.parent / "tests" / "samples" / "webhook_event.json"
KEY = "our-own-key"
CONFIG = """
[roadster]
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
[dealers.toyotademo]
[callers.local]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Events a second, and the p99 of their acknowledgement.")
    parser.add_argument("--events", type=int, default=3000, help="in each of the two rounds (default: 3000)")
    parser.add_argument("--senders", type=int, default=16, help="at once in the second round (default: 16)")
    parser.add_argument("--store", help="store.url (default: SQLite in a temporary folder)")
    parser.add_argument("--limit-ms", type=float, default=250, help="highest p99 that exits with 0 (default: 250)")
    options = parser.parse_args()
    if options.events < 100 or options.senders < 1:
        parser.error("--events: at least 100; --senders: at least 1")

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "roadster.toml")
        config.write_text(CONFIG.format(store=options.store or f"sqlite:///{folder}/store.db"), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        command = [sys.executable, "-m", "roadster_server", "serve", "--transport", "http"]
        environment = {"PATH": os.environ["PATH"], "ROADSTER_API_KEY": "not-a-key", "WEBHOOK_KEY": KEY}
        server = subprocess.Popen(
            [*command, "--port", str(port), "--config", str(config)], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(port, server)
            run = os.urandom(4).hex()
            asyncio.run(round_of(port, 100, 1, f"{run}-warm"))
            p99 = report("one after another", asyncio.run(round_of(port, options.events, 1, f"{run}-one")))
            at_once = asyncio.run(round_of(port, options.events, options.senders, f"{run}-many"))
            report(f"{options.senders} senders at once", at_once)
        finally:
            server.terminate()
            server.wait()
    return int(p99 > options.limit_ms)


def report(name: str, taken: tuple[float, list[float]]) -> float:
    """Prints one round; returns its p99 in milliseconds."""
    seconds, each = taken
    p99 = statistics.quantiles(each, n=100)[98] * 1000
    print(
        f"{name:20}  {len(each) / seconds:6.0f} events/s  median {statistics.median(each) * 1000:6.1f} ms  "
        f"p99 {p99:6.1f} ms  slowest {max(each) * 1000:6.1f} ms"
    )
    return p99


async def round_of(port: int, events: int, senders: int, name: str) -> tuple[float, list[float]]:
    """The seconds of the whole round, and of each event."""
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    numbers = iter(range(events))
    taken: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            request = framed({**sample, "event_id": f"{name}-{number}", "customer": customer(sample, number)})
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            taken.append(time.perf_counter() - began)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not acknowledged: {head.splitlines()[0].decode()}")
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(senders)))
    return time.perf_counter() - began, taken


def customer(sample: dict[str, Any], number: int) -> dict[str, Any]:
    return {**sample["customer"], "id": 2_000_000 + number % 500}


def framed(event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    return (
        f"POST /webhooks/roadster HTTP/1.1\r\nHost: hooks.example.com\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode} before it listened")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not answer")


if __name__ == "__main__":
    sys.exit(main())
