"""How fast the server acknowledges events: events a second, and the time from sending one to its 2xx.

    .venv/bin/python -m bench.webhooks [--events 3000] [--senders 16] [--store postgresql://…] [--limit-ms 250]

Starts a server with a store of its own, by default SQLite in a temporary folder. Sends it documented events over real
HTTP: first one after another, and then from several senders at once. Every event is durable before it is acknowledged,
so the disk decides: a slow `fsync` makes slow acknowledgements. Senders and server share the machine. To compare two
versions, run them in turns on the same one.

Exits with 1 if an event was not acknowledged, or if the p99 of the first round is above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import services

from bench.servers.processes import start_process

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

    rounds = measure(options.events, options.senders, options.store)
    p99 = [report(name, times) for name, times in rounds.items()]
    return int(p99[0] > options.limit_ms)


def stores(folder: Path) -> dict[str, str | None]:
    """Returns the `store` of `measure` for each database that this machine has. PostgreSQL ends with this process."""
    try:
        url = services.postgresql_server(folder)
    except services.NotInstalled:
        return {"SQLite": None}
    return {"SQLite": None, "PostgreSQL": url}


def measure(events: int, senders: int, store: str | None = None) -> dict[str, tuple[float, list[float]]]:
    """Returns the seconds of each round, and those of each of its events."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "roadster.toml")
        config.write_text(CONFIG.format(store=store or f"sqlite:///{folder}/store.db"), encoding="utf-8")
        command = ("serve", "--transport", "http", "--config", str(config))
        with start_process(*command, path="/healthz", ROADSTER_API_KEY="not-a-key", WEBHOOK_KEY=KEY) as (url, _):
            port = int(url.rpartition(":")[2])
            name = os.urandom(4).hex()
            asyncio.run(send_round(port, 100, 1, f"{name}-warm"))
            return {
                "one after another": asyncio.run(send_round(port, events, 1, f"{name}-one")),
                f"{senders} senders at once": asyncio.run(send_round(port, events, senders, f"{name}-many")),
            }


def report(name: str, times: tuple[float, list[float]]) -> float:
    """Prints one round. Returns its p99 in milliseconds."""
    seconds, of_each = times
    p99 = statistics.quantiles(of_each, n=100)[98] * 1000
    print(
        f"{name:20}  {len(of_each) / seconds:6.0f} events/s  median {statistics.median(of_each) * 1000:6.1f} ms  "
        f"p99 {p99:6.1f} ms  slowest {max(of_each) * 1000:6.1f} ms"
    )
    return p99


async def send_round(port: int, events: int, senders: int, name: str) -> tuple[float, list[float]]:
    """Returns the seconds of the whole round, and those of each event."""
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    numbers = iter(range(events))
    times: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            request = frame({**sample, "event_id": f"{name}-{number}", "customer": customer_of(sample, number)})
            start = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            times.append(time.perf_counter() - start)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not acknowledged: {head.splitlines()[0].decode()}")
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(senders)))
    return time.perf_counter() - start, times


def customer_of(sample: dict[str, Any], number: int) -> dict[str, Any]:
    return {**sample["customer"], "id": 2_000_000 + number % 500}


def frame(event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    return (
        f"POST /webhooks/roadster HTTP/1.1\r\nHost: hooks.example.com\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


if __name__ == "__main__":
    sys.exit(main())
