"""How long a stdio host waits for the server: from the start of the process to the answer of `tools/list`.

    .venv/bin/python -m bench.cold_start [--runs 15] [--limit 1.25]

Measures two servers in turns: ours, with a configuration that grants every tool, and a bare `MCPServer` of the SDK with
a single tool, which is the least that any Python server of this SDK takes. Before that, each is started once without
counting. This start compiles the bytecode and fills the disk's cache.

Read the ratio of the medians: 1.00 is as fast as a bare server. The milliseconds depend on the machine. Exits with 1 if
the ratio is above the limit. If `fastest` and `median` are far apart, another program was running, so repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Timer
from typing import IO, Any

CONFIG = """
[roadster]
api_key = "env:ROADSTER_API_KEY"

[dealers.umazda]
partner_id = "51101"

[callers.local]
dealers = ["umazda"]
[callers.local.access]
dealers = "read"
inventory = "read"
payments = "read"
customers = "write"
links = "read"
documents = "write"
events = "read"
"""

BARE = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")


@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b


server.run("stdio")
"""

INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "cold-start", "version": "1"},
}
GIVE_UP_SECONDS = 30
"""The longest wait for one start. After it the process is killed."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Time from start to tools/list, against a bare MCPServer.")
    parser.add_argument("--runs", type=int, default=15, help="starts of each server (default: 15)")
    parser.add_argument("--limit", type=float, default=1.25, help="highest ratio that exits with 0 (default: 1.25)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs: at least 1")

    with tempfile.TemporaryDirectory() as folder:
        config, bare = Path(folder, "roadster.toml"), Path(folder, "bare.py")
        config.write_text(CONFIG, encoding="utf-8")
        bare.write_text(BARE, encoding="utf-8")
        commands = {
            "roadster-mcp": [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)],
            "bare MCPServer": [sys.executable, str(bare)],
        }
        times = measure(commands, options.runs)

    for name, seconds in times.items():
        print(f"{name:14}  median {statistics.median(seconds) * 1000:5.0f} ms  fastest {min(seconds) * 1000:5.0f} ms")
    ours, theirs = (statistics.median(seconds) for seconds in times.values())
    ratio = ours / theirs
    print(f"ratio of the medians {ratio:.2f}, limit {options.limit:.2f}, {options.runs} starts of each")
    return int(ratio > options.limit)


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Returns the seconds of each start. Every other round goes backwards, so no server is always the first."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        start(command)
    for turn in range(runs):
        for name in list(commands)[:: -1 if turn % 2 else 1]:
            times[name].append(start(commands[name]))
    return times


def start(command: list[str]) -> float:
    """Starts `command`, lists its tools, and ends it. Returns the seconds until the list arrived."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "ROADSTER_API_KEY": "not-a-key"}
    with tempfile.TemporaryFile("w+") as stderr:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        )
        watch = Timer(GIVE_UP_SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            send(process.stdin, "initialize", INITIALIZE, number=1)
            read_answer(process.stdout, 1)
            send(process.stdin, "notifications/initialized")
            send(process.stdin, "tools/list", {}, number=2)
            result = read_answer(process.stdout, 2)
            seconds = time.perf_counter() - begin
            assert result["tools"]
            process.stdin.close()
            process.wait()
        except (OSError, EOFError) as error:
            process.kill()
            stderr.seek(0)
            raise SystemExit(f"{' '.join(command)}: did not answer\n{stderr.read()}") from error
        finally:
            watch.cancel()
            process.kill()
            process.wait()
    return seconds


def send(stdin: IO[str], method: str, params: dict[str, Any] | None = None, number: int | None = None) -> None:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    if number is not None:
        message["id"] = number
    stdin.write(json.dumps(message) + "\n")
    stdin.flush()


def read_answer(stdout: IO[str], number: int) -> dict[str, Any]:
    """Returns the result of request `number`. Skips other messages of the server."""
    for line in stdout:
        message = json.loads(line)
        if message.get("id") == number:
            result: dict[str, Any] = message["result"]
            return result
    raise EOFError


if __name__ == "__main__":
    sys.exit(main())
