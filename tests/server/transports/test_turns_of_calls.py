"""Calls of one caller that wait for an upstream hold up no further call of the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from roadster_client import Operation
from roadster_sandbox import SandboxTransport
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.settings import Settings
from tests.conftest import World, answer_of, settings_for
from tests.servers import PATIENCE
from tests.tool_examples import SOME_VIN, VIN_OF_LONGEST_QUOTE
from tests.upstreams import WatchedNetwork, reply

from .listening import listening

pytestmark = pytest.mark.anyio

UMAZDA = {"dealer": "umazda"}


@pytest.fixture(autouse=True)
def _patient_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt ends because of its deadline."""
    operations = Settings.operations

    def with_patience(settings: Settings) -> Mapping[str, Operation]:
        return {name: replace(operation, deadline=1_000.0) for name, operation in operations(settings).items()}

    monkeypatch.setattr(Settings, "operations", with_patience)


@asynccontextmanager
async def open_client(store_url: str, network: httpx2.AsyncBaseTransport) -> AsyncIterator[Client]:
    async with (
        listening(LiveSettings(settings_for(store_url, "local")), network) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode="2026-07-28") as client,
    ):
        yield client


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.01)


async def test_call_with_one_of_two_answers_has_no_turn(world: World, store_url: str) -> None:
    sandbox = SandboxTransport(world.app)
    release = anyio.Event()
    paths: list[str] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/payments"):
            paths.append("payments")
            await release.wait()
            paths.append("payments answered")
        response = await sandbox.handle_async_request(request)
        if request.url.path.endswith("/vehicles"):
            paths.append("feed answered")
        return response

    async with open_client(store_url, WatchedNetwork(answer)) as client, anyio.create_task_group() as tasks:
        for vin in (SOME_VIN, VIN_OF_LONGEST_QUOTE):
            tasks.start_soon(client.call_tool, "quote_payments", {**UMAZDA, "vin": vin})
        await until(lambda: paths.count("payments") == paths.count("feed answered") == 2)
        with anyio.fail_after(PATIENCE):
            answer_of(await client.call_tool("get_dealer", UMAZDA))
        assert "payments answered" not in paths
        release.set()


async def test_call_that_waits_to_ask_again_has_no_turn(world: World, store_url: str) -> None:
    sandbox = SandboxTransport(world.app)

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if SOME_VIN in str(request.url):
            return reply(status=503, retry_after="60")
        return await sandbox.handle_async_request(request)

    network = WatchedNetwork(answer)

    def count() -> int:
        return sum(SOME_VIN in str(request.url) for _, request in network.requests)

    async with open_client(store_url, network) as client, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.call_tool, "get_vehicle", {**UMAZDA, "vin": SOME_VIN})
        await until(lambda: count() == 2)
        with anyio.fail_after(PATIENCE):
            answer_of(await client.call_tool("get_dealer", UMAZDA))
        assert count() == 2
        tasks.cancel_scope.cancel()
