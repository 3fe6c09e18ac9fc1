"""Connections to a server over stdio or HTTP, which note the CPU and the time of its calls."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from .configuration import VIN
from .processes import cpu_clock, free_port, wait_for_port

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Server:
    """A server over stdio, and the CPU and wall seconds of its calls, by tool."""

    name: str
    arguments: Callable[[str], dict[str, Any]]
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
        dealer = params.get("arguments", {}).get("dealer")
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": self.protocol,
            "Mcp-Method": method,
            **({"Mcp-Name": params["name"]} if "name" in params else {}),
            **({"Mcp-Param-dealer": dealer} if isinstance(dealer, str) else {}),
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
def start_server(
    name: str, arguments: Callable[[str], dict[str, Any]], *command: str, protocol: str | None = None
) -> Iterator[Server]:
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


@asynccontextmanager
async def open_connection(port: int, token: str) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Yields a function that calls a tool by protocol 2026-07-28 on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def call(tool: str) -> None:
        body = json.dumps(_message(tool)).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        answer = await reader.readexactly(int(answer_head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        if b'"isError":true' in answer or not answer_head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{tool} failed: {answer[:300].decode()}")

    try:
        yield call
    finally:
        writer.close()


def _message(tool: str) -> dict[str, Any]:
    params = {"name": tool, "arguments": {"vin": VIN}, "_meta": META}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
