"""The mirror of a dealer's feed: when it is read, and who waits for it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.inventory.refresh import now
from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import Connect, World, answer_of, kind_of, on_both_databases
from tests.server.inventory.feeds import KEPT, PATIENCE, Feed, all_vins, search
from tests.server.store.databases import execute
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_first_search_reads_the_feed_and_the_next_ones_do_not(connect: Connect, feed: Feed) -> None:
    async with connect(change=KEPT) as client:
        answer = await search(client, sort="price", limit=5)
        whole = feed.requests()
        assert [query.get("updated_since") is not None for query in whole] == [False, False, False, True]
        assert all(query["in_stock"] == "any" for query in whole)
        prices = [vehicle["price"] for vehicle in answer["vehicles"]]
        in_stock = [vehicle for vehicle in feed.vehicles.values() if vehicle.in_stock]
        assert prices == sorted(vehicle.price for vehicle in in_stock)[:5]
        assert sum(answer["counts"]["model"].values()) == answer["searched"] == len(in_stock)
        assert answer["as_of"].endswith("Z")
        assert await all_vins(client, limit=100) == [vehicle.vin for vehicle in in_stock]
        assert feed.requests() == []


@on_both_databases
async def test_refresh_is_one_request_that_brings_what_changed(connect: Connect, feed: Feed) -> None:
    """A vehicle that was sold, one that has another price, and one that came in."""
    vehicles = dict(feed.vehicles)
    late = vehicles.pop(sorted(vehicles)[50])
    feed.change(vehicles)
    sold, cheaper = [vehicle for vehicle in vehicles.values() if vehicle.in_stock][:2]
    async with connect(change=KEPT) as client:
        assert late.vin not in await all_vins(client, limit=100)
        feed.requests()
        await feed.age(61)
        await search(client)
        (query,) = feed.requests()
        assert int(query["updated_since"]) < now() / 1000
        time = now() // 1000
        changes = [
            replace(sold, in_stock=False, updated_at=time),
            replace(cheaper, discount=cheaper.discount + 20_000, updated_at=time),
            replace(late, in_stock=True, updated_at=time),
        ]
        feed.change({**vehicles, **{vehicle.vin: vehicle for vehicle in changes}})
        await feed.age(61)
        first = (await search(client, sort="price", limit=1))["vehicles"][0]
        assert first["vin"] == cheaper.vin
        vins = await all_vins(client, limit=100)
        assert late.vin in vins
        assert sold.vin not in vins
        assert sold.vin in await all_vins(client, limit=100, in_stock=False)
        assert (await all_vins(client, sort="newest", limit=1))[0] == late.vin


@on_both_databases
async def test_vehicle_that_vanished_is_not_shown_after_the_daily_reading(connect: Connect, feed: Feed) -> None:
    async with connect(change=KEPT) as client:
        before = await all_vins(client, limit=100)
        vehicles = dict(feed.vehicles)
        gone = vehicles.pop(before[3])
        feed.change(vehicles)
        await feed.age(24 * 3_600 + 61)
        await search(client)
        with anyio.fail_after(PATIENCE):
            while gone.vin in await all_vins(client, limit=100):
                await anyio.sleep(0.05)
        feed.change({**vehicles, gone.vin: replace(gone, updated_at=now() // 1000)})
        await feed.age(61)
        assert await all_vins(client, limit=100) == before


@pytest.mark.reliability("Roadster does not answer a search of the inventory", "the last state is shown, with its age")
async def test_last_state_is_shown_with_its_age_if_the_feed_does_not_answer(
    connect: Connect, world: World, feed: Feed
) -> None:
    async with connect(change=KEPT) as client:
        before = await all_vins(client, limit=100)
        await feed.age(3 * 3_600)
        await world.fault("list_inventory", "status", times=100)
        answer = await search(client, limit=20)
        assert answer["hint"] == "Roadster cannot be read now: this is its inventory of 3 hours ago."
        assert [row["vin"] for row in answer["vehicles"]] == before[:20]
        feed.requests()
        assert (await search(client))["hint"].startswith("Roadster cannot be read now")
        assert feed.requests() == [], "a feed that has just failed is not asked by each call"
        found = await search(client, vin=before[0])
        assert [row["vin"] for row in found["vehicles"]] == [before[0]]
        assert found["hint"].startswith("Roadster cannot be read now")
        await world.clear_faults()
        await feed.age(61)
        assert "hint" not in await search(client)


async def test_first_search_fails_if_the_feed_does_not_answer(connect: Connect, world: World) -> None:
    async with connect(change=KEPT) as client:
        await world.fault("list_inventory", "status", times=100)
        assert kind_of(await client.call_tool("list_inventory", AT_UMAZDA)) == "upstream"
        await world.clear_faults()


@on_both_databases
async def test_two_servers_read_the_feed_once(connect: Connect, feed: Feed) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(change=KEPT)) for _ in range(2)]
        answers: list[list[str]] = []

        async def ask(client: Client) -> None:
            answers.append([row["vin"] for row in (await search(client, limit=100))["vehicles"]])

        async def ask_all() -> None:
            async with anyio.create_task_group() as tasks:
                for client in clients * 3:
                    tasks.start_soon(ask, client)

        await ask_all()
        assert len(feed.requests()) == 4
        await feed.age(61)
        await ask_all()
        assert len(feed.requests()) == 1
        assert all(vins == answers[0] for vins in answers)


class Gated(httpx2.AsyncBaseTransport):
    """The sandbox, but requests of the feed wait while `gate` is shut."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.gate = anyio.Event()
        self.gate.set()
        self.waiting = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        return await self._sandbox.handle_async_request(request)


