"""Several processes of one configuration, on PostgreSQL and Redis: what holds in one holds across all of them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult
from redis.asyncio import Redis
from redis.exceptions import RedisError

from roadster_server.calls.keys import Keys
from tests.conftest import STEVE, answer_of, free_port, kind_of, run_cli, serving, text_of

pytestmark = pytest.mark.anyio

CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
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
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "WEBHOOK_KEY": "our-own-key"}
REDIS = "redis://127.0.0.1:6379"
NEW_CUSTOMER = {"customer": STEVE}
FOLLOWED = "roadster://umazda/customers/1650260"


@pytest.fixture
async def redis_url() -> AsyncIterator[str]:
    """A database of Redis's own sixteen, emptied before and after; its channel is another's too."""
    url = f"{REDIS}/15"
    redis = Redis.from_url(url)
    try:
        await redis.flushdb()
    except (RedisError, OSError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Redis at {url}: {type(error).__name__}")
    yield url
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    port = free_port()
    with serving("sandbox", "--port", str(port), url=f"http://127.0.0.1:{port}/__sandbox/state"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def fresh_world(upstream: str) -> None:
    httpx2.post(f"{upstream}/__sandbox/reset", json={}).raise_for_status()
    httpx2.delete(f"{upstream}/__sandbox/faults").raise_for_status()


def write_config(folder: Path, upstream: str, store: str, *, level: str = "write", calls: int = 1000) -> Path:
    path = folder / "roadster.toml"
    digest = hashlib.sha256(b"bot-token").hexdigest()
    path.write_text(CONFIG.format(upstream=upstream, store=store, digest=digest, level=level, calls=calls))
    return path


async def agree(_ctx: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


class InTurns(httpx2.AsyncBaseTransport):
    """A balancer without a memory: each request goes to the next server."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = itertools.cycle(ports)
        self._network = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        port = next(self._ports)
        request.url = request.url.copy_with(port=port)
        request.headers["host"] = f"127.0.0.1:{port}"
        return await self._network.handle_async_request(request)

    async def aclose(self) -> None:
        await self._network.aclose()


