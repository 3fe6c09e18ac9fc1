"""VINs in arguments: the check digit, VINs of the feed that are nearly the same, and what a VIN says of its car."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp_types import CallToolResult

from roadster_client.models.values import VIN_CHARACTER
from roadster_sandbox import vin_check_digit
from roadster_sandbox.world import service_records
from roadster_tools import TOOLS, Access
from roadster_tools.arguments.check_digit import has_check_digit
from roadster_tools.arguments.vins import _is_near
from tests.conftest import Answering, Connect, World, answer_of, kind_of, response, text_of
from tests.tool_examples import SOME_VIN, STEVE, TOOL_EXAMPLES
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, operations, some_vin

pytestmark = pytest.mark.anyio

VINS = st.from_regex(f"{VIN_CHARACTER}{{17}}", fullmatch=True)
LETTERS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
OLD_CAR = "1M8GDM9AXKP042788"
"""The example of the rule, which has the check digit X."""
TRADE = {**AT_UMAZDA, "email": "steve@example.com", "value": 9000}


def places_of_vins(schema: Mapping[str, Any], *place: str) -> Iterator[tuple[str, ...]]:
    """Returns the place of each argument that is called `vin`, at every depth of a tool's schema."""
    for name, part in schema.get("properties", {}).items():
        if name == "vin":
            yield (*place, name)
        yield from places_of_vins(part, *place, name)


PLACES = [(tool, place) for tool in TOOLS for place in places_of_vins(TOOLS[tool].input_schema)]


def arguments_with(tool: str, place: tuple[str, ...], vin: str) -> dict[str, Any]:
    """Returns valid arguments of a tool with `vin` at a place, and no make and year that may contradict it."""
    arguments = TOOL_EXAMPLES[tool].at("umazda")
    *path, name = place
    part = arguments
    for step in path:
        part[step] = dict(part.get(step) or {})
        part = part[step]
    part[name] = vin
    part.pop("make", None)
    part.pop("year", None)
    return arguments


def misspelled(vin: str, place: int = 16) -> str:
    """Returns the VIN with another character at a place, which its check digit does not fit."""
    others = (f"{vin[:place]}{character}{vin[place + 1 :]}" for character in LETTERS)
    return next(other for other in others if vin_check_digit(other) != other[8])


def test_places_of_vins_are_found() -> None:
    assert ("create_customer", ("vehicle", "vin")) in PLACES
    assert {tool for tool, _ in PLACES} == {
        "get_vehicle", "quote_payments", "list_protection_plans", "submit_trade_valuation", "build_deep_link",
        "create_customer", "list_inventory",
    }  # fmt: skip


@given(VINS)
def test_check_digit_makes_the_weighted_sum_divisible(vin: str) -> None:
    """Compares with another form of the rule: with -10 as the weight of position 9, the sum is a multiple of 11."""
    weights = (8, 7, 6, 5, 4, 3, 2, 10, -1, 9, 8, 7, 6, 5, 4, 3, 2)
    ranks = {letter: rank for row in ("ABCDEFGH", "JKLMN.P.R", ".STUVWXYZ") for rank, letter in enumerate(row, 1)}
    values = [int(c) if c.isdigit() else ranks[c] for c in vin]
    values[8] = 10 if vin[8] == "X" else values[8]
    is_digit = vin[8] in "0123456789X"
    is_divisible = sum(value * weight for value, weight in zip(values, weights, strict=True)) % 11 == 0
    assert has_check_digit(vin) is (is_digit and is_divisible)


@given(VINS, st.integers(0, 16), st.sampled_from(LETTERS))
def test_near_vins_differ_in_one_character_or_two_neighbours(vin: str, place: int, character: str) -> None:
    assert _is_near(f"{vin[:place]}{character}{vin[place + 1 :]}", vin)
    first = min(place, 15)
    assert _is_near(f"{vin[:first]}{vin[first + 1]}{vin[first]}{vin[first + 2 :]}", vin)
    assert _is_near(vin.replace("1", "I").replace("0", "O"), vin)
    assert _is_near(vin.replace("0", "Q"), vin)
    assert not _is_near("".join("A" if letter != "A" else "B" for letter in vin), vin)


@pytest.mark.parametrize(("tool", "place"), PLACES)
async def test_every_tool_checks_its_vins(tool: str, place: tuple[str, ...], connect: Connect, world: World) -> None:
    """A write with a wrong check digit sends nothing. A read goes on and says it. A right one is no news."""
    async with connect() as client:
        vin = await some_vin(client)
        for each in range(17):
            if each == 8:
                continue
            before = await operations(world)
            result = await client.call_tool(tool, arguments_with(tool, place, misspelled(vin, each).lower()))
            sent = (await operations(world))[len(before) :]
            assert f"{'.'.join(place)}: the check digit at position 9 does not fit" in text_of(result)
            if TOOLS[tool].writes:
                assert kind_of(result) == "invalid_arguments"
                assert set(sent) == {"list_inventory"}
            else:
                assert kind_of(result) in (None, "not_found", "upstream")
                assert (kind_of(result) is not None) or len(answer_of(result)["notices"]) == 1
        right = await client.call_tool(tool, arguments_with(tool, place, vin.lower()))
        assert "notices" not in answer_of(right)


