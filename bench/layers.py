"""The share of each layer in the CPU time of a read, by cProfile: `python -m bench --profile`.

A profile makes small functions dearer than they are, so read the order of the layers, not the percents.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.servers.configuration import ONE_CALLER, write_config
from bench.servers.connections import start_server
from bench.servers.processes import start_process
from bench.speed import our_arguments

LAYERS = {
    "audit and store": ("roadster_server/store", "sqlalchemy", "sqlite", "aiosqlite"),
    "calls and limits": ("roadster_server/calls", "roadster_server/stored", "roadster_server/telemetry", "limits/"),
    "gate and tools": ("roadster_tools",),
    "client": ("roadster_client",),
    "HTTP": ("httpx2", "httpcore2", "h11", "uvicorn", "starlette"),
    "SDK": ("/mcp/", "mcp_types", "roadster_server/protocol", "roadster_server/transports"),
    "pydantic": ("pydantic",),
    "logging": ("/logging/",),
    "event loop": ("asyncio", "selectors", "anyio"),
}


def print_layers(calls: int) -> None:
    """Prints the share of each layer in the calls after the first ten. What belongs to none counts as `rest`."""
    with_start, of_start = _profile(calls + 10), _profile(10)
    seconds = Counter({layer: own - of_start[layer] for layer, own in with_start.items()})
    for layer, own in seconds.most_common():
        print(f"{layer:18} {own / seconds.total():6.1%}")


def _profile(calls: int) -> Counter[str]:
    """Returns the seconds of each layer in one run of the server. A built-in function counts for its caller."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url, _ = stack.enter_context(start_process("sandbox", path="/openapi.json"))
        config, stats = write_config(Path(folder), url, ONE_CALLER), Path(folder, "stats")
        command = (sys.executable, "-m", "bench.layers", str(stats), "serve", "--config", str(config))
        server = stack.enter_context(start_server("roadster-mcp", our_arguments, *command))
        server.measure("get_vehicle", calls)
        assert server.process.stdin is not None
        server.process.stdin.close()
        server.process.wait()
        seconds = Counter[str]()
        for (file, _, name), (_, _, own, _, callers) in pstats.Stats(str(stats)).stats.items():  # type: ignore[attr-defined]
            if "epoll" in name:
                continue  # it waits
            if file == "~":
                for (caller, _, _), (_, _, part, _) in callers.items():
                    seconds[_layer(caller)] += part
            else:
                seconds[_layer(file)] += own
        return seconds


def _layer(place: str) -> str:
    return next((layer for layer, parts in LAYERS.items() if any(part in place for part in parts)), "rest")


def serve(stats: Path, arguments: list[str]) -> None:
    """Runs the command line under the profiler, and keeps its figures in a file."""
    from roadster_server.__main__ import main as start_command  # noqa: PLC0415 - only the server needs it

    sys.argv = ["roadster-mcp", *arguments]
    profile = cProfile.Profile()
    try:
        profile.runcall(start_command)
    except SystemExit:
        profile.dump_stats(stats)
        raise


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2:])