class Replicas:
    """Two servers, and clients of both of them."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports

    @asynccontextmanager
    async def client(self, *ports: int, mode: str = "auto", ask: Any = None) -> AsyncIterator[Client]:
        """Of those at `ports`, in turns; of all where none is given."""
        headers = {"Authorization": "Bearer bot-token"}
        balancer = InTurns(list(ports or self.ports))
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, transport=balancer) as http,
            Client(
                streamable_http_client("http://127.0.0.1:1/mcp", http_client=http), mode=mode, elicitation_callback=ask
            ) as client,
        ):
            yield client


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def two(stack: ExitStack, config: Path, redis_url: str) -> Replicas:
    ports = [free_port(), free_port()]
    for port in ports:
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        stack.enter_context(serving(*command, url=f"http://127.0.0.1:{port}/readyz", REDIS_URL=redis_url, **SECRETS))
    return Replicas(ports)


async def test_limits_writes_and_updates_hold_across_two_processes(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    """Through a balancer that gives each request to the other one."""
    replicas = two(stack, write_config(tmp_path, upstream, postgresql_url, calls=30), redis_url)
    first, second = replicas.ports

    # A write with one key at both, one after the other and at once: once upstream.
    async with replicas.client() as client:
        once = {**NEW_CUSTOMER, "idempotency_key": "one-write-only"}
        made = answer_of(await client.call_tool("create_customer", once))
        again = answer_of(await client.call_tool("create_customer", once))
        assert again == {**made, "replayed": True}
        at_once = {**NEW_CUSTOMER, "idempotency_key": "written-at-once"}
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.call_tool, "create_customer", at_once)
    requests = httpx2.get(f"{upstream}/__sandbox/requests").json()
    assert sum(request["operation"] == "create_customer" for request in requests) == 2

    # Who follows at the one is told of an event that came in at the other.
    async with replicas.client(first) as client, client.listen(resource_subscriptions=[FOLLOWED]) as stream:
        event = {
            "event_id": "event-1",
            "event_type": "customer_started_purchase",
            "event_time": "2026-03-01T10:00:00-08:00",
            "customer": {"id": 1650260},
            "dealer": {"dpid": "umazda"},
        }
        posted = httpx2.post(
            f"http://127.0.0.1:{second}/webhooks/roadster", json=event, headers={"Authorization": "Bearer our-own-key"}
        )
        assert posted.status_code == 200
        with anyio.fail_after(20):
            told: Any = await anext(aiter(stream))
        assert told.uri == FOLLOWED
        assert answer_of(await client.call_tool("get_customer", {"customer_id": 1650260}))["customer_id"] == 1650260

    # An upstream that fails at the one is left alone by the other.
    httpx2.post(
        f"{upstream}/__sandbox/faults",
        json={"operation": "list_inventory", "fault": "status", "status": 500, "times": 5},
    ).raise_for_status()
    async with replicas.client(first) as client:
        for _ in range(5):
            assert kind_of(await client.call_tool("list_inventory", {})) == "upstream"
    async with replicas.client(second) as client:
        with anyio.fail_after(10):
            while "failed" not in text_of(open_there := await client.call_tool("list_inventory", {"limit": 1})):
                await anyio.sleep(0.05)
        assert kind_of(open_there) == "upstream"

    # What is left of the minute's calls is spent at both.
    async with replicas.client() as client:
        with anyio.fail_after(30):
            while kind_of(refused := await client.call_tool("list_inventory", {"limit": 1})) != "limited":
                pass
        assert "30 calls a minute" in text_of(refused)
    for port in replicas.ports:
        async with replicas.client(port) as client:
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) == "limited"


async def test_a_person_confirms_at_one_process_what_another_has_asked(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    """The question comes from one server, its answer goes to the other; and is good once at both."""
    replicas = two(stack, write_config(tmp_path, upstream, postgresql_url, level="confirm"), redis_url)
    asked: list[str] = []

    async def agree(_ctx: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with replicas.client(ask=agree) as client:
        for _ in range(2):  # so that both have asked and both have been answered
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) is None
    assert len(asked) == 2
    requests = httpx2.get(f"{upstream}/__sandbox/requests").json()
    assert sum(request["operation"] == "create_customer" for request in requests) == 2


@pytest.mark.reliability("Redis is gone", "calls of callers with a limit are refused, `/readyz` is 503, others go on")
async def test_a_call_that_cannot_be_counted_is_refused(
    upstream: str, postgresql_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    """A Redis of the test's own, which ends."""
    port, redis_port = free_port(), free_port()
    try:
        redis = subprocess.Popen(
            ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
            stdout=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no redis-server: {error}")
    url = f"redis://127.0.0.1:{redis_port}/0"
    try:
        async with Redis.from_url(url) as probe:
            with anyio.fail_after(10):
                while not await answers(probe):
                    await anyio.sleep(0.05)
        config = write_config(tmp_path, upstream, postgresql_url)
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        stack.enter_context(serving(*command, url=f"http://127.0.0.1:{port}/readyz", REDIS_URL=url, **SECRETS))
        async with Replicas([port]).client() as client:
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None
            redis.terminate()
            redis.wait(10)
            refused = await client.call_tool("list_inventory", {"limit": 1})
            assert kind_of(refused) == "unrecorded"
            assert "Redis does not answer" in text_of(refused)
        ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
        assert (ready.status_code, ready.json()) == (503, {"status": "Redis does not answer"})
    finally:
        redis.kill()
        redis.wait()


async def answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except RedisError:
        return False


def workers(stack: ExitStack, config: Path, redis_url: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Two of them: where they are reached, and the process that watches over them."""
    port = free_port()
    command = ("serve", "--transport", "http", "--workers", "2", "--port", str(port), "--config", str(config))
    url = f"http://127.0.0.1:{port}"
    watching = stack.enter_context(serving(*command, url=f"{url}/readyz", REDIS_URL=redis_url, **SECRETS))
    return url, watching


async def replaced(watching: subprocess.Popen[bytes], killed: int) -> None:
    with anyio.fail_after(30):
        while len(now := children(watching.pid)) != 2 or killed in now:
            await anyio.sleep(0.05)


async def test_workers_share_one_port_are_replaced_and_end_together(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    config = write_config(tmp_path, upstream, postgresql_url, level="confirm")
    url, watching = workers(stack, config, redis_url)
    port = int(url.rpartition(":")[2])
    with anyio.fail_after(30):
        while len(children(watching.pid)) != 2:
            await anyio.sleep(0.05)
    for mode in ("2026-07-28", "legacy"):
        async with Replicas([port]).client(mode=mode, ask=agree) as client:
            for _ in range(10):
                assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None
            made = await client.call_tool("create_customer", NEW_CUSTOMER)
            assert kind_of(made) == (None if mode == "2026-07-28" else "not_confirmed")
    assert "use a client of protocol 2026-07-28" in text_of(made)
    assert httpx2.get(f"{url}/sse").status_code == 404, "it needs a session"
    counted = 'roadster_mcp_calls_total{outcome="done",tool="list_inventory"} 20.0'
    assert counted in httpx2.get(f"{url}/metrics").text, "whichever answers, it tells of both"

    killed = children(watching.pid)[0]
    os.kill(killed, signal.SIGKILL)
    await replaced(watching, killed)
    async with Replicas([port]).client() as client:
        assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None

    # A service manager signals each process of a service; a call under way is answered all the same.
    httpx2.post(
        f"{upstream}/__sandbox/faults", json={"operation": "list_inventory", "fault": "delay", "seconds": 2}
    ).raise_for_status()
    left = children(watching.pid)
    async with Replicas([port]).client() as client, anyio.create_task_group() as tasks:

        async def slow() -> None:
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None

        tasks.start_soon(slow)
        with anyio.fail_after(20):
            while not httpx2.get(f"{upstream}/__sandbox/requests").json()[-1].get("fault"):
                await anyio.sleep(0.02)
        for pid in (watching.pid, *left):
            os.kill(pid, signal.SIGTERM)
    assert await anyio.to_thread.run_sync(watching.wait) == 0
    assert not [pid for pid in left if running(pid)]


@pytest.mark.reliability("a worker dies, and none can start in its place", "the others serve on, and it is tried again")
async def test_a_worker_that_cannot_be_replaced_leaves_the_others_alone(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    config = write_config(tmp_path, upstream, postgresql_url)
    url, watching = workers(stack, config, redis_url)
    with anyio.fail_after(30):
        while len(children(watching.pid)) != 2:
            await anyio.sleep(0.05)
    good = config.read_text()
    config.write_text(f"{good}\noops = [")
    killed = children(watching.pid)[1]  # the first is the one that serves already
    os.kill(killed, signal.SIGKILL)
    seen: set[int] = set()
    with anyio.fail_after(30):
        while len(seen) < 4:  # the other one, and two that could not start in the place of the first
            seen |= set(children(watching.pid))
            assert httpx2.get(f"{url}/healthz", timeout=30).status_code == 200
            await anyio.sleep(0.05)
    config.write_text(good)
    await replaced(watching, killed)


@pytest.mark.reliability("messages of others in Redis's channel", "are no words of ours: left alone, and logged")
async def test_what_others_write_into_the_channel_ends_nothing(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    replicas = two(stack, write_config(tmp_path, upstream, postgresql_url), redis_url)
    channel = Keys.derive("sandbox-key").deployment
    hostile = (
        *("not json", "", "[]", "{}", "null", "[" * 10_000, "\xff"),
        '{"sender": "x", "topic": "changed", "arguments": 5}',
        '{"sender": "x", "topic": "changed", "arguments": ["nothing"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["a", "b", "c"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["nobody", "list_inventory"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["umazda", "no_such_operation"]}',
    )
    async with Redis.from_url(redis_url) as redis:
        for message in hostile:
            assert await redis.publish(channel, message) == 2, "both hear it"
    # Both are there, and hear what is one.
    async with replicas.client(replicas.ports[0]) as client, client.listen(resource_subscriptions=[FOLLOWED]) as stream:
        async with Redis.from_url(redis_url) as redis:
            await redis.publish(channel, json.dumps({"sender": "x", "topic": "changed", "arguments": [FOLLOWED]}))
        with anyio.fail_after(20):
            told: Any = await anext(aiter(stream))
        assert told.uri == FOLLOWED
        assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None


@pytest.mark.reliability("the process that watches over workers is killed", "they end by themselves")
async def test_workers_that_nobody_watches_end(
    upstream: str, postgresql_url: str, redis_url: str, tmp_path: Path, stack: ExitStack
) -> None:
    _, watching = workers(stack, write_config(tmp_path, upstream, postgresql_url), redis_url)
    left = children(watching.pid)
    watching.kill()
    with anyio.fail_after(30):
        while [pid for pid in left if running(pid)]:
            await anyio.sleep(0.05)


def children(pid: int) -> list[int]:
    """Those that serve: the spawned ones, without multiprocessing's own tracker."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("arguments", "more", "reasons"),
    [
        ((), "", ["the store is a SQLite file", "shared over Redis"]),
        (("--transport", "sse"), "", ["is for --transport http alone"]),
        (("--transport", "stdio"), "", ["is for --transport http alone"]),
    ],
)
def test_more_than_one_process_without_what_they_share_is_refused_with_the_reason(
    arguments: tuple[str, ...], more: str, reasons: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "roadster.toml"
    config.write_text(
        f'[roadster]\napi_key = "env:KEY"\n[store]\nurl = "sqlite:///{tmp_path}/s.db"\n[dealers.umazda]\n[callers.local]\n'
        + more
    )
    at = arguments or ("--transport", "http")
    ended = run_cli("serve", *at, "--workers", "2", "--port", "0", "--config", str(config), KEY="k")
    assert ended.returncode == 2
    for reason in reasons:
        assert reason in ended.stderr
    assert all(line.startswith("roadster-mcp: --workers 2: ") for line in ended.stderr.splitlines())


def test_workers_and_the_embedded_sandbox_exclude_each_other() -> None:
    ended = run_cli("serve", "--transport", "http", "--sandbox", "--workers", "2")
    assert (ended.returncode, ended.stderr) == (
        2,
        "roadster-mcp: --sandbox and --workers exclude each other; leave out one\n",
    )


async def test_without_redis_at_the_start_one_line_says_so(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, f"sqlite:///{tmp_path}/s.db")
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    ended = run_cli(
        "serve", "--transport", "http", "--port", "0", "--config", str(config), REDIS_URL=nowhere, **SECRETS
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        2,
        "roadster-mcp: Redis does not answer at [replicas] redis_url; start it, or correct the URL",
    )
