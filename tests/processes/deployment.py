"""A deployment of several processes, which share a PostgreSQL database and a Redis server."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from redis import Redis

from roadster_server.calls.keys import Keys
from tests.servers import PATIENCE, free_port, sandbox_server, serving

CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
# The tests order faults of list_inventory, so each call must read the feed.
[inventory]
fresh_for = 0
[replicas]
redis_url = "env:REDIS_URL"
[dealers.umazda]
partner_id = "51101"
[callers.bot]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
calls_per_minute = {calls}
access = {{ inventory = "read", customers = "{level}", events = "read" }}
"""
TOKEN = "bot-token"
WEBHOOK_KEY = "our-own-key"


@dataclass
class Deployment:
    """One API key, and with it its own keys and its own channel in Redis."""

    store: str
    redis_url: str
    config: Path
    api_key: str = field(default_factory=lambda: f"key-{uuid.uuid4().hex}")
    upstream: str = field(init=False)
    _servers: ExitStack = field(default_factory=ExitStack)

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"ROADSTER_API_KEY": self.api_key, "WEBHOOK_KEY": WEBHOOK_KEY, "REDIS_URL": self.redis_url}

    @property
    def redis_name(self) -> str:
        """The channel, and what all keys in Redis begin with."""
        return Keys.derive(self.api_key).deployment

    def configure(self, *, level: str = "write", calls: int = 1000) -> None:
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        text = CONFIG.format(upstream=self.upstream, store=self.store, digest=digest, level=level, calls=calls)
        self.config.write_text(text)

    def start(self, *options: str) -> tuple[int, subprocess.Popen[bytes]]:
        """Starts a server that ends with the test, and returns its port and its process."""
        port = free_port()
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(self.config), *options)
        url = f"http://127.0.0.1:{port}/readyz"
        return port, self._servers.enter_context(serving(*command, url=url, **self.secrets))

    def writes(self) -> int:
        requests = httpx2.get(f"{self.upstream}/__sandbox/requests", timeout=PATIENCE).json()
        return sum(request["operation"] == "create_customer" for request in requests)

    def fault(self, fault: str, **options: object) -> None:
        order = {"operation": "list_inventory", "fault": fault, **options}
        httpx2.post(f"{self.upstream}/__sandbox/faults", json=order, timeout=PATIENCE).raise_for_status()

    def __enter__(self) -> Self:
        self.upstream = self._servers.enter_context(sandbox_server(self.api_key))
        self.configure()
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()


@pytest.fixture
def deployment(postgresql_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(postgresql_url, redis_url, tmp_path / "roadster.toml") as deployment:
        yield deployment
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(f"{deployment.redis_name}*"):
            redis.delete(key)


class RoundRobin(httpx2.AsyncBaseTransport):
    """A balancer without a memory: each request goes to the next server."""

    def __init__(self, *ports: int) -> None:
        self._ports = itertools.cycle(ports)
        self._network = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        port = next(self._ports)
        request.url = request.url.copy_with(port=port)
        request.headers["host"] = f"127.0.0.1:{port}"
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


@asynccontextmanager
async def client_of(*ports: int, mode: str = "auto", ask: Any = None) -> AsyncIterator[Client]:
    """A client whose requests go to the servers at `ports` in turn."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE, transport=RoundRobin(*ports)) as http,
        Client(
            streamable_http_client("http://127.0.0.1:1/mcp", http_client=http), mode=mode, elicitation_callback=ask
        ) as client,
    ):
        yield client
