"""Two servers of one configuration: what holds at one holds at both."""

from __future__ import annotations

import json
import os
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp_types import ElicitResult
from redis.asyncio import Redis

from tests import services
from tests.command_line import run_cli
from tests.conftest import answer_of, kind_of, text_of
from tests.servers import PATIENCE, free_port
from tests.tool_examples import STEVE

from .deployment import WEBHOOK_KEY, Deployment, client_of

pytestmark = pytest.mark.anyio

NEW_CUSTOMER = {"customer": STEVE}
CUSTOMER = "roadster://umazda/customers/1650260"


async def list_one(client: Client) -> Any:
    return await client.call_tool("list_inventory", {"limit": 1})


async def test_two_servers_share_writes_updates_circuits_and_limits(deployment: Deployment) -> None:
    deployment.configure(calls=60)
    (first, _), (second, _) = deployment.start(), deployment.start()
    await an_idempotency_key_counts_at_both(deployment, first, second)
    await an_event_at_one_reaches_a_subscriber_at_the_other(first, second)
    await an_open_circuit_at_one_opens_it_at_the_other(deployment, first, second)
    await the_calls_of_a_minute_are_spent_at_both(first, second)


async def an_idempotency_key_counts_at_both(deployment: Deployment, first: int, second: int) -> None:
    """One call after the other, and several at once."""
    async with client_of(first, second) as client:
        customer = {**NEW_CUSTOMER, "idempotency_key": "one-write-only"}
        answer = answer_of(await client.call_tool("create_customer", customer))
        assert answer_of(await client.call_tool("create_customer", customer)) == {**answer, "replayed": True}
        at_once = {**NEW_CUSTOMER, "idempotency_key": "written-at-once"}
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.call_tool, "create_customer", at_once)
    assert deployment.writes() == 2


async def an_event_at_one_reaches_a_subscriber_at_the_other(subscribed_at: int, received_at: int) -> None:
    event = {
        "event_id": "event-1",
        "event_type": "customer_started_purchase",
        "event_time": "2026-03-01T10:00:00-08:00",
        "customer": {"id": 1650260},
        "dealer": {"dpid": "umazda"},
    }
    url, headers = f"http://127.0.0.1:{received_at}/webhooks/roadster", {"Authorization": f"Bearer {WEBHOOK_KEY}"}
    async with client_of(subscribed_at) as client, client.listen(resource_subscriptions=[CUSTOMER]) as updates:
        assert httpx2.post(url, json=event, headers=headers, timeout=PATIENCE).status_code == 200
        with anyio.fail_after(PATIENCE):
            update: Any = await anext(aiter(updates))
        assert update.uri == CUSTOMER
        assert answer_of(await client.call_tool("get_customer", {"customer_id": 1650260}))["customer_id"] == 1650260


async def an_open_circuit_at_one_opens_it_at_the_other(deployment: Deployment, first: int, second: int) -> None:
    deployment.fault("status", status=500, times=5)
    async with client_of(first) as client:
        for _ in range(5):
            assert kind_of(await client.call_tool("list_inventory", {})) == "upstream"
    async with client_of(second) as client:
        with anyio.fail_after(PATIENCE):
            while "failed" not in text_of(result := await list_one(client)):
                await anyio.sleep(0.05)
        assert kind_of(result) == "upstream"


async def the_calls_of_a_minute_are_spent_at_both(first: int, second: int) -> None:
    """Repeats calls until the limit is reached: on a busy machine earlier ones may be older than a minute."""
    async with client_of(first, second) as both, client_of(first) as one, client_of(second) as other:
        for client in (one, other):
            await list_one(client)  # it asks for the list of tools too, which is refused later
        with anyio.fail_after(PATIENCE):
            while kind_of(result := await list_one(both)) != "limited":
                pass
            assert "60 calls a minute" in text_of(result)
            for client in (one, other):
                while kind_of(await list_one(client)) != "limited":
                    pass


async def test_a_confirmation_is_answered_at_another_server(deployment: Deployment) -> None:
    """The question comes from one server and its answer goes to the other. It is good once at both."""
    deployment.configure(level="confirm")
    (first, _), (second, _) = deployment.start(), deployment.start()
    questions: list[str] = []

    async def agree(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with client_of(first, second, ask=agree) as client:
        for _ in range(2):  # so that each has asked once and has been answered once
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) is None
    assert len(questions) == 2
    assert deployment.writes() == 2


@pytest.mark.reliability("Redis is gone", "calls of callers with a limit are refused, `/readyz` is 503, others go on")
async def test_a_call_that_cannot_be_counted_is_refused(deployment: Deployment) -> None:
    """The server has a Redis of the test's own, which ends."""
    try:
        redis, deployment.redis_url = services.start_redis()
    except services.NotInstalled as missing:  # and ROADSTER_TEST_REDIS names another one
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    try:
        port, _ = deployment.start()
        async with client_of(port) as client:
            assert kind_of(await list_one(client)) is None
            redis.terminate()
            redis.wait(PATIENCE)
            refusal = await list_one(client)
            assert kind_of(refusal) == "unrecorded"
            assert "Redis does not answer" in text_of(refusal)
        ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE)
        assert (ready.status_code, ready.json()) == (503, {"status": "Redis does not answer"})
    finally:
        redis.kill()
        redis.wait()


@pytest.mark.reliability("messages of others in Redis's channel", "are no words of ours: left alone, and logged")
async def test_foreign_messages_in_the_channel_end_nothing(deployment: Deployment) -> None:
    (first, _), _ = deployment.start(), deployment.start()
    messages = (
        *("not json", "", "[]", "{}", "null", "[" * 10_000, "\xff"),
        '{"sender": "x", "topic": "changed", "arguments": 5}',
        '{"sender": "x", "topic": "changed", "arguments": ["nothing"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["a", "b", "c"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["nobody", "list_inventory"]}',
        '{"sender": "x", "topic": "breaker of roadster", "arguments": ["umazda", "no_such_operation"]}',
    )
    async with Redis.from_url(deployment.redis_url) as redis:
        with anyio.fail_after(PATIENCE):
            while await redis.publish(deployment.redis_name, messages[0]) != 2:  # both listen soon after they are ready
                await anyio.sleep(0.05)
        for message in messages[1:]:
            assert await redis.publish(deployment.redis_name, message) == 2
        # Both are still there, and listen to a message of the right form.
        async with client_of(first) as client, client.listen(resource_subscriptions=[CUSTOMER]) as updates:
            change = json.dumps({"sender": "x", "topic": "changed", "arguments": [CUSTOMER]})
            assert await redis.publish(deployment.redis_name, change) == 2
            with anyio.fail_after(PATIENCE):
                update: Any = await anext(aiter(updates))
            assert update.uri == CUSTOMER
            assert kind_of(await list_one(client)) is None


def test_a_start_without_redis_is_one_line(deployment: Deployment) -> None:
    deployment.redis_url = f"redis://127.0.0.1:{free_port()}/0"
    command = ("serve", "--transport", "http", "--port", "0", "--config", str(deployment.config))
    end = run_cli(*command, **deployment.secrets)
    assert (end.returncode, end.stderr.splitlines()[-1]) == (
        2,
        "roadster-mcp: Redis does not answer at [replicas] redis_url; start it, or correct the URL",
    )
