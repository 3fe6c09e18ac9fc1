"""The gain of a second process: calls a second and CPU of a call, with one process and with two at one port.

    .venv/bin/python -m bench.workers [--rounds 3] [--seconds 4]

Starts PostgreSQL, Redis and the sandbox, and a server with one worker and one with two, each with a database of its
own. In each round sixteen callers make reads, one after another, first at the one and then at the other. Senders,
sandbox and databases share the machine with the servers, so on two cores the second worker cannot have a whole one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
from tests import services

from bench.servers.configuration import write_config
from bench.servers.connections import open_connection
from bench.servers.processes import cpu_clock, start_process

SENDERS = 16
WORKERS = (1, 2)
_CALLER = """
[callers.sender{number}]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
access = {{ inventory = "read" }}
calls_per_minute = 1000000
"""


class Rate(NamedTuple):
    """The calls in a second, and the CPU seconds of one call in all processes of the server."""

    calls: float
    cpu: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Calls a second with one worker and with two.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each server in each round")
    options = parser.parse_args()
    for workers, rate in measure(options.rounds, options.seconds).items():
        print(f"{workers} workers: {rate.calls:6.0f} calls/s, {rate.cpu * 1000:.2f} ms CPU of a call")
    return 0


def measure(rounds: int, seconds: float) -> dict[int, Rate]:
    """Returns the medians by the number of workers. Raises services.NotInstalled without PostgreSQL or Redis."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database, redis = services.postgresql_server(folder), services.redis_server(folder)
        upstream, _ = stack.enter_context(start_process("sandbox", path="/openapi.json"))
        servers = {
            workers: stack.enter_context(_server(folder, upstream, database, redis, workers)) for workers in WORKERS
        }
        rates: dict[int, list[Rate]] = {workers: [] for workers in WORKERS}
        for server in servers.values():
            asyncio.run(_send(*server, 1))
        for turn in range(rounds):
            for workers in WORKERS[:: -1 if turn % 2 else 1]:
                rates[workers].append(asyncio.run(_send(*servers[workers], seconds)))
        return {
            workers: Rate(*(statistics.median(values) for values in zip(*of_one, strict=True)))
            for workers, of_one in rates.items()
        }


@contextmanager
def _server(folder: Path, upstream: str, database: str, redis: str, workers: int) -> Iterator[tuple[int, int]]:
    """Yields the port and the process of a server."""
    name = f"bench_{workers}"
    asyncio.run(_create_database(database, name))
    own = folder / name
    own.mkdir()
    callers = (
        _CALLER.format(number=number, digest=hashlib.sha256(_token(number).encode()).hexdigest())
        for number in range(SENDERS)
    )
    replicas = '[replicas]\nredis_url = "env:REDIS_URL"'
    config = write_config(own, upstream, replicas, *callers, store=f"{database.rpartition('/')[0]}/{name}")
    command = ("serve", "--transport", "http", "--config", str(config), "--workers", str(workers))
    with start_process(*command, path="/readyz", ROADSTER_API_KEY="sandbox-key", REDIS_URL=redis) as (url, process):
        yield int(url.rpartition(":")[2]), process.pid


async def _create_database(server: str, name: str) -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


async def _send(port: int, process: int, seconds: float) -> Rate:
    calls = 0
    end = time.perf_counter() + seconds

    async def send(number: int) -> None:
        nonlocal calls
        async with open_connection(port, _token(number)) as call:
            while time.perf_counter() < end:
                await call("get_vehicle")
                calls += 1

    start, cpu = time.perf_counter(), _cpu_of(process)
    await asyncio.gather(*(send(number) for number in range(SENDERS)))
    return Rate(calls / (time.perf_counter() - start), (_cpu_of(process) - cpu) / calls)


def _cpu_of(process: int) -> float:
    """Returns the CPU seconds of a process and of its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return sum(time.clock_gettime(cpu_clock(pid)) for pid in (process, *map(int, children)))


def _token(number: int) -> str:
    return f"the-token-of-sender-{number}"


if __name__ == "__main__":
    sys.exit(main())