@pytest.mark.parametrize(
    "change",
    [
        misspelled,
        lambda vin: vin[:15] + vin[16] + vin[15],
        lambda vin: vin.replace("0", "O", 1),
        lambda vin: vin.replace("0", "q", 1),
    ],
)
async def test_refusal_names_the_vin_of_the_feed_that_is_near(change: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        listing = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))
        vin = next(v for v in (row["vin"] for row in listing["vehicles"]) if "0" in v and v[15] != v[16])
        result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": change(vin)})
    assert kind_of(result) == "invalid_arguments"
    assert f"the dealer's feed has {vin}" in text_of(result)
    assert "Something was read, and nothing written" in text_of(result)
    assert change(vin).upper() not in text_of(result), "no value that is refused is repeated"
    assert "submit_trade_valuation" not in await operations(world)


async def test_refusal_reads_the_feed_only_for_callers_who_may(connect: Connect, world: World) -> None:
    access = {"customers": Access.WRITE, "list_inventory": Access.OFF}
    async with connect(access=access) as client:
        result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": misspelled(OLD_CAR)})
    assert kind_of(result) == "invalid_arguments"
    assert "position 9" in text_of(result)
    assert "Nothing was sent" in text_of(result)
    assert await world.requests() == []


class Feed(httpx2.AsyncBaseTransport):
    """An upstream with one car in its feed, or with a feed that fails. It takes every write."""

    def __init__(self, vin: str | None) -> None:
        self._vin = vin
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.paths.append(request.url.path)
        is_feed = request.url.path.endswith("/vehicles")
        body = {"vehicles": [{"vin": self._vin}]} if is_feed else {"status": "ok", "customer": {"id": 1650260}}
        status = 404 if is_feed and self._vin is None else 200
        return httpx2.Response(status, stream=httpx2.ByteStream(json.dumps(body).encode()))


async def test_refusal_stands_when_the_feed_fails(connect: Connect) -> None:
    upstream = Feed(None)
    async with connect(upstream=upstream) as client:
        result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": misspelled(OLD_CAR)})
    assert kind_of(result) == "invalid_arguments"
    assert "position 9" in text_of(result)
    assert {path.rpartition("/")[2] for path in upstream.paths} == {"vehicles"}


async def test_write_goes_on_with_a_vin_of_the_dealers_feed(connect: Connect) -> None:
    """The dealer has the car, so the VIN is read right, and the dealer's car may be a grey import."""
    vin = misspelled(OLD_CAR)
    async with connect(upstream=Feed(vin)) as client:
        answer = answer_of(await client.call_tool("submit_trade_valuation", {**TRADE, "vin": vin}))
    assert answer["customer_id"] == 1650260
    assert answer["notices"] == ["vin: the check digit at position 9 does not fit, but the dealer's feed has this VIN."]


async def test_search_says_no_read_again_of_a_vin_of_the_feed(connect: Connect) -> None:
    vin = misspelled(OLD_CAR)
    async with connect(upstream=Feed(vin)) as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": vin})
        other = await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": misspelled(OLD_CAR, 15)})
    assert answer_of(result)["notices"] == [
        "vin: the check digit at position 9 does not fit, but the dealer's feed has this VIN."
    ]
    assert "read the VIN again" not in text_of(result)
    assert "read the VIN again" in text_of(other)


async def test_refused_vins_read_the_feed_once_a_minute(connect: Connect, world: World) -> None:
    """Each refusal looks one VIN up. The whole feed is read for the first of them, also of several at a time."""
    pages: list[str] = []

    def vehicles(request: httpx2.Request) -> Any:
        if not request.url.path.endswith("/vehicles"):
            return None
        if request.url.params["size"] == "100":
            pages.append(request.url.params.get("from_vin", ""))
        rows = [{"vin": SOME_VIN}, *({"vin": f"Z{number:016}"} for number in range(2_000))]
        rest = [row for row in rows if row["vin"] > request.url.params.get("from_vin", "")]
        return {"vehicles": rest[: int(request.url.params["size"])], "total": len(rows)}

    async def refuse(client: Client, place: int) -> None:
        result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": misspelled(SOME_VIN, place)})
        assert kind_of(result) == "invalid_arguments"
        assert SOME_VIN in text_of(result)

    async with connect(upstream=Answering(world, vehicles)) as client:
        async with anyio.create_task_group() as tasks:
            for place in (2, 5):
                tasks.start_soon(refuse, client, place)
        await refuse(client, 7)
    assert len(pages) == len(set(pages)) == 10


