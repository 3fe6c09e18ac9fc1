"""The circuit breakers of each upstream, dealer and operation. Runs in virtual time."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest

from roadster_client import CircuitOpen, MalformedAnswer, NotFound, OutcomeUnknown, Unavailable
from roadster_client.upstream.breaker import FAILURES_IN_A_ROW, OPEN_SECONDS
from roadster_sandbox import SandboxTransport
from roadster_tools import failure
from tests.conftest import World
from tests.tool_examples import SOME_VIN
from tests.upstreams import STEVE, VIRTUAL_TIME, ClientFor, WatchedNetwork, error_of, open_clients, reply

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def open_breaker(client_for: ClientFor, dealer: str = "umazda") -> None:
    """Makes as many calls, which fail, as it takes to open the breaker."""
    for _ in range(FAILURES_IN_A_ROW):
        assert type(await error_of(client_for(dealer=dealer).list_inventory(size=1))) is not CircuitOpen


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        pytest.param("status", {"status": 500}, marks=reliability("five calls in a row with 500", "the breaker opens")),
        pytest.param("delay", {"seconds": 60}, marks=reliability("five calls in a row time out", "the breaker opens")),
        pytest.param("reset", {}, marks=reliability("five calls in a row lose the connection", "the breaker opens")),
    ],
)
async def test_breaker_opens_after_five_failures_in_a_row(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("*", fault, times=99, **more)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for)
        requests = len(await world.requests())
        before = anyio.current_time()
        assert type(await error_of(client_for().list_inventory(size=1))) is CircuitOpen
    assert anyio.current_time() == before
    assert len(await world.requests()) == requests


@reliability("five writes in a row whose outcome is unknown", "the breaker opens")
async def test_breaker_opens_after_writes_without_an_answer(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        for _ in range(FAILURES_IN_A_ROW):
            assert type(await error_of(client_for().create_customer(STEVE))) is OutcomeUnknown
        assert type(await error_of(client_for().create_customer(STEVE))) is CircuitOpen


@reliability("a call while the breaker is open", "fails at once, sends nothing, says in how many seconds to call again")
async def test_breaker_says_when_to_call_again(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for)
        await anyio.sleep(4)
        error = await error_of(client_for().list_inventory(size=1))
    assert isinstance(error, CircuitOpen)
    assert error.retry_after == pytest.approx(OPEN_SECONDS - 4)
    assert failure(error).text.endswith("Nothing was done; call again in 6 seconds.")


@reliability("calls that the upstream refuses", "4xx and answers that cannot be used do not open the breaker")
@pytest.mark.parametrize(
    ("fault", "more", "kind"), [("status", {"status": 404}, NotFound), ("html", {}, MalformedAnswer)]
)
async def test_breaker_stays_closed_after_refusals(
    fault: str, more: dict[str, Any], kind: type[Exception], world: World
) -> None:
    await world.fault("*", fault, times=99, **more)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        for _ in range(3 * FAILURES_IN_A_ROW):
            assert type(await error_of(client_for().list_inventory(size=1))) is kind


async def test_breaker_counts_from_zero_after_an_answer(world: World) -> None:
    async with open_clients(SandboxTransport(world.app)) as client_for:
        for _ in range(3):
            await world.fault("*", "status", times=FAILURES_IN_A_ROW - 1, status=500)
            for _ in range(FAILURES_IN_A_ROW - 1):
                assert type(await error_of(client_for().list_inventory(size=1))) is Unavailable
            await client_for().list_inventory(size=1)


@reliability("an upstream that recovers", "after ten seconds one call tries, and all pass again")
async def test_breaker_closes_after_a_trial_that_succeeds(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for)
        await anyio.sleep(OPEN_SECONDS)
        for _ in range(3):
            await client_for().list_inventory(size=1)


@reliability("an upstream that does not recover", "the one call that tries fails, and ten seconds more pass")
async def test_breaker_opens_again_after_a_trial_that_fails(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for)
        for _ in range(3):
            await anyio.sleep(OPEN_SECONDS)
            assert type(await error_of(client_for().list_inventory(size=1))) is Unavailable
            assert type(await error_of(client_for().list_inventory(size=1))) is CircuitOpen
    assert len(await world.requests()) == FAILURES_IN_A_ROW + 3


@reliability("many calls when the breaker half-opens", "one of them tries, the others fail with the seconds to wait")
async def test_breaker_lets_only_one_trial_pass() -> None:
    recovery = anyio.Event()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        if len(network.requests) <= FAILURES_IN_A_ROW:
            return reply(b"", 500)
        await recovery.wait()
        return reply()

    network = WatchedNetwork(answer)
    errors: list[Exception | None] = []

    async with open_clients(network) as client_for:

        async def call() -> None:
            errors.append(await error_of(client_for().list_inventory(size=1)))

        await open_breaker(client_for)
        await anyio.sleep(OPEN_SECONDS)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            assert [type(error) for error in errors] == [CircuitOpen] * 4
            recovery.set()
        assert errors[4] is None
        await client_for().list_inventory(size=1)


async def test_breaker_allows_a_trial_after_a_cancelled_one(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for)
        await anyio.sleep(OPEN_SECONDS)
        await world.fault("*", "delay", seconds=10)
        with anyio.move_on_after(1):
            await client_for().list_inventory(size=1)
        await client_for().list_inventory(size=1)


@reliability("one dealer whose calls all fail", "only its own breaker opens: other dealers' calls pass")
async def test_breaker_opens_for_one_dealer_only(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await open_breaker(client_for, "umazda")
        assert type(await error_of(client_for(dealer="umazda").list_inventory(size=1))) is CircuitOpen
        assert await error_of(client_for(dealer="hyundaidemo").list_inventory(size=1)) is None


@reliability(
    "one VIN at which the upstream always fails", "only that operation of that dealer is paused; its others pass"
)
async def test_breaker_opens_for_one_operation_only(world: World) -> None:
    """Answers to other operations also do not close the breaker of the one that fails."""
    await world.fault("get_vehicle", "status", times=99, status=500)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        for _ in range(FAILURES_IN_A_ROW):
            assert type(await error_of(client_for().get_vehicle(SOME_VIN))) is Unavailable
        await client_for().list_inventory(size=1)
        await client_for().create_customer(STEVE)
        assert type(await error_of(client_for().get_vehicle(SOME_VIN))) is CircuitOpen
        assert type(await error_of(client_for(dealer="hyundaidemo").get_vehicle(SOME_VIN))) is Unavailable


@reliability("one upstream that fails", "only its own breakers open: other upstreams are called")
async def test_breaker_opens_for_one_upstream_only(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with open_clients(SandboxTransport(world.app)) as one, open_clients(SandboxTransport(world.app)) as other:
        await open_breaker(one)
        assert await error_of(other().list_inventory(size=1)) is None
