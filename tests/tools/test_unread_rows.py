"""Rows of a feed that cannot be read: the search goes past them, counts each once, and never calls them absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client

from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import Answering, Connect, World, answer_of, text_of
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

ABSENCE = ("No vehicle matches", "The feed has no vehicle", "No more vehicles")


def vin_of(number: int) -> str:
    return f"JM1{number:014}"


def feed_of(
    world: World,
    readable: list[bool],
    *,
    longest: int = 500,
    order: Callable[[str], str] = str,
    **fields: Any,
) -> Answering:
    """Returns an upstream with a feed, sorted by VIN, in which some rows have no VIN that can be read."""
    vins = [vin_of(number) for number in range(len(readable))]

    def answer(request: httpx2.Request) -> Any:
        start, size = request.url.params.get("from_vin", ""), int(request.url.params["size"])
        rest = [(vin, is_readable) for vin, is_readable in zip(vins, readable, strict=True) if vin > order(start)]
        rows = [{"vin": vin if is_readable else [vin], "make": "Mazda", **fields} for vin, is_readable in rest]
        return {"vehicles": rows[: min(size, longest)], "total": len(vins)}

    return Answering(world, answer)


async def search(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    """Returns the answers of a search, one for each cursor."""
    answers = []
    while True:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, **arguments})
        answers.append(answer_of(result))
        assert answers[-1].get("hint", "") in text_of(result)
        if not answers[-1]["truncated"]:
            return answers
        arguments["cursor"] = answers[-1]["next_cursor"]


def unread_rows(answers: list[dict[str, Any]]) -> int:
    return sum(answer.get("left_out", {}).get("rows", 0) for answer in answers)


@settings(max_examples=20)
@given(blocks=st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=4), limit=st.integers(1, 100))
async def test_each_row_is_read_or_counted_once(
    blocks: list[tuple[bool, int]], limit: int, connect: Connect, world: World
) -> None:
    readable = [is_readable for is_readable, count in blocks for _ in range(count)]
    async with connect(upstream=feed_of(world, readable), calls_per_minute=10_000) as client:
        answers = await search(client, limit=max(limit, 10))
    vins = [row["vin"] for answer in answers for row in answer["vehicles"]]
    assert vins == [vin_of(number) for number, is_readable in enumerate(readable) if is_readable]
    assert unread_rows(answers) == readable.count(False)
    assert sum(answer["searched"] for answer in answers) == len(vins)


@pytest.mark.parametrize("unread", [1, 100, 250])
@pytest.mark.parametrize("arguments", [{}, {"make": "Mazda"}, {"stock_number": "S1"}, {"vin": vin_of(0)}], ids=str)
async def test_rows_that_cannot_be_read_are_not_absent(
    arguments: dict[str, Any], unread: int, connect: Connect, world: World
) -> None:
    async with connect(upstream=feed_of(world, [False] * unread)) as client:
        (answer,) = await search(client, **arguments)
    rows = "1 row" if unread == 1 else f"{unread} rows"
    assert answer["hint"] == (
        f"{rows} of Roadster's answer could not be read, so the vehicle may be among or behind them."
    )
    assert unread_rows([answer]) == unread


@pytest.mark.parametrize("order", [str, str.upper])
async def test_vehicle_between_others_that_cannot_be_read_is_not_absent(
    order: Callable[[str], str], connect: Connect, world: World
) -> None:
    """A row is counted once, also in a feed whose order does not heed case."""
    readable = [True, True, False, True, True]
    async with connect(upstream=feed_of(world, readable, order=order)) as client:
        (unread,) = await search(client, vin=vin_of(2))
        (last,) = await search(client, vin=vin_of(4))
        (absent,) = await search(client, vin="JM2" + "0" * 14)
    assert unread["hint"] == "1 row of Roadster's answer could not be read, so the vehicle may be among them."
    assert [row["vin"] for row in last["vehicles"]] == [vin_of(4)]
    assert absent["hint"].startswith("The feed has no vehicle with this VIN")


async def test_rows_of_earlier_answers_are_not_absent_in_the_last_one(connect: Connect, world: World) -> None:
    readable = [False] * 3 + [True] * 30
    async with connect(upstream=feed_of(world, readable)) as client:
        first, *_, last = await search(client, limit=15)
        assert len(first["vehicles"]) == 15
    assert last["hint"].startswith("3 rows of Roadster's answer could not be read")


async def test_search_stops_where_roadster_returns_no_longer_pages(connect: Connect, world: World) -> None:
    """It asks for the page again, longer, and gets no more. It must not take that for the end."""
    upstream = feed_of(world, [True] + [False] * 100 + [True], longest=100)
    async with connect(upstream=upstream) as client:
        answers = await search(client, make="Trabant")
    assert answers[-1]["hint"] == (
        "100 rows of Roadster's answer could not be read, so the vehicle may be among or behind them."
    )


async def test_search_past_very_many_unreadable_rows_is_bounded(connect: Connect, world: World) -> None:
    async with connect(upstream=feed_of(world, [False] * 2_000, longest=2_000)) as client:
        (answer,) = await search(client)
    assert "among or behind them" in answer["hint"]
    assert unread_rows([answer]) == 500


@pytest.mark.parametrize("price", [{}, {"price_max": 10}], ids=str)
async def test_value_that_a_filter_needs_and_cannot_be_read_is_not_absent(
    price: dict[str, int], connect: Connect, world: World
) -> None:
    async with connect(upstream=feed_of(world, [True, True], body=["SUV"], price=20)) as client:
        (answer,) = await search(client, body="SUV", **price)
        (other,) = await search(client, make="Trabant")
    assert answer["hint"].startswith("2 fields of Roadster's answer could not be read, so the vehicle may be among")
    assert other["hint"].startswith("No vehicle matches")


FILTERS = {
    "make": {"make": "Kia"},
    "model": {"model": "CX-5"},
    "body": {"body": "SUV"},
    "year": {"year_min": 2020},
    "price": {"price_max": 30},
    "msrp": {"price_min": 10},
    "exterior_color": {"color": "Red"},
    "trim": {"query": "sport"},
    "engine": {"query": "hybrid"},
    "options": {"query": "mats"},
}
"""A search that compares the field, by field."""


@pytest.mark.parametrize("is_kept", [True, False], ids=["mirror", "feed"])
@pytest.mark.parametrize("field", FILTERS)
async def test_value_that_a_filter_needs_and_cannot_be_read_is_told_beside_rows(
    field: str, is_kept: bool, connect: Connect, world: World
) -> None:
    """A row that may match is missing, although others are there."""
    sound = {
        "make": "Kia",
        "model": "CX-5",
        "body": "SUV",
        "year": 2024,
        "price": 20,
        "trim": "Sport",
        "exterior_color": {"label": "Red"},
        "engine": {"label": "Hybrid"},
        "options": [{"name": "Mats"}],
    }
    rows = [{"vin": vin_of(1), **sound}, {"vin": vin_of(2), **sound, field: True}]

    def answer(request: httpx2.Request) -> Any:
        start = request.url.params.get("from_vin", "")
        return {"vehicles": [row for row in rows if row["vin"] > start], "total": 2}

    change = {"inventory": InventorySettings(fresh_for=60 if is_kept else 0)}
    async with connect(upstream=Answering(world, answer), change=change) as client:
        (found,) = await search(client, **FILTERS[field])
        (other,) = await search(client, stock_number="S1")
    assert found["vehicles"]
    assert "1 field of Roadster's answer could not be read, so more that match may be among them." in found["hint"]
    assert found["left_out"]["fields"] == 1
    assert "could not be read" not in other["hint"]


async def test_price_that_is_missing_is_told_with_the_rows_that_cannot_be_read(connect: Connect, world: World) -> None:
    async with connect(upstream=feed_of(world, [True, False])) as client:
        (answer,) = await search(client, price_max=10)
    assert answer["hint"].startswith("Left out for want of a price in the feed: 1")
    assert "1 row of Roadster's answer could not be read" in answer["hint"]
    assert not any(words in answer["hint"] for words in ABSENCE)
