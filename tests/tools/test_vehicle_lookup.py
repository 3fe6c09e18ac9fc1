"""The lookup of one vehicle in a dealer's feed: by VIN with one request, by stock number with a bounded search."""

from __future__ import annotations

from string import ascii_uppercase, digits
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from roadster_tools.toolsets.vehicle_lookup import vin_before
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tools.umazda import AT_UMAZDA, operations, some_vin

pytestmark = pytest.mark.anyio

CHARACTERS = "".join(character for character in digits + ascii_uppercase if character not in "IOQ")
VINS = st.text(CHARACTERS, min_size=17, max_size=17)
FIRST, LAST = "0" * 17, "Z" * 17


async def rows_of(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **arguments}))[
        "vehicles"
    ]
    return rows


async def feed_of(client: Client) -> list[dict[str, Any]]:
    """Returns all vehicles of the sandbox's feed, also those that are not in stock."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        arguments = {**AT_UMAZDA, "in_stock": False, "limit": 100, "detail": "full", **cursor}
        answer = answer_of(await client.call_tool("list_inventory", arguments))
        rows += answer["vehicles"]
        if not answer["truncated"]:
            return rows
        cursor = {"cursor": answer["next_cursor"]}


@given(VINS, VINS)
def test_no_vin_is_between_a_vin_and_the_one_before(vin: str, other: str) -> None:
    before = vin_before(vin)
    if before is None:
        assert vin == FIRST
    else:
        assert before < vin
        assert set(before) <= set(CHARACTERS)
        assert not before < other < vin
        assert len(before) == 17


@given(VINS)
def test_the_vin_before_is_the_nearest(vin: str) -> None:
    for place, character in enumerate(CHARACTERS[:-1]):
        assert vin_before(vin[:-1] + CHARACTERS[place + 1]) == vin[:-1] + character


async def test_each_vehicle_is_found_by_its_vin_with_one_request(connect: Connect, world: World) -> None:
    async with connect() as client:
        feed = await feed_of(client)
        assert {row["in_stock"] for row in feed} == {True, False}
        assert any(row.get("reserved") for row in feed)
        for row in feed:
            before = len(await world.requests())
            result = await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": row["vin"].lower()})
            assert len(await world.requests()) == before + 1
            answer = answer_of(result)
            (vehicle,) = answer["vehicles"]
            assert vehicle.items() <= row.items()
            assert vehicle["stock_number"] == row["stock_number"]
            assert not answer["truncated"]
            assert ("; reserved" in text_of(result)) is bool(row.get("reserved"))
            assert ("Not in stock means sold" in answer.get("hint", "")) is not row["in_stock"]


async def test_a_vin_that_is_not_in_the_feed_is_said_to_be_gone_after_two_requests(
    connect: Connect, world: World
) -> None:
    """The second one is at the place of small letters, which digits do not have."""
    async with connect() as client:
        feed = {row["vin"] for row in await feed_of(client)}
        elsewhere = answer_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1}))
        near = [vin_before(vin) for vin in feed]
        absent = [elsewhere["vehicles"][0]["vin"], FIRST, LAST, *(vin for vin in near if vin not in feed)]
        for vin in absent:
            before = len(await world.requests())
            result = await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": vin})
            # Behind the last one, one more request tells that the feed can be read at all.
            requests = (1 if vin == vin.lower() else 2) + (vin > max(feed))
            assert len(await world.requests()) == before + requests
            answer = answer_of(result)
            assert (answer["vehicles"], answer["truncated"]) == ([], False)
            assert answer["hint"].startswith("The feed has no vehicle with this VIN: sold, never here")
            assert "models" not in answer
            assert answer["hint"] in text_of(result)


async def test_what_is_no_vin_sends_no_request(connect: Connect, world: World) -> None:
    async with connect() as client:
        assert kind_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": "JM1"})) == "invalid_arguments"
    assert await operations(world) == []


async def test_each_vehicle_is_found_by_its_stock_number(connect: Connect) -> None:
    async with connect() as client:
        feed = await feed_of(client)
        for row in [*feed[:3], *feed[-3:], *[row for row in feed if not row["in_stock"]][:2]]:
            (vehicle,) = await rows_of(client, stock_number=f" {row['stock_number'].lower()} ")
            assert (vehicle["vin"], vehicle["stock_number"]) == (row["vin"], row["stock_number"])
        (vehicle,) = await rows_of(client, stock_number=feed[0]["stock_number"], vin=feed[0]["vin"])
        assert vehicle["vin"] == feed[0]["vin"]
        assert await rows_of(client, stock_number=feed[1]["stock_number"], vin=feed[0]["vin"]) == []
        part = await client.call_tool("list_inventory", {**AT_UMAZDA, "stock_number": feed[0]["stock_number"][:-1]})
    assert answer_of(part)["vehicles"] == []
    assert answer_of(part)["hint"].startswith("The feed has no vehicle with this stock number")


async def test_other_filters_that_leave_the_vehicle_out_are_told(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": vin, "make": "Trabant"})
    assert answer_of(result)["vehicles"] == []
    assert answer_of(result)["hint"] == "This vehicle is in the feed, but other filters leave it out."


def feed_transport(world: World, count: int, *, repeats: bool, requests: list[httpx2.Request]) -> Answering:
    """Returns an upstream with a feed of `count` vehicles, which begins a page with `from_vin` itself if it repeats."""
    vehicles = [{"vin": f"JM1{number:014}", "in_stock": True, "stock_number": f"S{number}"} for number in range(count)]

    def answer(request: httpx2.Request) -> Any:
        if not request.url.path.endswith("/vehicles"):
            return None
        requests.append(request)
        start, size = request.url.params.get("from_vin", ""), int(request.url.params["size"])
        rest = [row for row in vehicles if str(row["vin"]) > start or (repeats and row["vin"] == start)]
        return {"vehicles": rest[:size], "total": count}

    return Answering(world, answer)


@pytest.mark.parametrize("repeats", [True, False])
async def test_no_vehicle_is_listed_twice_where_a_page_repeats_the_last_one(
    repeats: bool, connect: Connect, world: World
) -> None:
    async with connect(upstream=feed_transport(world, 250, repeats=repeats, requests=[])) as client:
        rows = await feed_of(client)
    assert [row["vin"] for row in rows] == [f"JM1{number:014}" for number in range(250)]


@pytest.mark.parametrize("repeats", [True, False])
async def test_a_vin_next_to_the_one_before_is_found_with_one_request(
    repeats: bool, connect: Connect, world: World
) -> None:
    requests: list[httpx2.Request] = []
    async with connect(upstream=feed_transport(world, 2_500, repeats=repeats, requests=requests)) as client:
        for number in (0, 1, 1_000, 2_499):
            (vehicle,) = await rows_of(client, vin=f"JM1{number:014}")
            assert vehicle["stock_number"] == f"S{number}"
        assert await rows_of(client, vin=f"JM1{2_500:014}") == []
    # A VIN behind the last one brings an empty page, in capitals and in small letters. One more request tells that the
    # feed can be read at all.
    assert len(requests) == 7
    assert {request.url.params["size"] for request in requests} == {"2"}


async def test_the_search_for_a_stock_number_is_bounded_and_goes_on_at_the_cursor(
    connect: Connect, world: World
) -> None:
    requests: list[httpx2.Request] = []
    wanted = {**AT_UMAZDA, "stock_number": "s2100"}
    async with connect(upstream=feed_transport(world, 2_500, repeats=False, requests=requests)) as client:
        cursor: dict[str, str] = {}
        for _ in range(2):
            answer = answer_of(await client.call_tool("list_inventory", {**wanted, **cursor}))
            assert (answer["vehicles"], answer["truncated"]) == ([], True)
            assert "next_cursor" in answer["hint"]
            cursor = {"cursor": answer["next_cursor"]}
        assert len(requests) == 20
        answer = answer_of(await client.call_tool("list_inventory", {**wanted, **cursor}))
        other = await client.call_tool("list_inventory", {**wanted, **cursor, "stock_number": "s1"})
    assert [row["stock_number"] for row in answer["vehicles"]] == ["S2100"]
    assert kind_of(other) == "invalid_arguments"


async def test_refused_sort_says_that_something_was_read(connect: Connect, world: World) -> None:
    """Whether the feed is too long to be sorted is known only once it was read."""
    requests: list[httpx2.Request] = []
    async with connect(upstream=feed_transport(world, 2_500, repeats=False, requests=requests)) as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "sort": "price"})
    assert len(requests) == 11
    assert text_of(result).endswith(
        "leave it out. Something was read, and nothing written; correct them and call again."
    )
