"""The mirror of a large inventory: its first filling, its searches, and its refresh.

    .venv/bin/python -m bench.growth.inventory [--vehicles 20000] [--calls 50]

Starts the sandbox in a process of its own, with that many vehicles of each dealer, and the server over stdio with an
empty store. It prints the memory of the server before and after the first search, which fills the mirror, and the
median time of some searches after it, beside `get_vehicle`, which is passed on to the sandbox. Read the CPU times and
their ratios where other programs are running.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.servers.configuration import ONE_CALLER, VIN, write_config
from bench.servers.connections import Server, start_server
from bench.servers.processes import memory_of, start_process

SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "cheapest": {"sort": "price"},
    "dearest": {"sort": "price_desc"},
    "newest": {"sort": "newest"},
    "model, cheapest": {"model": "CX-5", "sort": "price"},
    "word, cheapest": {"query": "turbo", "sort": "price"},
    "word of none": {"query": "nosuchword"},
    "colour below a price": {"color": "blue", "price_max": 30_000, "sort": "price"},
}


def call(server: Server, tool: str, **arguments: Any) -> dict[str, Any]:
    result = server.request("tools/call", {"name": tool, "arguments": arguments})
    answer: dict[str, Any] = result["structuredContent"]
    return answer


def measure(server: Server, tool: str, arguments: dict[str, Any], calls: int) -> tuple[float, float, float]:
    """Returns the median and the fastest wall time of a call, and its CPU time, in milliseconds."""
    call(server, tool, **arguments)
    seconds = []
    cpu = server.cpu_seconds()
    for _ in range(calls):
        start = time.perf_counter()
        call(server, tool, **arguments)
        seconds.append(time.perf_counter() - start)
    cpu = (server.cpu_seconds() - cpu) / calls
    return statistics.median(seconds) * 1000, min(seconds) * 1000, cpu * 1000


def searches(vehicles: int, calls: int) -> dict[str, float]:
    """Returns the CPU seconds of each search in a mirror of as many vehicles, and of `get_vehicle` beside it."""
    with tempfile.TemporaryDirectory() as folder, _server(vehicles, folder) as server:
        first = call(server, "list_inventory")
        passed_on = measure(server, "get_vehicle", {"vin": first["vehicles"][0]["vin"]}, calls)
        costs = {name: measure(server, "list_inventory", search, calls) for name, search in SEARCHES.items()}
        return {name: cpu / 1000 for name, (_, _, cpu) in {"get_vehicle": passed_on, **costs}.items()}


@contextmanager
def _server(vehicles: int, folder: str) -> Iterator[Server]:
    with ExitStack() as stack:
        arguments = ("sandbox", "--vehicles", str(vehicles))
        url, _ = stack.enter_context(start_process(*arguments, path="/openapi.json"))
        # Nothing is refreshed while it is measured.
        config = write_config(Path(folder), url, ONE_CALLER, "[inventory]\nfresh_for = 86400")
        command = (sys.executable, "-m", "roadster_server", "serve", "--config", str(config))
        yield stack.enter_context(start_server("roadster-mcp", dict, *command))


def main() -> int:
    parser = argparse.ArgumentParser(description="The mirror of a large inventory.")
    parser.add_argument("--vehicles", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=50, help="of each search")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _server(options.vehicles, folder) as server:
        call(server, "list_inventory", vin=VIN)  # opens the store
        before, cpu, start = memory_of(server.process.pid), server.cpu_seconds(), time.perf_counter()
        first = call(server, "list_inventory")
        seconds, cpu = time.perf_counter() - start, server.cpu_seconds() - cpu
        print(f"first filling of {first['searched']:,} in stock: {seconds:.1f} s, {cpu:.1f} s CPU")
        print(f"memory: {before:.0f} MiB before, {memory_of(server.process.pid, 'VmHWM'):.0f} MiB at most")
        print(f"store: {sum(file.stat().st_size for file in Path(folder).glob('store.db*')) / 2**20:.0f} MiB")

        price = {"vin": first["vehicles"][0]["vin"]}
        passed_on = measure(server, "get_vehicle", price, options.calls)
        print(f"{'get_vehicle':22} {passed_on[0]:6.1f} ms median {passed_on[1]:6.1f} fastest {passed_on[2]:6.1f} CPU")
        for name, search in SEARCHES.items():
            median, fastest, cpu = measure(server, "list_inventory", search, options.calls)
            print(f"{name:22} {median:6.1f} ms median {fastest:6.1f} fastest {cpu:6.1f} CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
