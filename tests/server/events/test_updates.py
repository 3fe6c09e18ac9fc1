"""Update notifications: an event comes in by web hook, and who follows its customer is told, in both eras."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
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
    named = {"bot": ["umazda"], "other": ["toyotademo"]}
    return "".join(
        CALLER.format(
            name=name,
            digest=hashlib.sha256(f"{name}-token".encode()).hexdigest(),
            dealers=json.dumps(dealers),
            level=level,
        )
        for name, dealers in named.items()
    )


class Served:
    """A server, and what its tests do with it."""

    def __init__(self, port: int, config: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._config = config
        self._head = config.read_text()
        self._sent = 0

    async def event(self, customer: int = 1650260, dealer: str = "umazda") -> None:
        self._sent += 1
        event = {
            "event_id": f"event-{self._sent}",
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
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("updates")
    config = folder / "roadster.toml"
    config.write_text(CONFIG.format(folder=folder) + callers())
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/readyz", **SECRETS):
        yield Served(port, config)


class Follower:
    """A client that follows addresses; `told` are those it was notified of."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._one_more = anyio.Event()

    async def heard(self, uri: str) -> None:
        self.told.append(uri)
        self._one_more.set()

    async def until(self, count: int) -> list[str]:
        with anyio.fail_after(PATIENCE):
            while len(self.told) < count:
                await self._one_more.wait()
                self._one_more = anyio.Event()
        return self.told


@asynccontextmanager
async def following(served: Served, era: str, *uris: str, name: str = "bot") -> AsyncIterator[Follower]:
    follower = Follower()
    headers = {"Authorization": f"Bearer {name}-token"}

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            await follower.heard(str(message.params.uri))

    if era == "sse":
        async with Client(
            sse_client(f"{served.url}/sse", headers=headers), mode="legacy", message_handler=on_message
        ) as client:
            await subscribed(client, uris)
            yield follower
        return
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{served.url}/mcp", http_client=http),
            mode=era.removeprefix("http "),
            message_handler=on_message if era == "http legacy" else None,
        ) as client,
    ):
        if era == "http legacy":
            await subscribed(client, uris)
            yield follower
            return
        async with client.listen(resource_subscriptions=list(uris)) as stream, anyio.create_task_group() as tasks:

            async def hear() -> None:
                async for event in stream:
                    await follower.heard(event.uri)  # type: ignore[union-attr]

            tasks.start_soon(hear)
            yield follower
            tasks.cancel_scope.cancel()


async def subscribed(client: Client, uris: tuple[str, ...]) -> None:
    for uri in uris:
        await client.session.subscribe_resource(uri)


@pytest.mark.parametrize("era", ERAS)
async def test_who_follows_a_customer_is_told_of_each_event_of_theirs_alone(era: str, served: Served) -> None:
    async with following(served, era, STEVE) as follower:
        await served.event(customer=7)
        await served.event(dealer="toyotademo")
        await served.event()
        assert await follower.until(1) == [STEVE]
        await served.event()
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
async def test_what_a_caller_may_not_read_cannot_be_followed(uri: str, kind: str, era: str, served: Served) -> None:
    with pytest.raises((MCPError, ExceptionGroup)) as raised:
        async with following(served, era, uri):
            pytest.fail("the address is followed")
    error: Any = raised.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert error.error.data[FAILURE_META] == kind


async def test_a_stream_follows_those_of_its_addresses_that_its_caller_may_read(served: Served) -> None:
    foreign = "roadster://toyotademo/customers/1650260"
    async with following(served, "http 2026-07-28", foreign, STEVE) as follower:
        await served.event(dealer="toyotademo")
        await served.event()
        assert await follower.until(1) == [STEVE]


@pytest.mark.parametrize("era", ERAS)
async def test_who_has_lost_the_right_meanwhile_is_told_no_more(era: str, served: Served) -> None:
    """Two events, the first while the right is gone: the follower hears of the second alone."""
    async with following(served, era, STEVE) as follower:
        await served.allow("off")
        await served.event()
        await served.allow("read")
        assert follower.told == []
        await served.event()
        assert await follower.until(1) == [STEVE]


async def test_too_many_addresses_are_refused(served: Served) -> None:
    many = [f"roadster://umazda/customers/{number}" for number in range(1, MOST_ADDRESSES + 2)]
    with pytest.raises((MCPError, ExceptionGroup)):
        async with following(served, "http 2026-07-28", *many):
            pytest.fail("they are followed")


async def test_following_one_address_many_times_at_once_is_following_it_once(served: Served) -> None:
    """A session takes its places before the gate is asked, and what is given up is given up."""
    told: list[str] = []
    one = anyio.Event()

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            told.append(str(message.params.uri))
            one.set()

    headers = {"Authorization": "Bearer bot-token"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{served.url}/mcp", http_client=http), mode="legacy", message_handler=on_message
        ) as client,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.session.subscribe_resource, STEVE)
        await served.event()
        with anyio.fail_after(PATIENCE):
            await one.wait()
        await client.session.unsubscribe_resource(STEVE)
        await served.event()
        await client.session.subscribe_resource("roadster://umazda/customers/7")
        one = anyio.Event()
        await served.event(customer=7)
        with anyio.fail_after(PATIENCE):
            await one.wait()
    assert told == [STEVE, "roadster://umazda/customers/7"]


async def test_places_are_counted_before_the_gate_is_asked(served: Served) -> None:
    refused = 0
    headers = {"Authorization": "Bearer bot-token"}

    async def follow(client: Client, number: int) -> None:
        nonlocal refused
        try:
            await client.session.subscribe_resource(f"roadster://umazda/customers/{number}")
        except MCPError:
            refused += 1

    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{served.url}/mcp", http_client=http), mode="legacy") as client,
        anyio.create_task_group() as tasks,
    ):
        for number in range(1, MOST_ADDRESSES + 21):
            tasks.start_soon(follow, client, number)
    assert refused == 20
