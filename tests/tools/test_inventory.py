"""The search of a dealer's inventory, and the details of one vehicle."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, some_vin

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ({"model": "cx-5"}, lambda row: row["model"] == "CX-5"),
        ({"body": "suv"}, lambda row: row["body"] == "SUV"),
        ({"make": "MAZDA"}, lambda row: row["make"] == "Mazda"),
        ({"year_min": 2025}, lambda row: row["year"] >= 2025),
        ({"year_max": 2024}, lambda row: row["year"] <= 2024),
        ({"price_max": 32000}, lambda row: row["price"] <= 32000),
        ({"price_min": 35000, "price_max": 40000}, lambda row: 35000 <= row["price"] <= 40000),
        ({"color": "red"}, lambda row: "red" in row["color"].casefold()),
    ],
)
async def test_list_inventory_filters_match_exactly(filters: dict[str, Any], holds: Any, connect: Connect) -> None:
    async with connect() as client:
        everything = await _all_rows(client, {})
        rows = await _all_rows(client, filters)
    assert [row["vin"] for row in rows] == [row["vin"] for row in everything if holds(row)]
    assert 0 < len(rows) <= len(everything)


@pytest.mark.operation("list_inventory", "list_inventory")
async def test_list_inventory_cursor_walks_each_vehicle_once(connect: Connect) -> None:
    async with connect() as client:
        in_stock = await _all_rows(client, {"limit": 7})
        everything = await _all_rows(client, {"in_stock": False, "limit": 100})
    vins = [row["vin"] for row in everything]
    assert vins == sorted(set(vins))
    assert len(vins) == 200
    assert [row["vin"] for row in in_stock] == [row["vin"] for row in everything if row["in_stock"]]
    assert len(in_stock) < 200


async def _all_rows(client: Any, filters: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **filters, **cursor}))
        rows += page["vehicles"]
        assert page["truncated"] is ("next_cursor" in page)
        if not page["truncated"]:
            return rows
        cursor = {"cursor": page["next_cursor"]}


async def test_list_inventory_explains_an_empty_answer(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "make": "Trabant"})
    assert answer_of(result)["vehicles"] == []
    assert "drop a filter" in answer_of(result)["hint"]
    assert answer_of(result)["hint"] in text_of(result)


async def test_list_inventory_names_prices_of_the_other_matches(connect: Connect) -> None:
    """The prices are those of vehicles that match all other filters."""
    async with connect() as client:
        fits = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "body": "Sedan", "limit": 100}))
        prices = [row["price"] for row in fits["vehicles"]]
        answer = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "body": "Sedan", "price_max": 1000}))
        none = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "make": "Trabant", "price_max": 1000}))
    assert not fits["truncated"]
    low, high = (f"{price:,.2f}".removesuffix(".00") for price in (min(prices), max(prices)))
    assert answer["hint"] == f"No vehicle matches at this price: {len(prices)} match otherwise, from {low} to {high}."
    assert "drop a filter" in none["hint"]


async def test_list_inventory_shows_equipment_only_in_full(connect: Connect) -> None:
    async with connect() as client:
        brief = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5}))
        full = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5, "detail": "full"}))
    assert [row["vin"] for row in brief["vehicles"]] == [row["vin"] for row in full["vehicles"]]
    assert all("engine" in row and "stock_number" in row for row in full["vehicles"])
    assert not any("engine" in row or "equipment" in row for row in brief["vehicles"])
    assert any(row.get("equipment") for row in full["vehicles"])


async def test_list_inventory_text_is_complete(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", AT_UMAZDA)
    answer = answer_of(result)
    for row in answer["vehicles"]:
        (line,) = [line for line in text_of(result).splitlines() if line.startswith(row["vin"])]
        assert row["model"] in line
        assert row["color"] in line
        assert f"{row['price']:,.2f}".removesuffix(".00") in line
    assert answer["next_cursor"] in text_of(result)


async def test_list_inventory_counts_vehicles_without_a_price(connect: Connect) -> None:
    """The reference's feed has no prices. Only some dealers' feeds do."""

    async with connect(upstream=FixedAnswer(b'{"vehicles": [{"vin": "4T1C11AK0LU322811"}], "total": 1}')) as client:
        answer = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": 30000}))
    assert answer["vehicles"] == []
    assert answer["hint"].startswith("Left out for want of a price in the feed: 1")


@pytest.mark.operation("get_vehicle", "get_vehicle")
async def test_get_vehicle_shows_consumption(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        answer = answer_of(await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin.lower()}))
    assert answer["vin"] == vin
    assert answer["make"] == "Mazda"
    assert answer.get("city_mpg") or answer.get("ev_range_miles")


async def test_get_vehicle_finds_no_vin_of_another_dealer(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        elsewhere = await client.call_tool("get_vehicle", {"dealer": "hyundaidemo", "vin": vin})
    assert kind_of(elsewhere) == "not_found"


@pytest.mark.parametrize("vin", ["", "JM1", "JM1NDAM77K030640O", "JM1NDAM77K0306400X", "../dealers", 17, None])
async def test_get_vehicle_refuses_what_is_no_vin(vin: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin})
    assert kind_of(result) == "invalid_arguments"
    assert "vin" in text_of(result)
    assert await world.requests() == []


CARS = {
    "JM1BPBLY9N1234560": {"model": "CX-5", "engine": {"label": "2.5L Turbo"}},
    "JM1BPBLY9N1234561": {"model": "CX-30", "engine": {"label": "2.5L I4"}},
    "JM1BPBLY9N1234562": {"model": "CX-50", "trim": "5 Door", "engine": {"label": "2.0L"}},
    "JM1BPBLY9N1234563": {"model": "MX-30", "trim": "CX Look", "packages": [{"name": "5 years of care"}]},
}


@pytest.mark.parametrize("is_kept", [True, False], ids=["mirror", "feed"])
@pytest.mark.parametrize(
    ("query", "models"),
    [
        ("cx-5", ["CX-5", "CX-50"]),
        ("CX-5, turbo", ["CX-5"]),
        ("turbo cx-5", ["CX-5"]),
        ("cx-30", ["CX-30"]),
        ("cx 30", ["CX-30", "MX-30"]),
        ("cx 5", ["CX-5", "CX-50", "MX-30"]),
        ("2.5", ["CX-5", "CX-30"]),
        ("2.5l-turbo", ["CX-5"]),
        ("look-5", []),
        ("30", ["CX-30", "MX-30"]),
        ("-", ["CX-5", "CX-30", "CX-50", "MX-30"]),
    ],
)
async def test_words_of_a_query_are_found_as_a_reader_expects(
    query: str, models: list[str], is_kept: bool, connect: Connect, world: World
) -> None:
    rows = [{"vin": vin, **car} for vin, car in CARS.items()]

    def feed(request: httpx2.Request) -> Any:
        is_behind = request.url.params.get("from_vin") or request.url.params.get("updated_since")
        return {"vehicles": [] if is_behind else rows, "total": len(rows)}

    change = {"inventory": InventorySettings(fresh_for=60)} if is_kept else {}
    async with connect(change=change, upstream=Answering(world, feed)) as client:
        answer = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "query": query}))
    assert [row["model"] for row in answer["vehicles"]] == models
