"""The costs of a start for a stdio host: CPU time and wall time from the start of the process to its first answers.

    .venv/bin/python -m bench.cold_start [--runs 15] [--server PYTHON]

Measures servers in turns: ours, with a configuration that grants most tools, and a bare `MCPServer` of the SDK with
three typed tools. `--server` adds ours of another environment, such as an older version. Each is started once without
counting: this start compiles the bytecode and fills the disk's cache. The moments are the answers of `initialize` and
of `tools/list`, and that of one read with one request to the sandbox.

Read the ratios of the medians: 1.00 is as fast as the bare server. The milliseconds depend on the machine. If `fastest`
and `median` are far apart, another program was running, so repeat.
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

from bench.servers.configuration import PARTNER_ID, VIN, write_config
from bench.servers.processes import cpu_clock, start_process

_CALLER = """
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

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "cold-start", "version": "1"},
}
VEHICLE = {"vin": VIN}
CALL = {"name": "get_vehicle", "arguments": VEHICLE}
BARE_CALL = {"name": "get_vehicle", "arguments": {**VEHICLE, "partner_id": PARTNER_ID}}
MOMENTS = ("first answer", "tools/list", "first call")
GIVE_UP_SECONDS = 60
"""The longest wait for one start. After it the process is killed."""

Times = dict[str, tuple[float, float]]
"""Seconds of CPU and of the clock, by moment."""


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU time of a start, against a bare MCPServer.")
    parser.add_argument("--runs", type=int, default=15, help="starts of each server (default: 15)")
    parser.add_argument("--server", help="the Python of an environment with another version of this server")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs: at least 1")

    with tempfile.TemporaryDirectory() as folder, start_process("sandbox", path="/openapi.json") as (url, _):
        commands = both_commands(Path(folder), url)
        if options.server:
            commands["other"] = serve(options.server, Path(folder, "other"), url)
        starts = measure(commands, options.runs)

    for place, moment in enumerate(MOMENTS):
        for kind, unit in enumerate(("CPU", "wall")):
            bare = statistics.median(times[moment][kind] for times in starts["bare"])
            for name, all_times in starts.items():
                seconds = [times[moment][kind] for times in all_times]
                median, fastest = statistics.median(seconds), min(seconds)
                print(
                    f"{moment:12}  {unit:4}  {name:5}  median {median * 1000:5.0f} ms  "
                    f"fastest {fastest * 1000:5.0f} ms  ratio {median / bare:.2f}"
                )
        if place < len(MOMENTS) - 1:
            print()
    return 0


def both_commands(folder: Path, url: str) -> dict[str, list[str]]:
    return {
        "bare": [sys.executable, "-m", "bench.servers.peers.typed_tools", url],
        "ours": serve(sys.executable, folder / "ours", url),
    }


def serve(python: str, folder: Path, url: str) -> list[str]:
    """Returns the command of ours, with a store of its own."""
    folder.mkdir()
    config = write_config(folder, url, _CALLER)
    return [python, "-m", "roadster_server", "serve", "--config", str(config)]


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[Times]]:
    """Returns the times of each start. Every other round goes backwards, so no server is always the first."""
    starts: dict[str, list[Times]] = {name: [] for name in commands}
    for name, command in commands.items():
        start(name, command)
    for turn in range(runs):
        for name in list(commands)[:: -1 if turn % 2 else 1]:
            starts[name].append(start(name, commands[name]))
    return starts


def start(name: str, command: list[str]) -> Times:
    """Starts `command`, lists its tools, makes a call, and ends it."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "ROADSTER_API_KEY": "sandbox-key"}
    times: Times = {}
    with tempfile.TemporaryFile("w+") as stderr:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        )

        def mark(moment: str) -> None:
            times[moment] = (time.clock_gettime(cpu_clock(process.pid)), time.perf_counter() - begin)

        watch = Timer(GIVE_UP_SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            send(process.stdin, "initialize", INITIALIZE, number=1)
            read_answer(process.stdout, 1)
            mark("first answer")
            send(process.stdin, "notifications/initialized")
            send(process.stdin, "tools/list", {}, number=2)
            result = read_answer(process.stdout, 2)
            mark("tools/list")
            assert result["tools"]
            send(process.stdin, "tools/call", BARE_CALL if name == "bare" else CALL, number=3)
            result = read_answer(process.stdout, 3)
            mark("first call")
            assert not result.get("isError"), result
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
    return times


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
