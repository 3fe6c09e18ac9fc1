"""The CPU of a call with more dealers and with more callers.

.venv/bin/python -m bench.growth.calls [--quick]

Prints the CPU of a read with three sizes, and the ratio of the largest to the smallest. Then it prints the same for one
server with many dealers, callers, groups and rules: see bench.growth.groups.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.growth import groups
from bench.servers.configuration import ONE_CALLER, write_config
from bench.servers.connections import Server, start_server
from bench.servers.processes import start_process
from bench.speed import our_arguments

DEALERS = (3, 300, 3_000)
CALLERS = (3, 500, 5_000)


def main() -> int:
    parser = argparse.ArgumentParser(description="How the cost of a call grows.")
    parser.add_argument("--quick", action="store_true", help="the two smaller sizes, and few calls")
    options = parser.parse_args()
    for name, seconds in measure(quick=options.quick).items():
        ratio = f"{seconds[-1] / seconds[0]:.2f}" if seconds[0] else "-"
        print(f"{name:34} {'  '.join(f'{value * 1000:9.2f}' for value in seconds)} ms  {ratio}")
    for name, values in measure_groups(quick=options.quick).items():
        print(f"{name:34} {'  '.join(f'{value:9.2f}' for value in values)}     {values[-1] / values[0]:.2f}")
    return 0


def measure(*, quick: bool) -> dict[str, list[float]]:
    """Returns the CPU seconds of a read by the number of dealers and of callers, the smallest first."""
    rounds, calls = (1, 10) if quick else (5, 50)
    sizes = slice(0, 2 if quick else 3)
    return {
        "dealers": _calls(DEALERS[sizes], "dealers", rounds, calls),
        "callers": _calls(CALLERS[sizes], "callers", rounds, calls),
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
        caller, arguments = ONE_CALLER, our_arguments
        if kind == "dealers":
            others = [f"dealer{number}" for number in range(size - 1)]
            more = [f'[dealers.{name}]\npartner_id = "{900_000 + number}"' for number, name in enumerate(others)]
            names = ", ".join(f'"{name}"' for name in ("umazda", *others))
            caller = caller.replace('dealers = ["umazda"]', f"dealers = [{names}]")
            arguments = lambda tool: {**our_arguments(tool), "dealer": "umazda"}  # noqa: E731
        else:
            more = [f"[callers.caller{number}]" for number in range(size - 1)]
        config = write_config(Path(folder), url, caller, *more)
        command = (sys.executable, "-m", "roadster_server", "serve", "--config", str(config))
        with start_server(f"{size} {kind}", arguments, *command) as server:
            yield server


if __name__ == "__main__":
    sys.exit(main())
