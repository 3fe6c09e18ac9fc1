"""How long a caller waits while another one floods the server, beside the same calls without the flood.

    .venv/bin/python -m bench.flood [--rounds 3] [--calls 60] [--at-once 32] [--limit 3]

Starts the sandbox and the server over HTTP, each in a process of its own. One caller makes calls one after another, at
first alone, and then while another caller keeps `--at-once` calls under way. Exits with 1 if a ratio of the medians is
above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.servers.configuration import write_config
from bench.servers.connections import open_connection
from bench.servers.processes import start_process

_CALLER = """
[callers.{name}]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
access = {{ inventory = "read", payments = "read" }}
calls_per_minute = 1000000
"""
TOKENS = {name: f"the-token-of-the-{name}-caller" for name in ("quiet", "flood")}
TOOLS = ("get_vehicle", "quote_payments")


def main() -> int:
    parser = argparse.ArgumentParser(description="The wait of a caller beside a flood, to its wait without one.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=60, help="of the quiet caller, in each round and with each tool")
    parser.add_argument("--at-once", type=int, default=32, help="calls of the flood")
    parser.add_argument("--limit", type=float, default=3, help="highest ratio that exits with 0 (default: 3)")
    options = parser.parse_args()
    waits = measure(options.rounds, options.calls, options.at_once)
    ratios = []
    for tool, (alone, beside) in waits.items():
        ratios.append(beside / alone)
        print(f"{tool:16} {alone * 1000:6.1f} ms alone, {beside * 1000:6.1f} beside the flood: {ratios[-1]:.1f} times")
    return int(max(ratios) > options.limit)


def measure(rounds: int, calls: int, at_once: int) -> dict[str, tuple[float, float]]:
    """Returns the median seconds of a call without and with the flood, by tool. The flood makes the same calls."""
    with tempfile.TemporaryDirectory() as folder, start_process("sandbox", path="/openapi.json") as (upstream, _):
        callers = (
            _CALLER.format(name=name, digest=hashlib.sha256(token.encode()).hexdigest())
            for name, token in TOKENS.items()
        )
        config = write_config(Path(folder), upstream, *callers)
        command = ("serve", "--transport", "http", "--config", str(config))
        with start_process(*command, path="/readyz", ROADSTER_API_KEY="sandbox-key") as (url, _):
            port = int(url.rpartition(":")[2])
            return {tool: asyncio.run(_compare(port, tool, rounds, calls, at_once)) for tool in TOOLS}


async def _compare(port: int, tool: str, rounds: int, calls: int, at_once: int) -> tuple[float, float]:
    alone: list[float] = []
    beside: list[float] = []
    await _waits(port, tool, 10)
    for _ in range(rounds):
        alone += await _waits(port, tool, calls)
        async with _flood(port, tool, at_once):
            beside += await _waits(port, tool, calls)
    return statistics.median(alone), statistics.median(beside)


async def _waits(port: int, tool: str, calls: int) -> list[float]:
    waits = []
    async with open_connection(port, TOKENS["quiet"]) as call:
        for _ in range(calls):
            start = time.perf_counter()
            await call(tool)
            waits.append(time.perf_counter() - start)
    return waits


@asynccontextmanager
async def _flood(port: int, tool: str, at_once: int) -> AsyncIterator[None]:
    async def send() -> None:
        async with open_connection(port, TOKENS["flood"]) as call:
            while True:
                await call(tool)

    senders = [asyncio.create_task(send()) for _ in range(at_once)]
    await asyncio.sleep(0.5)
    yield
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
