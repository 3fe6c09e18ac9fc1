"""Retries and deadlines, over the sandbox. Runs in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import httpx2
import pytest

from roadster_client import OutcomeUnknown, RateLimited, TimedOut, Unavailable, Unreachable
from roadster_sandbox import SandboxTransport
from tests.conftest import World
from tests.upstreams import STEVE, VIRTUAL_TIME, WatchedNetwork, error_of, open_clients, reply

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def count_requests(world: World) -> int:
    return len(await world.requests())


TRANSIENT = [
    pytest.param("status", {"status": 429}, marks=reliability("429 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 502}, marks=reliability("502 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 503}, marks=reliability("503 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 504}, marks=reliability("504 on a read", "tried again, at most twice")),
    pytest.param("reset", {}, marks=reliability("connection reset in the middle of a read's answer", "tried again")),
    pytest.param("lost_answer", {}, marks=reliability("connection lost before a read's answer", "tried again")),
]


@pytest.mark.parametrize(("fault", "more"), TRANSIENT)
async def test_retry_of_a_read_that_may_succeed(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("list_inventory", fault, times=2, **more)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        assert (await client_for().list_inventory(size=1)).vehicles
    assert await count_requests(world) == 3


@reliability("an upstream that goes on failing", "a read ends after the third attempt, within a second")
async def test_retry_of_a_read_ends_after_three_attempts(world: World) -> None:
    await world.fault("list_inventory", "status", times=9, status=503)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        error = await error_of(client_for().list_inventory(size=1))
    assert type(error) is Unavailable
    assert await count_requests(world) == 3
    assert anyio.current_time() < 1


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        pytest.param("status", {"status": 500}, marks=reliability("500 on a read", "fails at once, not tried again")),
        ("status", {"status": 400}),
        ("status", {"status": 401}),
        ("status", {"status": 404}),
        ("status", {"status": 408}),
        ("html", {}),
        ("truncated", {}),
        ("redirect", {}),
    ],
)
async def test_retry_is_left_out_where_it_would_fail_again(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("list_inventory", fault, times=9, **more)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        assert await error_of(client_for().list_inventory(size=1)) is not None
    assert await count_requests(world) == 1


@pytest.mark.parametrize(
    ("fault", "more", "kind"),
    [
        pytest.param(
            "status",
            {"status": 502},
            OutcomeUnknown,
            marks=reliability("502 on a write", "outcome unknown, sent once"),
        ),
        pytest.param(
            "status",
            {"status": 503},
            OutcomeUnknown,
            marks=reliability("503 on a write", "outcome unknown, sent once"),
        ),
        pytest.param(
            "status",
            {"status": 504},
            OutcomeUnknown,
            marks=reliability("504 on a write", "outcome unknown, sent once"),
        ),
        pytest.param(
            "status",
            {"status": 429, "seconds": 1},
            RateLimited,
            marks=reliability("429 on a write", "fails with the seconds to wait, sent once"),
        ),
        pytest.param(
            "lost_answer",
            {},
            OutcomeUnknown,
            marks=reliability("a write's answer lost after it was done", "outcome unknown, sent once"),
        ),
        pytest.param(
            "reset",
            {},
            OutcomeUnknown,
            marks=reliability("connection reset in the middle of a write's answer", "outcome unknown, sent once"),
        ),
    ],
)
async def test_retry_never_repeats_a_write_that_was_sent(
    fault: str, more: dict[str, Any], kind: type[Exception], world: World
) -> None:
    await world.fault("create_customer", fault, **more)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        assert type(await error_of(client_for().create_customer(STEVE))) is kind
    assert await count_requests(world) == 1


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout])
@reliability("no connection for a write, then one", "tried again, because nothing was sent; it is done once")
async def test_retry_repeats_a_write_that_was_not_sent(kind: type[Exception], world: World) -> None:
    sandbox = SandboxTransport(world.app)

    async def late(request: httpx2.Request) -> httpx2.Response:
        if len(network.requests) < 3:
            raise kind("no connection")
        return await sandbox.handle_async_request(request)

    network = WatchedNetwork(late)
    async with open_clients(network) as client_for:
        assert (await client_for().create_customer(STEVE)).customer.id
    assert len((await world.get("state"))["customers"]) == 1


@reliability("no connection at all", "fails after three attempts at most, within two seconds; nothing was sent")
async def test_retry_without_a_connection_ends_after_three_attempts() -> None:
    async def refuse(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    network = WatchedNetwork(refuse)
    async with open_clients(network) as client_for:
        assert type(await error_of(client_for().list_inventory(size=1))) is Unreachable
        assert type(await error_of(client_for(dealer="another").create_customer(STEVE))) is Unreachable
    assert len(network.requests) <= 6
    assert anyio.current_time() < 2


async def test_retry_waits_are_random() -> None:
    async def fail(_request: httpx2.Request) -> httpx2.Response:
        return reply(b"", 503)

    waits = set()
    for _ in range(5):
        network = WatchedNetwork(fail)
        async with open_clients(network) as client_for:
            await error_of(client_for().list_inventory(size=1))
        first, second, third = network.times
        waits |= {second - first, third - second}
        assert 0.1 <= second - first <= 0.3
        assert 0.2 <= third - second <= 0.4
    assert len(waits) == 10


@pytest.mark.parametrize("status", [429, 503])
@reliability("Retry-After in seconds", "waited for, where the deadline allows it")
async def test_retry_after_in_seconds_is_waited_for(status: int, world: World) -> None:
    await world.fault("list_inventory", "status", status=status, seconds=7)
    network = WatchedNetwork(SandboxTransport(world.app).handle_async_request)
    async with open_clients(network) as client_for:
        await client_for().list_inventory(size=1)
    first, second = network.times
    assert 7 <= second - first <= 7.5


@pytest.mark.parametrize("status", [429, 503])
@reliability("Retry-After as a date", "waited for, where the deadline allows it")
async def test_retry_after_as_a_date_is_waited_for(status: int, world: World) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    await world.fault("list_inventory", "status", status=status, retry_after=date)
    network = WatchedNetwork(SandboxTransport(world.app).handle_async_request)
    async with open_clients(network) as client_for:
        await client_for().list_inventory(size=1)
    first, second = network.times
    assert 4 <= second - first <= 9.5


@pytest.mark.parametrize(
    "value",
    ["3600", "9" * 40, format_datetime(datetime.now(UTC) + timedelta(days=400), usegmt=True)],
    ids=["an hour", "forty digits", "a date"],
)
@reliability("Retry-After beyond the deadline, even of years", "fails at once, with a minute to wait at most")
async def test_retry_after_beyond_the_deadline_fails_at_once(value: str, world: World) -> None:
    await world.fault("list_inventory", "status", status=429, retry_after=value)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        error = await error_of(client_for().list_inventory(size=1))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 60
    assert anyio.current_time() == 0


@pytest.mark.parametrize("value", ["soon", "-5", "1e9", "Mon, 99 Foo 0000 00:00:00", "Wed, 21 Oct 2015 07:28:00 GMT"])
@reliability("Retry-After that is neither, or past", "as if there were none")
async def test_retry_after_that_is_unreadable_is_ignored(value: str) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(b"", 503, retry_after=value) if len(network.requests) == 1 else reply()

    network = WatchedNetwork(answer)
    async with open_clients(network) as client_for:
        await client_for().list_inventory(size=1)
    assert anyio.current_time() < 1


@reliability("a drip of one byte a second", "ends with the operation's deadline; the write's outcome is unknown")
async def test_deadline_ends_a_dripping_answer(world: World) -> None:
    await world.fault("*", "drip", times=2)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        assert type(await error_of(client_for().list_inventory(size=50))) is TimedOut
        assert anyio.current_time() == pytest.approx(15)
        assert type(await error_of(client_for().create_customer(STEVE))) is OutcomeUnknown
        assert anyio.current_time() == pytest.approx(45)


@reliability("an upstream that does not answer", "ends with the operation's deadline, in one attempt")
async def test_deadline_ends_a_call_without_an_answer(world: World) -> None:
    await world.fault("*", "delay", seconds=3600)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        assert type(await error_of(client_for().list_inventory(size=1))) is TimedOut
    assert anyio.current_time() == pytest.approx(15)
    assert await count_requests(world) == 1


@reliability("failures and delays that add up", "all attempts together end with the one deadline")
async def test_deadline_is_one_for_all_attempts() -> None:
    async def slow_failure(_request: httpx2.Request) -> httpx2.Response:
        await anyio.sleep(6)
        return reply(b"", 503)

    network = WatchedNetwork(slow_failure)
    async with open_clients(network) as client_for:
        assert type(await error_of(client_for().list_inventory(size=1))) is TimedOut
    assert len(network.requests) == 3
    assert anyio.current_time() == pytest.approx(15)


@reliability("every call fails, for a hundred dealers", "the upstream sees at most 1.2 times the calls")
async def test_retry_budget_is_a_fifth_of_the_calls() -> None:
    """Each call is for another dealer, so that no breaker opens."""

    async def fail(_request: httpx2.Request) -> httpx2.Response:
        return reply(b"", 503)

    network = WatchedNetwork(fail)
    async with open_clients(network) as client_for:
        for dealer in range(100):
            await error_of(client_for(dealer=str(dealer)).list_inventory(size=1))
    assert 110 <= len(network.requests) <= 120


@reliability("a failure after many good calls", "at most ten retries are saved up")
async def test_retry_budget_saves_up_ten_at_most() -> None:
    async def fail_later(_request: httpx2.Request) -> httpx2.Response:
        return reply() if len(network.requests) <= 1000 else reply(b"", 503)

    network = WatchedNetwork(fail_later)
    async with open_clients(network) as client_for:
        for dealer in range(1100):
            await error_of(client_for(dealer=str(dealer)).list_inventory(size=1))
    assert len(network.requests) <= 1000 + 120 + 10


async def test_retry_ends_with_a_cancelled_call(world: World) -> None:
    await world.fault("*", "delay", times=9, seconds=5)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        with anyio.move_on_after(1):
            await client_for().list_inventory(size=1)
        await anyio.sleep(10)
    assert await count_requests(world) == 1
