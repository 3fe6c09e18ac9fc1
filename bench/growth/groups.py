"""A group of dealers: its configuration in 20 files, and what a server of it costs.

A row of bench.growth is made of this. A server of 3,000 dealers has 5,000 callers, 500 groups and 50 rules.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.servers.configuration import VIN
from bench.servers.connections import Server, start_server
from bench.servers.processes import memory_of
from roadster_server.settings.loading import load

_FILES = 20
_RULES = 50
_MAIN = """
include = ["group.d/*.toml"]

[roadster]
base_url = "{url}/v1"
api_key = "env:ROADSTER_API_KEY"

[mykaarma]
username = "env:ROADSTER_API_KEY"
password = "env:ROADSTER_API_KEY"
requester_user_uuid = "bench"

[store]
url = "sqlite:///{folder}/store.db"

[http]
anonymous_caller = "local"
resource_url = "https://mcp.example.com/mcp"

[callers.local]
role = "sales"
dealers = {groups}

[roles.sales]
access = {{ inventory = "read", payments = "read", customers = "confirm" }}
calls_per_minute = 1000000

[identity.work]
issuer = "https://login.example.com"
audiences = ["https://mcp.example.com/mcp"]
"""
_RULE = """
[[identity.work.people]]
match = {{ groups = "group-{number}" }}
role = "sales"
dealers = ["group:{group}"]
"""


def write_group(folder: Path, dealers: int, url: str) -> Path:
    """Writes the configuration of a group, and returns its path."""
    names = ["umazda", *(f"dealer{number}" for number in range(1, dealers))]
    groups = max(1, dealers // 6)
    parts: list[list[str]] = [[] for _ in range(_FILES)]
    for number, name in enumerate(names):
        part = [f"[dealers.{name}]", f'partner_id = "{51_101 + number}"']
        if number % 2 == 0:
            part.append(f'mykaarma_dealer_uuid = "uuid-{number:08}"')
        if number % 3 == 0:
            part += [f'express_host = "{name}.example.com"', 'link_key = "env:ROADSTER_API_KEY"']
        parts[number % _FILES] += part
    for number in range(groups):
        parts[number % _FILES] += [f"[dealer_groups.g{number}]", f"dealers = {json.dumps(names[number::groups])}"]
    for number in range(dealers * 5 // 3):
        digest = sha256(f"{number}".encode()).hexdigest()
        parts[number % _FILES] += [
            f"[callers.caller{number}]",
            f'token_sha256 = ["{digest}"]',
            'role = "sales"',
            f'dealers = ["group:g{number % groups}"]',
        ]
    (folder / "group.d").mkdir()
    for number, part in enumerate(parts):
        (folder / "group.d" / f"{number:02}.toml").write_text("\n".join(part), encoding="utf-8")
    main = _MAIN.format(url=url, folder=folder, groups=json.dumps([f"group:g{number}" for number in range(groups)]))
    rules = [_RULE.format(number=number, group=f"g{number % groups}") for number in range(_RULES)]
    config = folder / "roadster.toml"
    config.write_text(main + "".join(rules), encoding="utf-8")
    return config


def measure(dealers: int, url: str, calls: int) -> dict[str, float]:
    """Returns milliseconds of CPU by kind of work, and MiB of memory. `calls` are made of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_group(Path(folder), dealers, url)
        with _server(config) as server:
            start = server.cpu_seconds()
        with _server(config, "--transport", "http", "--port", protocol="2026-07-28") as server:
            server.measure("get_vehicle", 10)
            call = [_cpu_of_call(server) for _ in range(calls)]
            longest = [_longest_call_of_a_reload(server, calls) for _ in range(3)]
            memory = memory_of(server.process.pid)
            server.arguments = lambda _: {"vin": VIN, "dealer": "dealer01"}
            refusal = [_cpu_of_call(server, fails=True) for _ in range(calls)]
        return {
            "start, ms": start * 1000,
            "call, ms": statistics.median(call) * 1000,
            "refusal, ms": statistics.median(refusal) * 1000,
            "load, ms": _seconds_of_load(config) * 1000,
            "longest call during a reload, ms": statistics.median(longest) * 1000,
            "memory, MiB": memory,
        }


@contextmanager
def _server(config: Path, *options: str, protocol: str | None = None) -> Iterator[Server]:
    command = (sys.executable, "-m", "roadster_server", "serve", "--config", str(config), *options)

    def arguments(_tool: str) -> dict[str, Any]:
        return {"vin": VIN, "dealer": "umazda"}

    with start_server("group", arguments, *command, protocol=protocol) as server:
        yield server


def _cpu_of_call(server: Server, *, fails: bool = False) -> float:
    before = server.cpu_seconds()
    server.call("get_vehicle", fails=fails)
    return server.cpu_seconds() - before


def _longest_call_of_a_reload(server: Server, calls: int) -> float:
    """Returns the CPU that the process uses during the longest call, with that of the reload in it."""
    server.process.send_signal(signal.SIGHUP)
    return max(_cpu_of_call(server) for _ in range(calls))


def _seconds_of_load(config: Path) -> float:
    os.environ["ROADSTER_API_KEY"] = "sandbox-key"
    seconds = []
    for _ in range(3):
        before = time.process_time()
        load(config).derive()
        seconds.append(time.process_time() - before)
    return statistics.median(seconds)
