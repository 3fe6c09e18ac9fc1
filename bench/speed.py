"""CPU time of a call beside servers that do the same work without gate, audit and masking.

    .venv/bin/python -m bench.speed [--rounds 7] [--calls 100] [--fastmcp PYTHON] [--only TOOL] [--profile TOOL]

Starts the sandbox in a process of its own, and each server over stdio: ours with all tools at "write", a bare
`MCPServer` of the SDK with typed tools, and, where `--fastmcp` names a Python that has FastMCP, its server made from
the sandbox's OpenAPI description. Each round makes the same calls at every server, one server after another, and every
other round goes backwards. Read the ratios of the medians: the milliseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import start_process

VIN, PARTNER_ID = "3MVDMBBM0SM472067", "51101"
CONFIG = """
[roadster]
base_url = "{url}/v1"
api_key = "env:ROADSTER_API_KEY"

[store]
url = "sqlite:///{folder}/store.db"

[dealers.umazda]
partner_id = "51101"

[callers.local]
dealers = ["umazda"]
personal_data = "contact"
access = {{ inventory = "read", payments = "read", customers = "write" }}
"""

_numbers = itertools.count(1)


def customer() -> dict[str, str]:
    return {"first_name": "Steve", "last_name": "McQueen", "email": f"steve.{next(_numbers)}@example.com"}


def our_arguments(tool: str) -> dict[str, Any]:
    if tool == "create_customer":
        return {"customer": customer(), "idempotency_key": f"bench-write-{next(_numbers)}"}
    return {"vin": VIN}


def body_of(tool: str) -> dict[str, Any]:
    """Returns the body of the upstream request, as the documents have it."""
    dealer = {"dealer": {"dpid": "umazda"}}
    if tool == "create_customer":
        return {**dealer, "customer": customer(), "vehicle": {"vin": VIN}}
    return {**dealer, "customer": {}, "vehicle": {"vin": VIN}}


def typed_arguments(tool: str) -> dict[str, Any]:
    return {"vin": VIN, "partner_id": PARTNER_ID} if tool == "get_vehicle" else {"body": body_of(tool)}


def openapi_arguments(tool: str) -> dict[str, Any]:
    return {"vin": VIN, "dealer[partner_id]": PARTNER_ID} if tool == "get_vehicle" else body_of(tool)


TOOLS = ("get_vehicle", "quote_payments", "create_customer")


@dataclass
class Server:
    """A server over stdio, and the CPU and wall seconds of its calls, by tool."""

    name: str
    arguments: Any
    process: subprocess.Popen[str]
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        number = next(self._ids)
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                if "error" in message or message["result"].get("isError"):
                    raise SystemExit(f"{self.name}: {method} failed: {line[:500]}")
                result: dict[str, Any] = message["result"]
                return result
        raise SystemExit(f"{self.name}: ended during {method}")

    def initialize(self) -> None:
        client = {"name": "speed", "version": "1"}
        self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.request("tools/list", {})

    def measure(self, tool: str, calls: int) -> None:
        cpu, wall = self.cpu_seconds(), time.perf_counter()
        for _ in range(calls):
            self.request("tools/call", {"name": tool, "arguments": self.arguments(tool)})
        self.cpu.setdefault(tool, []).append((self.cpu_seconds() - cpu) / calls)
        self.wall.setdefault(tool, []).append((time.perf_counter() - wall) / calls)

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def start_server(name: str, arguments: Any, *command: str) -> Iterator[Server]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ROADSTER_API_KEY": "sandbox-key"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        server = Server(name, arguments, process)
        server.initialize()
        yield server
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU time of a call, beside servers that only pass it on.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100, help="of each tool at each server in each round")
    parser.add_argument("--fastmcp", help="a Python that has FastMCP")
    parser.add_argument("--only", choices=TOOLS, action="append")
    options = parser.parse_args()
    tools = options.only or TOOLS

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url, _ = stack.enter_context(start_process("sandbox", path="/openapi.json"))
        config = Path(folder, "roadster.toml")
        config.write_text(CONFIG.format(url=url, folder=folder), encoding="utf-8")
        ours = (sys.executable, "-m", "roadster_server", "serve", "--config", str(config))
        bare = (sys.executable, "-m", "bench.peers.typed_tools", url)
        servers = [
            stack.enter_context(start_server("roadster-mcp", our_arguments, *ours)),
            stack.enter_context(start_server("typed tools", typed_arguments, *bare)),
        ]
        if options.fastmcp:
            openapi = (options.fastmcp, "-m", "bench.peers.openapi_tools", url)
            servers.append(stack.enter_context(start_server("FastMCP", openapi_arguments, *openapi)))
        for server in servers:
            for tool in tools:
                server.measure(tool, 20)
            server.cpu.clear()
            server.wall.clear()
        for turn in range(options.rounds):
            for tool in tools:
                for server in servers[:: -1 if turn % 2 else 1]:
                    server.measure(tool, options.calls)
    for tool in tools:
        first = statistics.median(servers[0].cpu[tool])
        for server in servers:
            cpu, wall = statistics.median(server.cpu[tool]), statistics.median(server.wall[tool])
            ratio = f"ours is {first / cpu:.2f} times that" if server is not servers[0] else ""
            print(f"{tool:16} {server.name:12} {cpu * 1000:6.2f} ms CPU {wall * 1000:6.2f} ms wall  {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
