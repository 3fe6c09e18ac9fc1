"""The mirror of a dealer's feed: when it is read, what a search of it says, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client

from roadster_sandbox import SandboxTransport
from roadster_sandbox.http.app import make_app
from roadster_sandbox.http.endpoint import Sandbox
from roadster_sandbox.world.inventory import Vehicle
from roadster_server.calls.context import Timing
from roadster_server.inventory.refresh import now
from roadster_server.settings.sections import InventorySettings
from tests.conftest import Answering, Connect, World, answer_of, kind_of, on_both_databases, text_of
from tests.server.store.databases import execute
from tests.tool_examples import STEVE
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

KEPT = {"inventory": InventorySettings(fresh_for=60)}
PATIENCE = 60


@dataclass
class Feed:
    """A sandbox with a feed that a test can change, and the store of the servers that read it."""

    sandbox: Sandbox
    store_url: str

    @property
    def vehicles(self) -> dict[str, Vehicle]:
        return self.sandbox.world.vehicles["umazda"]

    def change(self, vehicles: Mapping[str, Vehicle]) -> None:
        self.sandbox.world.vehicles = {**self.sandbox.world.vehicles, "umazda": dict(sorted(vehicles.items()))}

    def requests(self) -> list[dict[str, Any]]:
        """Returns the queries since the last time."""
        queries = [request["query"] for request in self.sandbox.requests]
        self.sandbox.requests.clear()
        return queries

    async def age(self, seconds: int) -> None:
        """Makes the mirror older."""
        columns = ("as_of", "whole", "failure")
        changes = ", ".join(f"{name} = {name} - {seconds * 1000}" for name in columns)
        await execute(self.store_url, f"UPDATE roadster_mirrors SET {changes}")


@pytest.fixture
def feed(store_url: str) -> Feed:
    return Feed(Sandbox(7), store_url)


@pytest.fixture
def world(feed: Feed) -> World:
    return World(make_app(feed.sandbox))


async def search(client: Client, **arguments: Any) -> dict[str, Any]:
    return answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **arguments}))


async def all_vins(client: Client, **arguments: Any) -> list[str]:
    vins: list[str] = []
    cursor: str | None = None
    while True:
        answer = await search(client, **arguments, **({"cursor": cursor} if cursor else {}))
        vins += [vehicle["vin"] for vehicle in answer["vehicles"]]
        cursor = answer.get("next_cursor")
        if cursor is None:
            return vins


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
async def test_newest_says_that_none_is_known_to_be_newer(connect: Connect, feed: Feed) -> None:
    """The vehicles of the first reading are in the order of their VINs, until one comes in later."""
    vehicles = dict(feed.vehicles)
    late = replace(vehicles.pop(sorted(vehicles)[50]), in_stock=True, updated_at=now() // 1000)
    feed.change(vehicles)
    async with connect(change=KEPT) as client:
        first = await search(client, sort="newest", limit=100)
        assert "None is known to be newer than another" in first["hint"]
        again = await search(client, sort="newest", limit=100, cursor=first["next_cursor"])
        assert "newer" not in (again.get("hint") or "")
        vins = [row["vin"] for row in first["vehicles"] + again["vehicles"]]
        assert vins == sorted(vins)
        assert "newer" not in ((await search(client, sort="year")).get("hint") or "")
        feed.change({**vehicles, late.vin: late})
        await feed.age(61)
        newest = await search(client, sort="newest", limit=5)
        assert newest["vehicles"][0]["vin"] == late.vin
        assert "newer" not in (newest.get("hint") or "")


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


async def test_lookup_asks_the_feed_and_remembers_what_is_gone(connect: Connect, feed: Feed) -> None:
    """A vehicle that vanished is no update, so only a request about it can tell."""
    async with connect(change=KEPT) as client:
        vin = (await all_vins(client, limit=100))[3]
        number = feed.vehicles[vin].stock_number
        feed.requests()
        assert [row["vin"] for row in (await search(client, vin=vin))["vehicles"]] == [vin]
        assert [row["vin"] for row in (await search(client, stock_number=number.lower()))["vehicles"]] == [vin]
        assert len(feed.requests()) == 2
        feed.change({other: vehicle for other, vehicle in feed.vehicles.items() if other != vin})
        assert (await search(client, stock_number=number))["vehicles"] == []
        assert vin not in await all_vins(client, limit=100)
        assert (await search(client, stock_number=number))["hint"].startswith("The feed has no vehicle")


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


def hostile(rows: list[Any]) -> Callable[[httpx2.Request], Any]:
    def answer(request: httpx2.Request) -> Any:
        query = request.url.params
        is_first = "from_vin" not in query and "updated_since" not in query
        return {"vehicles": rows if is_first else [], "total": len(rows)}

    return answer


@on_both_databases
async def test_hostile_rows_are_left_out_and_counted(connect: Connect, world: World) -> None:
    """Whatever a row has, the others are shown."""
    rows = [
        {"vin": "A" * 17, "model": "One", "price": 10},
        {"vin": "B" * 5_000},
        {"model": "nameless"},
        7,
        {"vin": "C" * 17, "model": "x" * 9_000, "trim": "\x00\ud800'\"%", "year": 10**40, "price": -1e300},
        {"vin": "D" * 17, "price": "a lot", "options": [{"msrp": 1}, {"name": "Roof"}], "in_stock": "perhaps"},
        {"vin": "D" * 17, "model": "again"},
        {"vin": "'; DROP TABLE roadster_vehicles; --", "mileage": 1e308},
    ]
    async with connect(change=KEPT, upstream=Answering(world, hostile(rows))) as client:
        answer = await search(client)
        assert [row["vin"] for row in answer["vehicles"]] == ["A" * 17, "C" * 17, "D" * 17]
        assert answer["left_out"]["rows"] >= 4
        assert [row["vin"] for row in (await search(client, query="roof"))["vehicles"]] == []
        nothing = await search(client, model="nothing")
        assert "could not be read" in nothing["hint"]
        for sort in ("price", "price_desc", "year", "newest", "mileage"):
            assert len(await all_vins(client, sort=sort, limit=1)) == 3


async def test_rows_that_cannot_be_read_any_more_are_not_taken_for_sold(
    connect: Connect, world: World, feed: Feed
) -> None:
    """Neither a refresh nor a whole reading of another shape makes the stock look empty."""
    async with connect(change=KEPT) as client:
        before = await all_vins(client, limit=100)
        time = now() // 1000
        feed.change({vin: replace(vehicle, updated_at=time) for vin, vehicle in feed.vehicles.items()})
        await world.fault("list_inventory", "wrong_types", times=100)
        for age in (61, 24 * 3_600):
            await feed.age(age)
            answer = await search(client)
            assert answer["left_out"]["rows"] > 0
            assert [row["vin"] for row in answer["vehicles"]] == before[:20]
        with anyio.fail_after(PATIENCE):
            while (await execute(feed.store_url, "SELECT lease FROM roadster_mirrors"))[0][0]:
                await anyio.sleep(0.05)
        assert await all_vins(client, limit=100) == before


@pytest.mark.parametrize(
    ("tool", "more"), [("list_inventory", {}), ("build_deep_link", {"customer": STEVE}), ("build_deep_link", {})]
)
async def test_own_vehicle_does_not_cover_up_an_answer_about_another_dealer(
    tool: str, more: dict[str, Any], connect: Connect, world: World, feed: Feed
) -> None:
    """The mirror has the vehicle, and is old enough that the feed is asked."""
    async with connect(change=KEPT) as client:
        vin = (await search(client))["vehicles"][0]["vin"]
        await feed.age(3_600)
        await world.fault("list_inventory", "foreign_dealer", times=10)
        result = await client.call_tool(tool, {**AT_UMAZDA, "vin": vin, **more})
        assert kind_of(result) == "upstream"
        assert "names another dealer and was withheld" in text_of(result)
        assert vin not in text_of(result)


async def test_other_dealers_vehicles_are_never_shown(connect: Connect, feed: Feed) -> None:
    """Both dealers' mirrors stand in one table."""
    async with connect(change=KEPT) as client:
        own = {dealer: set(feed.sandbox.world.vehicles[dealer]) for dealer in ("umazda", "hyundaidemo")}
        for dealer, vins in own.items():
            shown = await all_vins(client, dealer=dealer, in_stock=False, limit=100)
            assert set(shown) == vins
        foreign = next(iter(feed.sandbox.world.vehicles["hyundaidemo"].values()))
        assert (await search(client, stock_number=foreign.stock_number))["vehicles"] == []
        cursor = (await search(client, limit=1))["next_cursor"]
        moved = await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1, "cursor": cursor})
        assert kind_of(moved) == "invalid_arguments"
        resorted = await client.call_tool("list_inventory", {**AT_UMAZDA, "sort": "year", "cursor": cursor})
        assert kind_of(resorted) == "invalid_arguments"


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


