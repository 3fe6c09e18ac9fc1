"""How the cost of a call grows with the numbers of dealers, callers and audit records.

    .venv/bin/python -m bench.growth [--quick]

Each row has the CPU of a call with three sizes, and the ratio of the largest to the smallest. `audit verify` has the
seconds for the whole chain. The last rows are of one server with many dealers, callers, groups and rules: see
bench.groups. bench.inventory measures the mirror of many vehicles.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio

from bench import groups
from bench.processes import start_process
from bench.speed import CONFIG, Server, our_arguments, start_server
from roadster_server.store import AuditRecord, open_store

DEALERS = (3, 300, 3_000)
CALLERS = (3, 500, 5_000)
RECORDS = (1_000, 10_000, 100_000)


def main() -> int:
    parser = argparse.ArgumentParser(description="How the cost of a call grows.")
    parser.add_argument("--quick", action="store_true", help="the two smaller sizes, and few calls")
    options = parser.parse_args()
    for name, values in measure(quick=options.quick).items():
        ratio = f"{values[-1] / values[0]:.2f}" if values[0] else "-"
        print(f"{name:34} {'  '.join(f'{value * 1000:9.2f}' for value in values)} ms  {ratio}")
    for name, values in measure_groups(quick=options.quick).items():
        print(f"{name:34} {'  '.join(f'{value:9.2f}' for value in values)}     {values[-1] / values[0]:.2f}")
    return 0


def measure(*, quick: bool) -> dict[str, list[float]]:
    """Returns the seconds of each kind of work by size, the smallest first."""
    rounds, calls = (1, 10) if quick else (5, 50)
    sizes = slice(0, 2 if quick else 3)
    records = (100, 1_000) if quick else RECORDS
    return {
        "dealers": _calls(DEALERS[sizes], "dealers", rounds, calls),
        "callers": _calls(CALLERS[sizes], "callers", rounds, calls),
        "audit verify": [anyio.run(_verify, number) for number in records],
    }


def measure_groups(*, quick: bool) -> dict[str, list[float]]:
    """Returns what a server of a group of dealers costs, by kind of work and number of dealers."""
    with start_process("sandbox", path="/openapi.json") as (url, _):
        sizes = DEALERS[:2] if quick else DEALERS
        costs = [groups.measure(size, url, calls=20 if quick else 100) for size in sizes]
    return {kind: [of_size[kind] for of_size in costs] for kind in costs[0]}


def _calls(sizes: Sequence[int], kind: str, rounds: int, calls: int) -> list[float]:
    """Returns the CPU seconds of `get_vehicle` with each number of dealers or callers, the servers in turns."""
    with ExitStack() as stack:
        url, _ = stack.enter_context(start_process("sandbox", path="/openapi.json"))
        servers = [stack.enter_context(_server(url, kind, size)) for size in sizes]
        for server in servers:
            server.measure("get_vehicle", 10)
            server.cpu.clear()
        for turn in range(rounds):
            for server in servers[:: -1 if turn % 2 else 1]:
                server.measure("get_vehicle", calls)
        return [statistics.median(server.cpu["get_vehicle"]) for server in servers]


@contextmanager
def _server(url: str, kind: str, size: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        more = (
            [f'[dealers.dealer{number}]\npartner_id = "{900_000 + number}"' for number in range(size - 1)]
            if kind == "dealers"
            else [f"[callers.caller{number}]" for number in range(size - 1)]
        )
        config = Path(folder, "roadster.toml")
        text = CONFIG.format(url=url, folder=folder)
        if kind == "dealers":
            names = ", ".join(f'"{name}"' for name in ("umazda", *(f"dealer{n}" for n in range(size - 1))))
            text = text.replace('dealers = ["umazda"]', f"dealers = [{names}]")
        config.write_text("\n".join([text, *more]), encoding="utf-8")
        command = (sys.executable, "-m", "roadster_server", "serve", "--config", str(config))
        arguments = (lambda tool: {**our_arguments(tool), "dealer": "umazda"}) if kind == "dealers" else our_arguments
        with start_server(f"{size} {kind}", arguments, *command) as server:
            yield server


async def _verify(number: int) -> float:
    """Returns the seconds in which a chain of as many records is checked."""
    record = AuditRecord(
        call_id="0" * 32,
        phase="ended",
        time=datetime.now(UTC),
        caller="local",
        principal="local",
        client="bench",
        protocol="2026-07-28",
        tool="get_vehicle",
        dealer="umazda",
        verdict="allowed",
        setting="callers.local.access.inventory",
        outcome="done",
        upstream_request_id=None,
        latency_ms=7,
        arguments={"vin": "0" * 64},
    )
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"sqlite:///{folder}/store.db") as store:
            for _ in range(0, number, 500):
                async with anyio.create_task_group() as tasks:
                    for _ in range(min(500, number)):
                        tasks.start_soon(store.append, record)
            start = time.perf_counter()
            await store.verify()
            return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