@pytest.mark.reliability("A refresh of the inventory hangs", "the calls after it are answered from the last state")
async def test_refresh_that_hangs_holds_up_nobody_else(connect: Connect, world: World, feed: Feed) -> None:
    upstream = Gated(world)
    async with connect(change=KEPT, upstream=upstream) as client, connect(change=KEPT) as other:
        before = await all_vins(client, limit=100)
        await feed.age(61)
        upstream.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(search, client)
            await upstream.waiting.wait()
            for each in (client, other):
                answer = await search(each, limit=20)
                assert answer["hint"] == "This is the inventory of 1 minute ago, which is being read anew."
                assert [row["vin"] for row in answer["vehicles"]] == before[:20]
            upstream.gate.set()


async def test_feed_that_ignores_updated_since_is_read_whole(connect: Connect, world: World, feed: Feed) -> None:
    await world.fault("list_inventory", "ignored_update", times=1_000)
    async with connect(change=KEPT) as client:
        await search(client)
        assert await execute(feed.store_url, "SELECT ignores_updates FROM roadster_mirrors") in ([(1,)], [(True,)])
        feed.requests()
        await feed.age(61)
        await search(client)
        assert feed.requests() == [], "it is not read every minute"
        await feed.age(15 * 60)
        await search(client)
        assert "from_vin" not in feed.requests()[0]
        await world.clear_faults()
        await feed.age(16 * 60)
        await search(client)
        feed.requests()
        await feed.age(61)
        await search(client)
        assert len(feed.requests()) == 1, "it honours updated_since by now"


async def test_filling_goes_on_where_it_was_interrupted(connect: Connect, world: World, feed: Feed) -> None:
    """Each page is stored, so a long feed is not read from the start again."""
    async with connect(change=KEPT) as client:
        await world.fault("list_inventory", "delay", times=1, seconds=0)
        await world.fault("list_inventory", "status", times=100)
        assert kind_of(await client.call_tool("list_inventory", AT_UMAZDA)) == "upstream"
        await world.clear_faults()
        feed.requests()
    async with connect(change=KEPT) as client:
        assert len(await all_vins(client, in_stock=False, limit=100)) == 200
        assert "from_vin" in feed.requests()[0]


async def test_first_reading_that_takes_long_is_not_said_to_be_read_anew(
    connect: Connect, world: World, feed: Feed
) -> None:
    """When it ends, its start is a while ago, but nothing newer is under way."""
    async with connect(change=KEPT) as client:
        await world.fault("list_inventory", "delay", times=1, seconds=0)
        await world.fault("list_inventory", "status", times=100)
        assert kind_of(await client.call_tool("list_inventory", AT_UMAZDA)) == "upstream"
        await world.clear_faults()
    await execute(feed.store_url, "UPDATE roadster_mirrors SET start = start - 3600000, failure = 0")
    async with connect(change=KEPT) as client:
        assert "hint" not in await search(client)


async def test_age_below_a_minute_is_just_now(connect: Connect, world: World, feed: Feed) -> None:
    """In the words of the views, which say the same."""
    async with connect(change={"inventory": InventorySettings(fresh_for=1)}) as client:
        await search(client)
        await feed.age(2)
        await world.fault("list_inventory", "status", times=100)
        hint = "Roadster cannot be read now: this is its inventory of just now."
        assert (await search(client))["hint"] == hint


async def test_first_filling_tells_how_far_it_is(connect: Connect, world: World) -> None:
    """The second page waits until the client was told of the first one."""
    messages: list[str | None] = []
    was_told = anyio.Event()

    class SlowFeed(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if "from_vin" in request.url.params:
                with anyio.fail_after(PATIENCE):
                    await was_told.wait()
            return await SandboxTransport(world.app).handle_async_request(request)

    async def on_progress(_progress: float, _total: float | None, message: str | None) -> None:
        messages.append(message)
        if message == "reading the dealer's inventory: 100 vehicles of 200":
            was_told.set()

    async with connect(change=KEPT, upstream=SlowFeed(), timing=Timing(progress_seconds=0.01)) as client:
        watching: Any = {"progress_callback": on_progress, "meta": {"progress_token": "own"}}
        answer_of(await client.call_tool("list_inventory", AT_UMAZDA, **watching))
    assert was_told.is_set()


async def test_a_process_that_died_at_the_first_reading_holds_up_no_search(connect: Connect, feed: Feed) -> None:
    """Its lease lasts two minutes. Meanwhile the feed answers."""
    async with connect(change=KEPT) as client:
        await client.call_tool("list_dealers", {})
        names = "dealer, holder, as_of, whole, start, skip, count, unread, failure, ignores_updates, lease"
        start, lease = now() - 1_000, now() + 100_000
        values = f"'umazda', 'dead', 0, 0, {start}, 0, 0, 0, 0, false, {lease}"
        await execute(feed.store_url, f"INSERT INTO roadster_mirrors ({names}) VALUES ({values})")
        assert (await search(client, limit=1))["vehicles"]


async def test_a_clock_that_was_ahead_hides_no_sale(connect: Connect, feed: Feed) -> None:
    async with connect(change=KEPT) as client:
        vehicle = next(vehicle for vehicle in feed.vehicles.values() if vehicle.in_stock)
        assert vehicle.vin in await all_vins(client, limit=100)
        await feed.age(-60 * 60)  # the clock is set back by an hour
        feed.change({**feed.vehicles, vehicle.vin: replace(vehicle, in_stock=False, updated_at=now() // 1000)})
        assert vehicle.vin not in await all_vins(client, limit=100)
