"""Update notifications: followers of a customer hear of each event that comes by web hook, in both eras."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceUpdatedNotification

from roadster_server.calls.results import FAILURE_META
from roadster_server.protocol.subscriptions import MOST_ADDRESSES
from tests.servers import PATIENCE, free_port, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed"),
]

CONFIG = """
[roadster]
base_url = "http://127.0.0.1:9/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "sqlite:///{folder}/store.db"
[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
[dealers.umazda]
[dealers.toyotademo]
"""
CALLER = """
[callers.{name}]
token_sha256 = ["{digest}"]
dealers = {dealers}
access = {{ events = "{level}" }}
"""
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "WEBHOOK_KEY": "our-own-key"}
STEVE = "roadster://umazda/customers/1650260"
ERAS = ("http 2026-07-28", "http legacy", "sse")


def callers(level: str = "read") -> str:
    dealers_of = {"bot": ["umazda"], "other": ["toyotademo"]}
    return "".join(
        CALLER.format(
            name=name,
            digest=hashlib.sha256(f"{name}-token".encode()).hexdigest(),
            dealers=json.dumps(dealers),
            level=level,
        )
        for name, dealers in dealers_of.items()
    )


class RunningServer:
    """A server, with the actions of its tests."""

    def __init__(self, port: int, config: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._config = config
        self._head = config.read_text()
        self._count = 0

    async def event(self, customer: int = 1650260, dealer: str = "umazda") -> None:
        self._count += 1
        event = {
            "event_id": f"event-{self._count}",
            "event_type": "customer_started_purchase",
            "event_time": "2026-03-01T10:00:00-08:00",
            "customer": {"id": customer, "email": "steve@example.com", "first_name": "Steve"},
            "dealer": {"dpid": dealer},
            "api_partner": {"name": "api.partner"},
        }
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer our-own-key"}, timeout=PATIENCE) as http:
            answer = await http.post(f"{self.url}/webhooks/roadster", json=event)
            answer.raise_for_status()

    async def allow(self, level: str) -> None:
        """Changes what callers may do, and returns once that is in force."""
        self._config.write_text(self._head.replace('events = "read"', f'events = "{level}"'))
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer bot-token"}, timeout=PATIENCE) as http,
            Client(streamable_http_client(f"{self.url}/mcp", http_client=http)) as client,
        ):
            with anyio.fail_after(PATIENCE):
                while bool((await client.list_tools(cache_mode="bypass")).tools) != (level == "read"):
                    await anyio.sleep(0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("updates")
    config = folder / "roadster.toml"
    config.write_text(CONFIG.format(folder=folder) + callers())
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/readyz", **SECRETS):
        yield RunningServer(port, config)


class Follower:
    """A client that follows addresses. `uris` are those of its notifications."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._one_more = anyio.Event()

    async def add(self, uri: str) -> None:
        self.uris.append(uri)
        self._one_more.set()

    async def until(self, count: int) -> list[str]:
        with anyio.fail_after(PATIENCE):
            while len(self.uris) < count:
                await self._one_more.wait()
                self._one_more = anyio.Event()
        return self.uris


@asynccontextmanager
async def following(server: RunningServer, era: str, *uris: str, name: str = "bot") -> AsyncIterator[Follower]:
    follower = Follower()
    headers = {"Authorization": f"Bearer {name}-token"}

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            await follower.add(str(message.params.uri))

    if era == "sse":
        async with Client(
            sse_client(f"{server.url}/sse", headers=headers), mode="legacy", message_handler=on_message
        ) as client:
            await subscribe_to(client, uris)
            yield follower
        return
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{server.url}/mcp", http_client=http),
            mode=era.removeprefix("http "),
            message_handler=on_message if era == "http legacy" else None,
        ) as client,
    ):
        if era == "http legacy":
            await subscribe_to(client, uris)
            yield follower
            return
        async with client.listen(resource_subscriptions=list(uris)) as stream, anyio.create_task_group() as tasks:

            async def hear() -> None:
                with suppress(SubscriptionLost):  # once the caller has lost the right
                    async for event in stream:
                        await follower.add(event.uri)  # type: ignore[union-attr]

            tasks.start_soon(hear)
            yield follower
            tasks.cancel_scope.cancel()