@pytest.mark.parametrize(
    "arguments",
    [
        {"make": " mazda ", "model": "cx-5", "year_min": 2025},
        {"price_min": 30_000, "price_max": 40_000, "in_stock": False},
        {"body": "Sedan", "sort": "price_desc"},
        {"color": "re", "sort": "price"},
        {"query": "premium turbo", "sort": "year"},
        {"query": "AUTO wh"},
        {"price_max": 1},
        {"stock_number": "nothing"},
        {"sort": "mileage"},
    ],
)
async def test_mirror_and_feed_have_the_same_vehicles(connect: Connect, arguments: dict[str, Any]) -> None:
    """A search of the mirror shows what a search of the feed does, in the same order and form."""
    async with connect(change=KEPT) as mirrored, connect() as direct:
        for detail in ("brief", "full"):
            rows = [
                (await search(client, **arguments, detail=detail, limit=5))["vehicles"] for client in (mirrored, direct)
            ]
            assert rows[0] == rows[1]
        if arguments.keys() != {"stock_number"}:
            assert await all_vins(mirrored, **arguments) == await all_vins(direct, **arguments)
        hints = [(await search(client, **arguments)).get("hint") for client in (mirrored, direct)]
        assert hints[0] == hints[1]


@pytest.mark.parametrize("sort", ["price", "year"])
async def test_counts_are_those_of_the_feed(connect: Connect, sort: str) -> None:
    async with connect(change=KEPT) as mirrored, connect() as direct:
        counts = [(await search(client, sort=sort, limit=1))["counts"] for client in (mirrored, direct)]
    assert counts[0] == counts[1]
    assert set(counts[0]) == {"model", "body", "trim", "price"}


