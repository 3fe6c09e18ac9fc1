"""Who may send when: callers in turn, a bounded queue, and a pause that all obey. In time that passes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import anyio
import httpx2
import pytest

from roadster_client import Busy, ClientError, RateLimited
from roadster_client.upstream.admission import AT_ONCE, AT_ONCE_FOR_A_CALLER, WAITING_FOR_A_CALLER
from roadster_sandbox import SandboxTransport
from roadster_tools import failure
from tests.conftest import World
from tests.upstreams import STEVE, VIRTUAL_TIME, Bound, Watched, ok, opened, outcome

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


class Held:
    """An upstream that keeps every request until it is let go."""

    def __init__(self) -> None:
        self.network = Watched(self._answer)
        self.running = 0
        self.most = 0
        self._go = anyio.Event()

    def let_go(self) -> None:
        """Those that wait now, and no later ones."""
        self._go.set()
        self._go = anyio.Event()

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.running += 1
        self.most = max(self.most, self.running)
        await self._go.wait()
        self.running -= 1
        return ok()


class Calls:
    """Calls in the background; `ended` names their callers in the order in which they ended."""

    def __init__(self, bound: Bound, tasks: anyio.abc.TaskGroup) -> None:
        self._bound = bound
        self._tasks = tasks
        self.ended: list[str] = []
        self.errors: list[ClientError] = []

    async def start(self, callers: Iterable[str]) -> None:
        for caller in callers:
            self._tasks.start_soon(self._call, caller)
        await anyio.wait_all_tasks_blocked()

    async def _call(self, caller: str) -> None:
        error = await outcome(self._bound(caller).list_inventory(size=1))
        self.ended.append(caller)
        if error is not None:
            self.errors.append(error)


@reliability("300 slow calls of one caller", "another caller's call does not wait for a single one of them")
async def test_300_slow_calls_of_one_caller_leave_anothers_alone() -> None:
    held = Held()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        return ok() if request.method == "POST" else await held.network.handle_async_request(request)

    async with opened(Watched(answer)) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(["greedy"] * 300)
        assert held.running == AT_ONCE_FOR_A_CALLER
        before = anyio.current_time()
        await outcome(bound("patient").create_customer(STEVE))
        assert anyio.current_time() == before
        assert held.running == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()


@reliability("more calls of one caller than can wait", "those above are told at once that it is busy, and for how long")
async def test_the_queue_is_bounded_in_length() -> None:
    held = Held()
    async with opened(held.network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(["greedy"] * 300)
        assert len(calls.errors) == 300 - AT_ONCE_FOR_A_CALLER - WAITING_FOR_A_CALLER
        for error in calls.errors:
            assert type(error) is Busy
            assert error.retry_after
            assert failure(error).kind == "limited"
            assert failure(error).text.startswith("Busy: ")
        assert anyio.current_time() == 0
        tasks.cancel_scope.cancel()


@reliability("a read that finds no room", "told that it is busy a second before its deadline; nothing was sent")
async def test_the_queue_is_bounded_in_time_for_reads() -> None:
    held = Held()
    async with opened(held.network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        tasks.start_soon(outcome, bound("greedy").list_inventory(size=1))
        await calls.start(["greedy"] * AT_ONCE_FOR_A_CALLER)
        await anyio.sleep(14.5)
        assert [type(error) for error in calls.errors] == [Busy]
        assert len(held.network.seen) == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()


@reliability("a write that finds no room", "told that it is busy at half of its deadline; never outcome unknown")
async def test_a_write_that_could_not_begin_is_known_not_to_be_done() -> None:
    held = Held()
    async with opened(held.network) as bound, anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE_FOR_A_CALLER):
            tasks.start_soon(outcome, bound().get_document(1, 1))  # which may take 60 seconds
        await anyio.wait_all_tasks_blocked()
        assert type(await outcome(bound().create_customer(STEVE))) is Busy
        assert anyio.current_time() == pytest.approx(15)
        assert not any(request.method == "POST" for _, request in held.network.seen)
        tasks.cancel_scope.cancel()


@reliability("many callers at once", "an upstream sees at most 32 requests at once, 8 of each caller")
async def test_concurrency_is_bounded_for_the_upstream_and_each_caller() -> None:
    held = Held()
    async with opened(held.network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(caller for caller in "abcdef" for _ in range(20))
        while len(calls.ended) < 120:
            assert held.running <= AT_ONCE
            held.let_go()
            await anyio.wait_all_tasks_blocked()
    assert held.most == AT_ONCE
    assert not calls.errors


@reliability("a full upstream", "callers take turns: a late one waits for one round, not for the queue")
async def test_callers_take_turns() -> None:
    held = Held()
    async with opened(held.network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(caller for caller in "abcd" for _ in range(50))
        await calls.start("z")
        assert len(held.network.seen) == AT_ONCE
        held.let_go()
        await anyio.wait_all_tasks_blocked()
        held.let_go()
        await anyio.wait_all_tasks_blocked()
        assert Counter(calls.ended)["z"] == 1
        assert len(calls.ended) == 2 * AT_ONCE
        tasks.cancel_scope.cancel()


async def test_calls_that_are_cancelled_while_they_wait_leave_no_gap() -> None:
    held = Held()
    async with opened(held.network) as bound:
        async with anyio.create_task_group() as tasks:
            await Calls(bound, tasks).start(["a"] * 100)
            tasks.cancel_scope.cancel()
        held.running = 0
        async with anyio.create_task_group() as tasks:
            await Calls(bound, tasks).start(["a"] * 100)
            assert held.running == AT_ONCE_FOR_A_CALLER
            tasks.cancel_scope.cancel()


# The pause that a 429 asks for


class Metered:
    """Takes `rate` requests in each window of ten seconds, and refuses the others until the next one."""

    def __init__(self, rate: int) -> None:
        self.network = Watched(self._answer)
        self.taken: Counter[int] = Counter()
        self._rate = rate

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        await anyio.sleep(0.05)
        window, into = divmod(anyio.current_time(), 10)
        if self.taken[int(window)] == self._rate:
            return ok(b"", 429, retry_after=f"{10 - into:.0f}")
        self.taken[int(window)] += 1
        return ok()


@reliability("more calls than an upstream takes in its window", "all wait for the next window together, and none fails")
@pytest.mark.parametrize("callers", [1, 5])
async def test_nobody_fails_who_could_wait(callers: int) -> None:
    metered = Metered(200)
    async with opened(metered.network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(f"caller-{number % callers}" for number in range(250))
    assert not calls.errors
    assert metered.taken == {0: 200, 1: 50}
    assert len(metered.network.seen) <= 1.2 * 250


@reliability("a pause that ends", "one request goes ahead, the others follow once it has passed")
async def test_after_a_pause_one_request_goes_ahead() -> None:
    going = anyio.Event()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        if anyio.current_time() < 10:
            return ok(b"", 429, retry_after="10")
        await going.wait()
        return ok()

    network = Watched(answer)
    async with opened(network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start("abcdef")
        refused = len(network.seen)
        await anyio.sleep(10.9)
        assert len(network.seen) == refused + 1
        going.set()
    assert len(calls.ended) == 6
    assert not calls.errors


@reliability("an upstream that answers 429 for ever", "one request a second; the calls end as limited in time")
async def test_an_endless_429_is_not_answered_with_more_requests() -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return ok(b"", 429, retry_after="0")

    network = Watched(answer)
    async with opened(network) as bound, anyio.create_task_group() as tasks:
        calls = Calls(bound, tasks)
        await calls.start(f"caller-{number % 10}" for number in range(100))
    assert {type(error) for error in calls.errors} == {RateLimited}
    assert len(calls.errors) == 100
    assert len(network.seen) <= 1.2 * 100


@reliability("a pause longer than a call may wait", "told at once, with the seconds that are left; nothing is sent")
async def test_a_pause_beyond_the_deadline_is_told_at_once(world: World) -> None:
    await world.fault("*", "status", status=429, seconds=40)
    async with opened(SandboxTransport(world.app)) as bound:
        await outcome(bound().list_inventory(size=1))
        await anyio.sleep(10)
        for call in (bound("another").list_inventory(size=1), bound("another").create_customer(STEVE)):
            error = await outcome(call)
            assert isinstance(error, RateLimited)
            assert error.retry_after == pytest.approx(30)
    assert anyio.current_time() == pytest.approx(10)
    assert len(await world.requests()) == 1


@reliability("a write during a pause", "waits for its end unsent, and is done once")
async def test_a_write_waits_for_the_end_of_a_pause(world: World) -> None:
    await world.fault("list_inventory", "status", status=429, seconds=10)
    async with opened(SandboxTransport(world.app)) as bound, anyio.create_task_group() as tasks:
        await Calls(bound, tasks).start("a")
        assert await outcome(bound("b").create_customer(STEVE)) is None
        assert 10 <= anyio.current_time() <= 11.5
    assert len((await world.get("state"))["customers"]) == 1
