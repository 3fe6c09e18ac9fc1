"""What is tried again, when, and how often: over the sandbox, in time that passes at once."""

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
from tests.upstreams import STEVE, VIRTUAL_TIME, Watched, ok, opened, outcome

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def asked(world: World) -> int:
    return len(await world.requests())


PASSING = [
    pytest.param("status", {"status": 429}, marks=reliability("429 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 502}, marks=reliability("502 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 503}, marks=reliability("503 on a read", "tried again, at most twice")),
    pytest.param("status", {"status": 504}, marks=reliability("504 on a read", "tried again, at most twice")),
    pytest.param("reset", {}, marks=reliability("connection reset in the middle of a read's answer", "tried again")),
    pytest.param("lost_answer", {}, marks=reliability("connection lost before a read's answer", "tried again")),
]


@pytest.mark.parametrize(("fault", "more"), PASSING)
async def test_a_read_is_tried_again_where_that_may_help(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("list_inventory", fault, times=2, **more)
    async with opened(SandboxTransport(world.app)) as bound:
        assert (await bound().list_inventory(size=1)).vehicles
    assert await asked(world) == 3


@reliability("an upstream that goes on failing", "a read ends after the third attempt, within a second")
async def test_a_read_is_tried_at_most_three_times(world: World) -> None:
    await world.fault("list_inventory", "status", times=9, status=503)
    async with opened(SandboxTransport(world.app)) as bound:
        error = await outcome(bound().list_inventory(size=1))
    assert type(error) is Unavailable
    assert await asked(world) == 3
    assert anyio.current_time() < 1


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        pytest.param("status", {"status": 500}, marks=reliability("500 on a read", "told at once, not tried again")),
        ("status", {"status": 400}),
        ("status", {"status": 401}),
        ("status", {"status": 404}),
        ("status", {"status": 408}),
        ("html", {}),
        ("truncated", {}),
        ("redirect", {}),
    ],
)
async def test_what_would_fail_again_is_not_tried_again(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("list_inventory", fault, times=9, **more)
    async with opened(SandboxTransport(world.app)) as bound:
        assert await outcome(bound().list_inventory(size=1)) is not None
    assert await asked(world) == 1


@pytest.mark.parametrize(
    ("fault", "more", "expected"),
    [
        pytest.param(
            "status", {"status": 502}, OutcomeUnknown, marks=reliability("502 on a write", "outcome unknown, sent once")
        ),
        pytest.param(
            "status", {"status": 503}, OutcomeUnknown, marks=reliability("503 on a write", "outcome unknown, sent once")
        ),
        pytest.param(
            "status", {"status": 504}, OutcomeUnknown, marks=reliability("504 on a write", "outcome unknown, sent once")
        ),
        pytest.param(
            "status",
            {"status": 429, "seconds": 1},
            RateLimited,
            marks=reliability("429 on a write", "told with the seconds to wait, sent once"),
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
async def test_a_write_that_was_sent_is_never_sent_again(
    fault: str, more: dict[str, Any], expected: type[Exception], world: World
) -> None:
    await world.fault("create_customer", fault, **more)
    async with opened(SandboxTransport(world.app)) as bound:
        assert type(await outcome(bound().create_customer(STEVE))) is expected
    assert await asked(world) == 1


@pytest.mark.parametrize("refused", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout])
@reliability("no connection for a write, then one", "tried again: nothing was sent; it is done once")
async def test_a_write_is_tried_again_where_nothing_was_sent(refused: type[Exception], world: World) -> None:
    sandbox = SandboxTransport(world.app)

    async def late(request: httpx2.Request) -> httpx2.Response:
        if len(network.seen) < 3:
            raise refused("no connection")
        return await sandbox.handle_async_request(request)

    network = Watched(late)
    async with opened(network) as bound:
        assert (await bound().create_customer(STEVE)).customer.id
    assert len((await world.get("state"))["customers"]) == 1


@reliability("no connection at all", "told after three attempts, within a second; nothing was sent")
async def test_no_connection_is_told_after_three_attempts_for_reads_and_writes() -> None:
    async def refuse(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    network = Watched(refuse)
    async with opened(network) as bound:
        assert type(await outcome(bound().list_inventory(size=1))) is Unreachable
        assert type(await outcome(bound(dealer="another").create_customer(STEVE))) is Unreachable
    assert len(network.seen) <= 6
    assert anyio.current_time() < 2


async def test_attempts_are_apart_and_not_in_step() -> None:
    async def fail(_request: httpx2.Request) -> httpx2.Response:
        return ok(b"", 503)

    waits = set()
    for _ in range(5):
        network = Watched(fail)
        async with opened(network) as bound:
            await outcome(bound().list_inventory(size=1))
        first, second, third = network.times
        waits |= {second - first, third - second}
        assert 0.1 <= second - first <= 0.3
        assert 0.2 <= third - second <= 0.4
    assert len(waits) == 10


@pytest.mark.parametrize("status", [429, 503])
@reliability("Retry-After in seconds", "waited for, where the deadline allows it")
async def test_a_retry_after_in_seconds_is_waited_for(status: int, world: World) -> None:
    await world.fault("list_inventory", "status", status=status, seconds=7)
    network = Watched(SandboxTransport(world.app).handle_async_request)
    async with opened(network) as bound:
        await bound().list_inventory(size=1)
    first, second = network.times
    assert 7 <= second - first <= 7.5


@pytest.mark.parametrize("status", [429, 503])
@reliability("Retry-After as a date", "waited for, where the deadline allows it")
async def test_a_retry_after_as_a_date_is_waited_for(status: int, world: World) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    await world.fault("list_inventory", "status", status=status, retry_after=date)
    network = Watched(SandboxTransport(world.app).handle_async_request)
    async with opened(network) as bound:
        await bound().list_inventory(size=1)
    first, second = network.times
    assert 4 <= second - first <= 9.5


@pytest.mark.parametrize(
    "given",
    ["3600", "9" * 40, format_datetime(datetime.now(UTC) + timedelta(days=400), usegmt=True)],
    ids=["an hour", "forty digits", "a date"],
)
@reliability("Retry-After beyond the deadline, even of years", "told at once, as a minute at most")
async def test_a_retry_after_beyond_the_deadline_ends_the_call_at_once(given: str, world: World) -> None:
    await world.fault("list_inventory", "status", status=429, retry_after=given)
    async with opened(SandboxTransport(world.app)) as bound:
        error = await outcome(bound().list_inventory(size=1))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 60
    assert anyio.current_time() == 0


@pytest.mark.parametrize("given", ["soon", "-5", "1e9", "Mon, 99 Foo 0000 00:00:00", "Wed, 21 Oct 2015 07:28:00 GMT"])
@reliability("Retry-After that is neither, or past", "as if there were none")
async def test_a_retry_after_that_says_nothing_is_passed_over(given: str) -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return ok(b"", 503, retry_after=given) if len(network.seen) == 1 else ok()

    network = Watched(answer)
    async with opened(network) as bound:
        await bound().list_inventory(size=1)
    assert anyio.current_time() < 1


@reliability("a drip of one byte a second", "ends with the operation's deadline; the write's outcome is unknown")
async def test_a_drip_does_not_outlive_the_deadline(world: World) -> None:
    await world.fault("*", "drip", times=2)
    async with opened(SandboxTransport(world.app)) as bound:
        assert type(await outcome(bound().list_inventory(size=50))) is TimedOut
        assert anyio.current_time() == pytest.approx(15)
        assert type(await outcome(bound().create_customer(STEVE))) is OutcomeUnknown
        assert anyio.current_time() == pytest.approx(45)


@reliability("an upstream that does not answer", "ends with the operation's deadline, in one attempt")
async def test_an_upstream_that_does_not_answer_is_asked_once(world: World) -> None:
    await world.fault("*", "delay", seconds=3600)
    async with opened(SandboxTransport(world.app)) as bound:
        assert type(await outcome(bound().list_inventory(size=1))) is TimedOut
    assert anyio.current_time() == pytest.approx(15)
    assert await asked(world) == 1


@reliability("failures and delays that add up", "all attempts together end with the one deadline")
async def test_all_attempts_share_one_deadline() -> None:
    async def slow_failure(_request: httpx2.Request) -> httpx2.Response:
        await anyio.sleep(6)
        return ok(b"", 503)

    network = Watched(slow_failure)
    async with opened(network) as bound:
        assert type(await outcome(bound().list_inventory(size=1))) is TimedOut
    assert len(network.seen) == 3
    assert anyio.current_time() == pytest.approx(15)


@reliability("every call fails, for a hundred dealers", "the upstream sees at most 1.2 times the calls")
async def test_a_failing_upstream_sees_at_most_a_fifth_more_than_the_calls() -> None:
    """Each call for a dealer of its own, so that no breaker helps."""

    async def fail(_request: httpx2.Request) -> httpx2.Response:
        return ok(b"", 503)

    network = Watched(fail)
    async with opened(network) as bound:
        for dealer in range(100):
            await outcome(bound(dealer=str(dealer)).list_inventory(size=1))
    assert 110 <= len(network.seen) <= 120


@reliability("a failure after many good calls", "saved-up attempts are few: ten at most")
async def test_good_days_are_not_paid_for_later() -> None:
    async def fail_later(_request: httpx2.Request) -> httpx2.Response:
        return ok() if len(network.seen) <= 1000 else ok(b"", 503)

    network = Watched(fail_later)
    async with opened(network) as bound:
        for dealer in range(1100):
            await outcome(bound(dealer=str(dealer)).list_inventory(size=1))
    assert len(network.seen) <= 1000 + 120 + 10


async def test_a_cancelled_call_is_not_tried_again(world: World) -> None:
    await world.fault("*", "delay", times=9, seconds=5)
    async with opened(SandboxTransport(world.app)) as bound:
        with anyio.move_on_after(1):
            await bound().list_inventory(size=1)
        await anyio.sleep(10)
    assert await asked(world) == 1