async def subscribe_to(client: Client, uris: tuple[str, ...]) -> None:
    for uri in uris:
        await client.session.subscribe_resource(uri)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_server_promises_updates_of_resources_and_changes_of_lists(mode: str, server: RunningServer) -> None:
    async with (
        httpx2.AsyncClient(headers={"Authorization": "Bearer bot-token"}, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
    ):
        capabilities = client.server_capabilities
    assert capabilities.resources is not None
    assert capabilities.resources.subscribe
    for capability in (capabilities.tools, capabilities.prompts, capabilities.resources):
        assert capability is not None
        assert capability.list_changed


@pytest.mark.parametrize("era", ERAS)
async def test_follower_hears_only_of_their_customer(era: str, server: RunningServer) -> None:
    async with following(server, era, STEVE) as follower:
        await server.event(customer=7)
        await server.event(dealer="toyotademo")
        await server.event()
        assert await follower.until(1) == [STEVE]
        await server.event()
        assert await follower.until(2) == [STEVE, STEVE]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("roadster://toyotademo/customers/1650260", "refused"),
        ("roadster://nobody/customers/1650260", "refused"),
        ("roadster://umazda", "invalid_arguments"),
        ("roadster://umazda/customers/01650260", "invalid_arguments"),
    ],
)
async def test_follower_needs_the_right_to_read(uri: str, kind: str, era: str, server: RunningServer) -> None:
    with pytest.raises((MCPError, ExceptionGroup)) as error:
        async with following(server, era, uri):
            pytest.fail("the address is followed")
    error: Any = error.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert error.error.data[FAILURE_META] == kind


async def test_stream_follows_only_addresses_that_its_caller_may_read(server: RunningServer) -> None:
    foreign = "roadster://toyotademo/customers/1650260"
    async with following(server, "http 2026-07-28", foreign, STEVE) as follower:
        await server.event(dealer="toyotademo")
        await server.event()
        assert await follower.until(1) == [STEVE]


@pytest.mark.parametrize("era", ERAS)
async def test_follower_that_loses_the_right_hears_no_more(era: str, server: RunningServer) -> None:
    """Its stream ends. A client that follows anew, once it may again, hears only of what comes then."""
    async with following(server, era, STEVE) as follower:
        await server.allow("off")
        await server.event()
        await server.allow("read")
        assert follower.uris == []
    async with following(server, era, STEVE) as follower:
        await server.event()
        assert await follower.until(1) == [STEVE]


async def test_follower_of_too_many_addresses_is_refused(server: RunningServer) -> None:
    many = [f"roadster://umazda/customers/{number}" for number in range(1, MOST_ADDRESSES + 2)]
    with pytest.raises((MCPError, ExceptionGroup)):
        async with following(server, "http 2026-07-28", *many):
            pytest.fail("they are followed")


async def test_follower_of_one_address_many_times_takes_one_place(server: RunningServer) -> None:
    """A session takes its place before the gate decides. After unsubscribing it hears no more."""
    uris: list[str] = []
    one = anyio.Event()

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            uris.append(str(message.params.uri))
            one.set()

    headers = {"Authorization": "Bearer bot-token"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{server.url}/mcp", http_client=http), mode="legacy", message_handler=on_message
        ) as client,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.session.subscribe_resource, STEVE)
        await server.event()
        with anyio.fail_after(PATIENCE):
            await one.wait()
        await client.session.unsubscribe_resource(STEVE)
        await server.event()
        await client.session.subscribe_resource("roadster://umazda/customers/7")
        one = anyio.Event()
        await server.event(customer=7)
        with anyio.fail_after(PATIENCE):
            await one.wait()
    assert uris == [STEVE, "roadster://umazda/customers/7"]


async def test_followers_are_counted_before_the_gate_decides(server: RunningServer) -> None:
    refusals = 0
    headers = {"Authorization": "Bearer bot-token"}

    async def follow(client: Client, number: int) -> None:
        nonlocal refusals
        try:
            await client.session.subscribe_resource(f"roadster://umazda/customers/{number}")
        except MCPError:
            refusals += 1

    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode="legacy") as client,
        anyio.create_task_group() as tasks,
    ):
        for number in range(1, MOST_ADDRESSES + 21):
            tasks.start_soon(follow, client, number)
    assert refusals == 20