async def test_feed_that_fails_is_not_read_for_each_refused_vin(connect: Connect, world: World) -> None:
    requests: list[str] = []

    def fail(request: httpx2.Request) -> Any:
        requests.append(request.url.params["size"])
        return response({"vehicles": [], "total": 0}) if requests[-1] == "2" else response({}, 404)

    async with connect(upstream=Answering(world, fail)) as client:
        for place in (2, 5, 7):
            result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": misspelled(OLD_CAR, place)})
            assert kind_of(result) == "invalid_arguments"
    assert requests.count("100") == 1


async def test_resource_says_that_the_check_digit_does_not_fit(connect: Connect) -> None:
    vin = misspelled(OLD_CAR)
    async with connect(upstream=FixedAnswer({"vehicle_info": {"make": "MCI"}})) as client:
        contents = (await client.read_resource(f"roadster://umazda/vehicles/{vin}")).contents[0]
    assert "position 9" in contents.model_dump()["text"]


async def _notices(client: Client, tool: str, arguments: Mapping[str, Any]) -> list[str]:
    result: CallToolResult = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
    notices: list[str] = answer_of(result).get("notices", [])
    assert all(notice in text_of(result) for notice in notices)
    return notices


@pytest.mark.parametrize(
    ("vin", "car", "words"),
    [
        ("4T1C11AK2LU322811", {"make": "Toyota", "year": 2020}, []),
        ("4T1C11AK2LU322811", {"make": "Lexus", "year": 1990}, []),
        ("4T1C11AK2LU322811", {"make": "Somebody's own", "year": 2020}, []),
        ("4T1C11AK2LU322811", {"make": " FORD ", "year": 2020}, ["those of Toyota"]),
        ("4T1C11AK2LU322811", {"make": "Toyota", "year": 2019}, ["1990 or 2020"]),
        ("4T1C11AK2LU322811", {"make": "Kia", "year": 2021}, ["those of Toyota", "1990 or 2020"]),
        ("3MVDMBBM0SM000001", {"make": "Toyota", "year": 2025}, ["those of Mazda"]),
        ("3MVDMBBM0SM000001", {"make": "Mazda", "year": 2025}, []),
        ("7MMVABBM0SN000001", {"make": "Mazda", "year": 2025}, []),
    ],
)
async def test_answer_says_where_vin_and_car_disagree(
    vin: str, car: dict[str, Any], words: list[str], connect: Connect
) -> None:
    """Nothing is repaired: the call goes on with what was given."""
    vin = vin[:8] + vin_check_digit(vin) + vin[9:]
    async with connect() as client:
        customer = {"customer": STEVE, "vehicle": {"vin": vin, **car}}
        for notices in (
            await _notices(client, "create_customer", customer),
            await _notices(client, "submit_trade_valuation", {**TRADE, "vin": vin, **car}),
            await _notices(client, "build_deep_link", {"vin": vin, **car}),
        ):
            assert len(notices) == len(words)
            assert all(word in notice for word, notice in zip(words, notices, strict=True))
    async with connect(access={"customers": Access.PREVIEW}) as client:
        assert len(await _notices(client, "create_customer", customer)) == len(words)


async def test_the_sandboxs_vins_have_their_check_digit(connect: Connect) -> None:
    async with connect() as client:
        listing = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "in_stock": False, "limit": 100}))
    vins = [row["vin"] for row in listing["vehicles"]]
    vins += re.findall(r'"([A-HJ-NPR-Z0-9]{17})"', inspect.getsource(service_records))
    assert len(vins) > 20
    assert all(vin_check_digit(vin) == vin[8] for vin in vins)


async def test_near_vin_is_proposed_from_behind_a_row_without_a_vin(connect: Connect, world: World) -> None:
    """A page with a row left out is short, and is not the last one."""
    feed = [*(f"1AAAAAAAAAAA{number:05}" for number in range(99)), SOME_VIN]

    def vehicles(request: httpx2.Request) -> Any:
        if not request.url.path.endswith("/vehicles"):
            return None
        query = request.url.params
        rows: list[dict[str, Any]] = [{"vin": vin} for vin in feed if vin > query.get("from_vin", "")]
        return {"vehicles": [{"vin": None}, *rows][: int(query["size"])], "total": 101}

    async with connect(upstream=Answering(world, vehicles)) as client:
        result = await client.call_tool("submit_trade_valuation", {**TRADE, "vin": misspelled(SOME_VIN)})
    assert kind_of(result) == "invalid_arguments"
    assert SOME_VIN in text_of(result)
