"""How long a call holds the event loop, in which nobody else is served.

    .venv/bin/python -m bench.loop_steps [--calls 20] [--limit-ms 5]

Starts the sandbox with 1,000 vehicles of each dealer, and the server over stdio with a loop that notes the CPU time of
each of its steps. Prints the median of the longest step of each call, because another program at the same core makes a
single step longer. The first call of each kind does not count: it builds what the others use. Exits with 1 if a median
is above the limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from asyncio import events
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.servers.configuration import ONE_CALLER, VIN, write_config
from bench.servers.connections import start_server
from bench.servers.processes import start_process

ALL_IN_FULL = {"limit": 100, "detail": "full"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "get_vehicle": ("get_vehicle", {"vin": VIN}),
    "quote in full": ("quote_payments", {"vin": VIN, "detail": "full"}),
    "20 vehicles": ("list_inventory", {}),
    "100 vehicles in full": ("list_inventory", ALL_IN_FULL),
    "100 in full, by price": ("list_inventory", {**ALL_IN_FULL, "sort": "price"}),
    "no match": ("list_inventory", {"query": "nosuchword"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="The longest step of the event loop, by kind of call.")
    parser.add_argument("--calls", type=int, default=20, help="of each kind")
    parser.add_argument("--limit-ms", type=float, default=5, help="longest step that exits with 0 (default: 5)")
    options = parser.parse_args()
    longest = measure(options.calls)
    for name, milliseconds in longest.items():
        print(f"{name:40} {milliseconds:6.1f} ms")
    return int(max(longest.values()) > options.limit_ms)


def measure(calls: int) -> dict[str, float]:
    """Returns the longest step of each kind of call, in milliseconds."""
    sources = {"from the mirror": 86_400, "from the feed": 0}
    return {
        f"{name}, {source}": statistics.median(steps) * 1000
        for source, fresh_for in sources.items()
        for name, steps in _longest_steps(fresh_for, calls).items()
    }


def _longest_steps(fresh_for: int, calls: int) -> dict[str, list[float]]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url, _ = stack.enter_context(start_process("sandbox", "--vehicles", "1000", path="/openapi.json"))
        config = write_config(Path(folder), url, ONE_CALLER, f"[inventory]\nfresh_for = {fresh_for}")
        steps = Path(folder, "steps")
        command = (sys.executable, "-m", "bench.loop_steps", "--serve", str(steps), "serve", "--config", str(config))
        server = stack.enter_context(start_server("roadster-mcp", dict, *command))
        longest: dict[str, list[float]] = {}
        for name, (tool, arguments) in CALLS.items():
            for _ in range(calls + 1):
                start = len(_steps_of(steps))
                server.request("tools/call", {"name": tool, "arguments": arguments})
                longest.setdefault(name, []).append(max(_steps_of(steps)[start:], default=0))
            del longest[name][0]
        return longest


def _steps_of(file: Path) -> list[float]:
    return [float(line) for line in file.read_text("utf-8").splitlines()]


def serve(steps: Path, arguments: list[str]) -> None:
    """Runs the command line, and adds the CPU seconds of each step above 0.2 ms to a file."""
    from roadster_server.__main__ import main as start_command  # noqa: PLC0415 - only the server needs it

    run_step = events.Handle._run  # noqa: SLF001 - asyncio has no other place to see each step
    with steps.open("a", encoding="utf-8", buffering=1) as file:

        def run_and_note(handle: Any) -> Any:
            start = time.thread_time()
            try:
                return run_step(handle)
            finally:
                seconds = time.thread_time() - start
                if seconds > 0.0002:
                    file.write(f"{seconds}\n")

        events.Handle._run = run_and_note  # type: ignore[method-assign]  # noqa: SLF001
        sys.argv = ["roadster-mcp", *arguments]
        start_command()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(main())
