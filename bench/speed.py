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
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bench.servers.configuration import ONE_CALLER, PARTNER_ID, VIN, write_config
from bench.servers.connections import Server, start_server
from bench.servers.processes import start_process

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
FASTMCP = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
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
    config = write_config(Path(folder), url, ONE_CALLER)
    protocol = None if way == "stdio" else way
    ours = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    if protocol is not None:
        ours += ["--transport", "http", "--port"]
    peers = {
        "MCPServer": (typed_arguments, (sys.executable, "-m", "bench.servers.peers.typed_tools", url)),
        "low-level Server": (typed_arguments, (sys.executable, "-m", "bench.servers.peers.lowlevel_tools", url)),
    }
    if not FASTMCP.exists():
        print("FastMCP is not installed: make .venv-peers/.installed", file=sys.stderr)
    else:
        peers["FastMCP, OpenAPI"] = (openapi_arguments, (str(FASTMCP), "-m", "bench.servers.peers.openapi_tools", url))
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
