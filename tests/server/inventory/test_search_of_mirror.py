"""A search of the mirror: it shows what the feed does, and of the dealer only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_server.inventory.refresh import now
from tests.conftest import Answering, Connect, World, kind_of, on_both_databases
from tests.server.inventory.feeds import KEPT, PATIENCE, Feed, all_vins, search
from tests.server.store.databases import execute
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


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
