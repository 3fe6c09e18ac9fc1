"""The circuit breakers of each upstream and dealer, in time that passes at once."""

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
from tests.upstreams import STEVE, VIRTUAL_TIME, Bound, Watched, ok, opened, outcome

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


async def break_it(bound: Bound, dealer: str = "umazda") -> None:
    """Fails as often as opens the breaker."""
    for _ in range(FAILURES_IN_A_ROW):
        assert type(await outcome(bound(dealer=dealer).list_inventory(size=1))) is not CircuitOpen


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        pytest.param("status", {"status": 500}, marks=reliability("five calls in a row with 500", "the breaker opens")),
        pytest.param("delay", {"seconds": 60}, marks=reliability("five calls in a row time out", "the breaker opens")),
        pytest.param("reset", {}, marks=reliability("five calls in a row lose the connection", "the breaker opens")),
    ],
)
async def test_five_failed_calls_in_a_row_open_it(fault: str, more: dict[str, Any], world: World) -> None:
    await world.fault("*", fault, times=99, **more)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound)
        seen = len(await world.requests())
        before = anyio.current_time()
        assert type(await outcome(bound().list_inventory(size=1))) is CircuitOpen
    assert anyio.current_time() == before
    assert len(await world.requests()) == seen


@reliability("five writes in a row whose outcome is unknown", "the breaker opens")
async def test_writes_without_an_answer_open_it_too(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        for _ in range(FAILURES_IN_A_ROW):
            assert type(await outcome(bound().create_customer(STEVE))) is OutcomeUnknown
        assert type(await outcome(bound().create_customer(STEVE))) is CircuitOpen


@reliability("a call while the breaker is open", "fails at once, sends nothing, says in how many seconds to call again")
async def test_an_open_breaker_says_when_to_call_again(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound)
        await anyio.sleep(4)
        error = await outcome(bound().list_inventory(size=1))
    assert isinstance(error, CircuitOpen)
    assert error.retry_after == pytest.approx(OPEN_SECONDS - 4)
    assert failure(error).text.endswith("Nothing was done; call again in 6 seconds.")


@reliability("calls that the upstream refuses", "4xx and answers that cannot be used do not open the breaker")
@pytest.mark.parametrize(
    ("fault", "more", "expected"), [("status", {"status": 404}, NotFound), ("html", {}, MalformedAnswer)]
)
async def test_what_the_upstream_answers_does_not_open_it(
    fault: str, more: dict[str, Any], expected: type[Exception], world: World
) -> None:
    await world.fault("*", fault, times=99, **more)
    async with opened(SandboxTransport(world.app)) as bound:
        for _ in range(3 * FAILURES_IN_A_ROW):
            assert type(await outcome(bound().list_inventory(size=1))) is expected


async def test_one_answer_between_failures_starts_the_count_anew(world: World) -> None:
    async with opened(SandboxTransport(world.app)) as bound:
        for _ in range(3):
            await world.fault("*", "status", times=FAILURES_IN_A_ROW - 1, status=500)
            for _ in range(FAILURES_IN_A_ROW - 1):
                assert type(await outcome(bound().list_inventory(size=1))) is Unavailable
            await bound().list_inventory(size=1)


@reliability("an upstream that recovers", "after ten seconds one call tries, and all pass again")
async def test_it_half_opens_and_closes(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound)
        await anyio.sleep(OPEN_SECONDS)
        for _ in range(3):
            await bound().list_inventory(size=1)


@reliability("an upstream that does not recover", "the one call that tries fails, and ten seconds more pass")
async def test_a_trial_that_fails_opens_it_again(world: World) -> None:
    await world.fault("*", "status", times=99, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound)
        for _ in range(3):
            await anyio.sleep(OPEN_SECONDS)
            assert type(await outcome(bound().list_inventory(size=1))) is Unavailable
            assert type(await outcome(bound().list_inventory(size=1))) is CircuitOpen
    assert len(await world.requests()) == FAILURES_IN_A_ROW + 3


@reliability("many calls when the breaker half-opens", "one of them tries, the others are told to wait")
async def test_one_call_alone_tries() -> None:
    recovered = anyio.Event()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        if len(network.seen) <= FAILURES_IN_A_ROW:
            return ok(b"", 500)
        await recovered.wait()
        return ok()

    network = Watched(answer)
    errors: list[Exception | None] = []

    async with opened(network) as bound:

        async def call() -> None:
            errors.append(await outcome(bound().list_inventory(size=1)))

        await break_it(bound)
        await anyio.sleep(OPEN_SECONDS)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            assert [type(error) for error in errors] == [CircuitOpen] * 4
            recovered.set()
        assert errors[4] is None
        await bound().list_inventory(size=1)


async def test_a_trial_that_is_cancelled_leaves_the_next_one_to_try(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound)
        await anyio.sleep(OPEN_SECONDS)
        await world.fault("*", "delay", seconds=10)
        with anyio.move_on_after(1):
            await bound().list_inventory(size=1)
        await bound().list_inventory(size=1)


@reliability("one dealer whose calls all fail", "its breaker is its own: other dealers' calls pass")
async def test_one_dealer_cannot_open_it_for_others(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        await break_it(bound, "umazda")
        assert type(await outcome(bound(dealer="umazda").list_inventory(size=1))) is CircuitOpen
        assert await outcome(bound(dealer="hyundaidemo").list_inventory(size=1)) is None


@reliability("one VIN at which the upstream always fails", "only that operation of that dealer waits; its others pass")
async def test_one_poisoned_input_cannot_shut_a_dealer_out_of_its_other_operations(world: World) -> None:
    """Nor does what the others are answered close the breaker of the one that fails."""
    await world.fault("get_vehicle", "status", times=99, status=500)
    async with opened(SandboxTransport(world.app)) as bound:
        for _ in range(FAILURES_IN_A_ROW):
            assert type(await outcome(bound().get_vehicle(SOME_VIN))) is Unavailable
        await bound().list_inventory(size=1)
        await bound().create_customer(STEVE)
        assert type(await outcome(bound().get_vehicle(SOME_VIN))) is CircuitOpen
        assert type(await outcome(bound(dealer="hyundaidemo").get_vehicle(SOME_VIN))) is Unavailable


@reliability("one upstream that fails", "its breakers are its own: other upstreams are called")
async def test_one_upstream_cannot_open_it_for_another(world: World) -> None:
    await world.fault("*", "status", times=FAILURES_IN_A_ROW, status=500)
    async with opened(SandboxTransport(world.app)) as one, opened(SandboxTransport(world.app)) as other:
        await break_it(one)
        assert await outcome(other().list_inventory(size=1)) is None
