"""CPU time of a call beside servers that do the same work without gate, audit and masking.

    .venv/bin/python -m bench.speed [--rounds 7] [--calls 100] [--only TOOL] [--over stdio|2025-11-25|2026-07-28]

Starts the sandbox in a process of its own, and each server: ours with all tools at "write", a bare `MCPServer` of the
SDK with typed tools, its low-level `Server`, and FastMCP's server made from the sandbox's OpenAPI description, where
`make .venv-peers/.installed` has installed FastMCP. Over HTTP, the others keep no sessions. Each round makes the same
calls at every server, one server after another, and every other round goes backwards. Read the ratios of the medians:
the milliseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.processes import cpu_clock, free_port, start_process, wait_for_port

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
writes_per_hour = 1000000
calls_per_minute = 1000000

[http]
anonymous_caller = "local"
"""

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
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

    def request(self, method: str, params: Mapping[str, Any], *, fails: bool = False) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        number = next(self._ids)
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                if "error" in message or message["result"].get("isError", False) != fails:
                    raise SystemExit(f"{self.name}: {method} failed: {line[:500]}")
                result: dict[str, Any] = message["result"]
                return result
        raise SystemExit(f"{self.name}: ended during {method}")

    def initialize(self) -> None:
        client = {"name": "speed", "version": "1"}
        self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.request("tools/list", {})

    def call(self, tool: str, *, fails: bool = False) -> None:
        self.request("tools/call", {"name": tool, "arguments": self.arguments(tool)}, fails=fails)

    def measure(self, tool: str, calls: int) -> None:
        cpu, wall = self.cpu_seconds(), time.perf_counter()
        for _ in range(calls):
            self.call(tool)
        self.cpu.setdefault(tool, []).append((self.cpu_seconds() - cpu) / calls)
        self.wall.setdefault(tool, []).append((time.perf_counter() - wall) / calls)

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def cpu_seconds(self) -> float:
        return time.clock_gettime(cpu_clock(self.process.pid))


@dataclass
class HttpServer(Server):
    """A server over HTTP, with a session where the protocol and the server have them."""

    port: int = 0
    protocol: str = "2026-07-28"

    def request(self, method: str, params: Mapping[str, Any], *, fails: bool = False) -> dict[str, Any]:
        if self.protocol == "2026-07-28":
            params = {**params, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": self.protocol,
            "Mcp-Method": method,
            **({"Mcp-Name": params["name"]} if "name" in params else {}),
            **({"Mcp-Param-dealer": dealer} if (dealer := params.get("arguments", {}).get("dealer")) else {}),
        }
        try:
            response, text = self._post(body, headers)
        except (BrokenPipeError, http.client.RemoteDisconnected):
            self._connection.close()  # the server has closed it, because the others had their turn meanwhile
            response, text = self._post(body, headers)
        if response.status != 200 or ('"isError":true' in text) != fails or '"error":' in text[:60]:
            raise SystemExit(f"{self.name}: {method} failed: {response.status} {text[:500]}")
        self._session = {"Mcp-Session-Id": id_} if (id_ := response.getheader("mcp-session-id")) else self._session
        return {}

    def _post(self, body: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, str]:
        self._connection.request("POST", "/mcp", body, {**headers, **self._session})
        response = self._connection.getresponse()
        return response, response.read().decode()

    def initialize(self) -> None:
        wait_for_port(self.port, self.process)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port)
        self._session: dict[str, str] = {}
        if self.protocol != "2026-07-28":
            client = {"name": "speed", "version": "1"}
            self.request("initialize", {"protocolVersion": self.protocol, "capabilities": {}, "clientInfo": client})
        self.request("tools/list", {})


@contextmanager
def start_server(name: str, arguments: Any, *command: str, protocol: str | None = None) -> Iterator[Server]:
    """Yields a server over stdio, or one over HTTP with this protocol, to whose command its port is added."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ROADSTER_API_KEY": "sandbox-key"}
    port = free_port()
    process = subprocess.Popen(
        command if protocol is None else [*command, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        server = (
            Server(name, arguments, process)
            if protocol is None
            else HttpServer(name, arguments, process, port=port, protocol=protocol)
        )
        server.initialize()
        yield server
    finally:
        process.kill()
        process.wait()


FASTMCP = Path(".venv-peers/bin/python")
WAYS = ("stdio", "2025-11-25", "2026-07-28")
"""The transports: stdio, and HTTP in both eras."""


class CallCost(NamedTuple):
    """The median seconds of one call."""

    cpu: float
    wall: float


def compare(way: str, tools: Sequence[str], rounds: int, calls: int) -> dict[str, dict[str, CallCost]]:
    """Returns what a call costs, by tool and server. The first server is ours."""
    with ExitStack() as stack:
        servers = _start_all(stack, way)
        for server in servers:
            for tool in tools:
                server.measure(tool, 20)
            server.cpu.clear()
            server.wall.clear()
        for turn in range(rounds):
            for tool in tools:
                for server in servers[:: -1 if turn % 2 else 1]:
                    server.measure(tool, calls)
        return {
            tool: {
                server.name: CallCost(statistics.median(server.cpu[tool]), statistics.median(server.wall[tool]))
                for server in servers
            }
            for tool in tools
        }


def _start_all(stack: ExitStack, way: str) -> list[Server]:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    url, _ = stack.enter_context(start_process("sandbox", path="/openapi.json"))
    config = Path(folder, "roadster.toml")
    config.write_text(CONFIG.format(url=url, folder=folder), encoding="utf-8")
    protocol = None if way == "stdio" else way
    ours = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    if protocol is not None:
        ours += ["--transport", "http", "--port"]
    peers = {
        "MCPServer": (typed_arguments, (sys.executable, "-m", "bench.peers.typed_tools", url)),
        "low-level Server": (typed_arguments, (sys.executable, "-m", "bench.peers.lowlevel_tools", url)),
    }
    if FASTMCP.exists():
        peers["FastMCP, OpenAPI"] = (openapi_arguments, (str(FASTMCP), "-m", "bench.peers.openapi_tools", url))
    servers = [stack.enter_context(start_server("roadster-mcp", our_arguments, *ours, protocol=protocol))]
    for name, (arguments, command) in peers.items():
        servers.append(stack.enter_context(start_server(name, arguments, *command, protocol=protocol)))
    return servers


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU time of a call, beside servers that only pass it on.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100, help="of each tool at each server in each round")
    parser.add_argument("--only", choices=TOOLS, action="append")
    parser.add_argument("--over", choices=WAYS, default="stdio")
    options = parser.parse_args()
    for tool, costs in compare(options.over, options.only or TOOLS, options.rounds, options.calls).items():
        ours = next(iter(costs.values()))
        for name, cost in costs.items():
            ratio = ours.cpu / cost.cpu if cost.cpu else 0
            print(f"{tool:16} {name:18} {cost.cpu * 1000:6.2f} ms CPU {cost.wall * 1000:6.2f} ms wall  {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