@settings(max_examples=25)
@given(
    dealer=st.sampled_from(["umazda", "hyundaidemo", "toyotademo", " umazda", "", None]),
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "make": st.sampled_from(["Hyundai", "Toyota", "Mazda"]),
            "query": st.text(max_size=8),
            "stock_number": st.sampled_from(["H00201", "T00401", "M00001"]),
            "sort": st.sampled_from(["price", "newest"]),
            "in_stock": st.booleans(),
        },
    ),
)
async def test_caller_sees_no_vehicle_of_a_dealer_that_is_not_its_own(
    connect: Connect, feed: Feed, dealer: str | None, arguments: dict[str, Any]
) -> None:
    """All mirrors are filled, and the store has them in one table."""
    async with connect(change=KEPT) as anybody:
        for each in ("umazda", "hyundaidemo"):
            await search(anybody, dealer=each, limit=1)
    async with connect(change=KEPT, dealers=["umazda"]) as client:
        result = await client.call_tool(
            "list_inventory", {**arguments, **({} if dealer is None else {"dealer": dealer})}
        )
    vins = {row["vin"] for row in (result.structured_content or {}).get("vehicles", [])}
    assert vins <= set(feed.vehicles)
    assert result.is_error or dealer in ("umazda", "", None)


async def test_search_reads_the_feed_if_the_store_does_not_work(connect: Connect, feed: Feed) -> None:
    async with connect(change=KEPT) as client:
        mirrored = await search(client, sort="price")
        await execute(feed.store_url, "ALTER TABLE roadster_mirrors RENAME TO elsewhere")
        direct = await search(client, sort="price")
    assert direct["vehicles"] == mirrored["vehicles"]
    assert "as_of" not in direct


async def test_a_lookup_counts_at_once(connect: Connect, feed: Feed) -> None:
    """A vehicle that a lookup does not find is in no count, and one that it finds again is listed again."""
    async with connect(change=KEPT) as client:
        stock = (await search(client, limit=1))["searched"]
        vehicle = next(vehicle for vehicle in feed.vehicles.values() if vehicle.in_stock)
        vehicles = dict(feed.vehicles)
        feed.change({vin: each for vin, each in vehicles.items() if vin != vehicle.vin})
        await search(client, vin=vehicle.vin)
        answer = await search(client, limit=1)
        assert answer["searched"] == sum(answer["counts"]["model"].values()) == stock - 1
        feed.change(vehicles)
        await search(client, vin=vehicle.vin)
        assert (await search(client, limit=1))["searched"] == stock
        assert vehicle.vin in await all_vins(client, limit=100)


async def test_a_quote_knows_what_a_lookup_has_found(connect: Connect, feed: Feed) -> None:
    async with connect(change=KEPT) as client:
        vehicle = next(vehicle for vehicle in feed.vehicles.values() if vehicle.in_stock and not vehicle.reserved)
        quote = {**AT_UMAZDA, "vin": vehicle.vin}
        assert answer_of(await client.call_tool("quote_payments", quote))["stock"] == "in stock"
        feed.change({**feed.vehicles, vehicle.vin: replace(vehicle, reserved=True)})
        await search(client, vin=vehicle.vin)
        assert answer_of(await client.call_tool("quote_payments", quote))["stock"] == "reserved"


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
