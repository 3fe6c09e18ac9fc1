"""The admission: callers in turn, a bounded queue, and a pause for all. Runs in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest

from roadster_client import (
    OPERATIONS,
    Busy,
    ChannelPolicy,
    ClientError,
    DealerApi,
    DealerRef,
    Origin,
    RateLimited,
    RoadsterApi,
    open_upstream,
)
from roadster_client.upstream.admission import AT_ONCE, AT_ONCE_FOR_A_CALLER, WAITING_FOR_A_CALLER
from roadster_client.upstream.network import MOST_CONNECTIONS
from roadster_sandbox import API_KEY, SandboxTransport
from roadster_tools import failure
from tests.conftest import World
from tests.upstreams import (
    STEVE,
    UMAZDA,
    VIRTUAL_TIME,
    ClientFor,
    WatchedNetwork,
    approve,
    error_of,
    open_clients,
    reply,
)

pytestmark = pytest.mark.anyio
reliability = pytest.mark.reliability


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL_TIME


class SlowUpstream:
    """An upstream that answers only when `answer_all` is called."""

    def __init__(self) -> None:
        self.network = WatchedNetwork(self._answer)
        self.running = 0
        self.most_at_once = 0
        self._go = anyio.Event()

    def answer_all(self) -> None:
        """Answers the requests that wait now, and not later ones."""
        self._go.set()
        self._go = anyio.Event()

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await self._go.wait()
        self.running -= 1
        return reply()


class Calls:
    """Calls in the background. `finishers` has their callers in the order in which the calls ended."""

    def __init__(self, client_for: ClientFor, tasks: anyio.abc.TaskGroup) -> None:
        self._client_for = client_for
        self._tasks = tasks
        self.finishers: list[str] = []
        self.errors: list[ClientError] = []

    async def start(self, callers: Iterable[str]) -> None:
        for caller in callers:
            self._tasks.start_soon(self._call, caller)
        await anyio.wait_all_tasks_blocked()

    async def _call(self, caller: str) -> None:
        error = await error_of(self._client_for(caller).list_inventory(size=1))
        self.finishers.append(caller)
        if error is not None:
            self.errors.append(error)


@reliability("300 slow calls of one caller", "another caller's call does not wait for any of them")
async def test_admission_of_one_caller_does_not_wait_for_anothers() -> None:
    upstream = SlowUpstream()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        return reply() if request.method == "POST" else await upstream.network.handle_async_request(request)

    async with open_clients(WatchedNetwork(answer)) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(["greedy"] * 300)
        assert upstream.running == AT_ONCE_FOR_A_CALLER
        before = anyio.current_time()
        await error_of(client_for("patient").create_customer(STEVE))
        assert anyio.current_time() == before
        assert upstream.running == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()


@reliability("more calls of one caller than can wait", "the rest fail at once as busy, with the seconds to wait")
async def test_admission_queue_is_bounded_in_length() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(["greedy"] * 300)
        assert len(calls.errors) == 300 - AT_ONCE_FOR_A_CALLER - WAITING_FOR_A_CALLER
        for error in calls.errors:
            assert type(error) is Busy
            assert error.retry_after
            assert failure(error).kind == "limited"
            assert failure(error).text.startswith("Busy: ")
        assert anyio.current_time() == 0
        tasks.cancel_scope.cancel()


@reliability("a read that finds no free slot", "fails as busy a second before its deadline; nothing was sent")
async def test_admission_queue_is_bounded_in_time_for_reads() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        tasks.start_soon(error_of, client_for("greedy").list_inventory(size=1))
        await calls.start(["greedy"] * AT_ONCE_FOR_A_CALLER)
        await anyio.sleep(14.5)
        assert [type(error) for error in calls.errors] == [Busy]
        assert len(upstream.network.requests) == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()


@reliability("a write that finds no free slot", "fails as busy at half of its deadline; its outcome is never unknown")
async def test_admission_of_a_write_fails_as_busy_when_unsent() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE_FOR_A_CALLER):
            tasks.start_soon(error_of, client_for().get_document(1, 1))  # each may take 60 seconds
        await anyio.wait_all_tasks_blocked()
        assert type(await error_of(client_for().create_customer(STEVE))) is Busy
        assert anyio.current_time() == pytest.approx(15)
        assert not any(request.method == "POST" for _, request in upstream.network.requests)
        tasks.cancel_scope.cancel()


@reliability("many callers at once", "an upstream sees at most 32 requests at once, 8 of each caller")
async def test_admission_bounds_concurrency_in_all_and_by_caller() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(caller for caller in "abcdef" for _ in range(20))
        while len(calls.finishers) < 120:
            assert upstream.running <= AT_ONCE
            upstream.answer_all()
            await anyio.wait_all_tasks_blocked()
    assert upstream.most_at_once == AT_ONCE
    assert not calls.errors


@reliability("a full upstream", "callers take turns: a late one waits for one round, not for the queue")
async def test_admission_lets_callers_take_turns() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(caller for caller in "abcd" for _ in range(50))
        await calls.start("z")
        assert len(upstream.network.requests) == AT_ONCE
        upstream.answer_all()
        await anyio.wait_all_tasks_blocked()
        upstream.answer_all()
        await anyio.wait_all_tasks_blocked()
        assert Counter(calls.finishers)["z"] == 1
        assert len(calls.finishers) == 2 * AT_ONCE
        tasks.cancel_scope.cancel()


async def test_admission_frees_the_slots_of_cancelled_calls() -> None:
    upstream = SlowUpstream()
    async with open_clients(upstream.network) as client_for:
        async with anyio.create_task_group() as tasks:
            await Calls(client_for, tasks).start(["a"] * 100)
            tasks.cancel_scope.cancel()
        upstream.running = 0
        async with anyio.create_task_group() as tasks:
            await Calls(client_for, tasks).start(["a"] * 100)
            assert upstream.running == AT_ONCE_FOR_A_CALLER
            tasks.cancel_scope.cancel()


class MeteredUpstream:
    """An upstream that takes `rate` requests in each window of ten seconds, and refuses the others with 429."""

    def __init__(self, rate: int) -> None:
        self.network = WatchedNetwork(self._answer)
        self.counts: Counter[int] = Counter()
        self._rate = rate

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        await anyio.sleep(0.05)
        window, into = divmod(anyio.current_time(), 10)
        if self.counts[int(window)] == self._rate:
            return reply(b"", 429, retry_after=f"{10 - into:.0f}")
        self.counts[int(window)] += 1
        return reply()


@reliability("more calls than an upstream takes in its window", "all wait for the next window together, and none fails")
@pytest.mark.parametrize("callers", [1, 5])
async def test_pause_ends_in_the_upstreams_next_window(callers: int) -> None:
    upstream = MeteredUpstream(200)
    async with open_clients(upstream.network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(f"caller-{number % callers}" for number in range(250))
    assert not calls.errors
    assert upstream.counts == {0: 200, 1: 50}
    assert len(upstream.network.requests) <= 1.2 * 250


@reliability("a pause that ends", "one request goes ahead, the others follow once it has succeeded")
async def test_pause_ends_with_one_request_ahead() -> None:
    going = anyio.Event()

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        if anyio.current_time() < 10:
            return reply(b"", 429, retry_after="10")
        await going.wait()
        return reply()

    network = WatchedNetwork(answer)
    async with open_clients(network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start("abcdef")
        requests = len(network.requests)
        await anyio.sleep(10.9)
        assert len(network.requests) == requests + 1
        going.set()
    assert len(calls.finishers) == 6
    assert not calls.errors


@reliability("an upstream that answers 429 for ever", "one request a second; the calls end as limited in time")
async def test_pause_of_zero_seconds_limits_requests_too() -> None:
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return reply(b"", 429, retry_after="0")

    network = WatchedNetwork(answer)
    async with open_clients(network) as client_for, anyio.create_task_group() as tasks:
        calls = Calls(client_for, tasks)
        await calls.start(f"caller-{number % 10}" for number in range(100))
    assert {type(error) for error in calls.errors} == {RateLimited}
    assert len(calls.errors) == 100
    assert len(network.requests) <= 1.2 * 100


@reliability("a pause longer than a call may wait", "fails at once, with the seconds that are left; nothing is sent")
async def test_pause_beyond_the_deadline_fails_at_once(world: World) -> None:
    await world.fault("*", "status", status=429, seconds=40)
    async with open_clients(SandboxTransport(world.app)) as client_for:
        await error_of(client_for().list_inventory(size=1))
        await anyio.sleep(10)
        for call in (client_for("another").list_inventory(size=1), client_for("another").create_customer(STEVE)):
            error = await error_of(call)
            assert isinstance(error, RateLimited)
            assert error.retry_after == pytest.approx(30)
    assert anyio.current_time() == pytest.approx(10)
    assert len(await world.requests()) == 1


@reliability("a write during a pause", "waits for its end unsent, and is done once")
async def test_pause_delays_a_write_unsent(world: World) -> None:
    await world.fault("list_inventory", "status", status=429, seconds=10)
    async with open_clients(SandboxTransport(world.app)) as client_for, anyio.create_task_group() as tasks:
        await Calls(client_for, tasks).start("a")
        assert await error_of(client_for("b").create_customer(STEVE)) is None
        assert 10 <= anyio.current_time() <= 11.5
    assert len((await world.get("state"))["customers"]) == 1


@reliability("a 429 to one account", "dealers with an account of their own do not wait for its pause")
async def test_pause_of_one_account_is_not_another_ones() -> None:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        is_own = request.headers["authorization"] == "Bearer own-key"
        return reply() if is_own else reply(b"{}", 429, retry_after="30")

    async with open_upstream("http://sandbox/v1", api_key=API_KEY, transport=WatchedNetwork(answer)) as upstream:
        api = RoadsterApi(upstream, OPERATIONS)

        def client_of(dealer: DealerRef) -> DealerApi:
            return api.for_dealer(dealer, ChannelPolicy(approve, origin=Origin("tester", dealer.dpid)))

        assert isinstance(await error_of(client_of(UMAZDA).list_inventory(size=1)), RateLimited)
        before = anyio.current_time()
        assert await error_of(client_of(replace(UMAZDA, api_key="own-key")).list_inventory(size=1)) is None
        assert anyio.current_time() == before
        assert isinstance(await error_of(client_of(UMAZDA).list_inventory(size=1)), RateLimited)


async def test_exchanges_of_many_accounts_wait_for_a_connection() -> None:
    upstream = SlowUpstream()
    async with (
        open_upstream("http://sandbox/v1", api_key=API_KEY, transport=upstream.network) as account,
        anyio.create_task_group() as tasks,
    ):
        api = RoadsterApi(account, OPERATIONS)
        for number in range(MOST_CONNECTIONS // AT_ONCE_FOR_A_CALLER + 1):
            client = api.for_dealer(replace(UMAZDA, api_key=f"key-{number}"), ChannelPolicy(approve))
            for _ in range(AT_ONCE_FOR_A_CALLER):
                tasks.start_soon(error_of, client.list_inventory(size=1))
        await anyio.wait_all_tasks_blocked()
        assert upstream.running == MOST_CONNECTIONS
        upstream.answer_all()
        await anyio.wait_all_tasks_blocked()
        assert upstream.running == AT_ONCE_FOR_A_CALLER
        tasks.cancel_scope.cancel()
