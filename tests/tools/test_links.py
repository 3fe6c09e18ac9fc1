"""Links into a dealer's storefront."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client

from roadster_server.settings.sections.dealers import DealerSettings
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import SOME_VIN, STEVE
from tests.tools.umazda import AT_UMAZDA, operations, some_vin

pytestmark = pytest.mark.anyio


@pytest.mark.operation("create_link", "build_deep_link")
async def test_build_deep_link_asks_roadster_for_a_vehicle(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin}))
    assert vin in answer["url"]
    assert "create_link" in await operations(world)


@pytest.mark.operation("customer_link", "build_deep_link")
async def test_build_deep_link_encrypts_a_customers_data(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": SOME_VIN, "customer": STEVE})
    url = urlsplit(answer_of(result)["url"])
    assert url.netloc == "express.umazda.com"
    assert parse_qs(url.query).keys() == {"mem"}
    assert await operations(world) == ["list_inventory"]
    assert answer_of(result)["in_stock"]
    for value in STEVE.values():
        assert value not in text_of(result)


@pytest.mark.parametrize(
    "arguments", [{}, {"customer": STEVE}, {"vin": "JM1NDAM77K0306400", "customer": STEVE, "utm_source": "mail"}]
)
async def test_build_deep_link_refuses_missing_arguments(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        assert kind_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, **arguments})) == "invalid_arguments"


async def test_build_deep_link_names_the_missing_key(connect: Connect) -> None:
    dealers = {"umazda": DealerSettings(express_host="express.umazda.com")}
    async with connect(change={"dealers": dealers}, dealers=["umazda"]) as client:
        result = await client.call_tool("build_deep_link", {"vin": "JM1NDAM77K0306400", "customer": STEVE})
    assert kind_of(result) == "not_configured"
    assert "dealers.umazda.link_key" in text_of(result)


async def vin_of(client: Client, dealer: str, **state: bool) -> str:
    """Returns the VIN of a vehicle with this state in the feed."""
    cursor: dict[str, str] = {}
    while True:
        arguments = {"dealer": dealer, "in_stock": False, "limit": 100, **cursor}
        page = answer_of(await client.call_tool("list_inventory", arguments))
        for row in page["vehicles"]:
            if all(row.get(name) == value for name, value in state.items()):
                vin: str = row["vin"]
                return vin
        cursor = {"cursor": page["next_cursor"]}


async def test_customers_link_to_a_car_of_another_dealer_is_refused(connect: Connect) -> None:
    async with connect() as client:
        vin = await vin_of(client, "hyundaidemo", in_stock=True)
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin, "customer": STEVE})
    assert kind_of(result) == "not_found"
    assert "not found at this dealer. Check vin." in text_of(result)
    assert "mem=" not in text_of(result)


async def test_customers_link_is_refused_where_nobody_knows_whose_car_it_is(connect: Connect, world: World) -> None:
    await world.fault("list_inventory", "status", status=503, times=20)
    async with connect() as client:
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": SOME_VIN, "customer": STEVE})
    assert kind_of(result) == "upstream"


async def test_customers_link_to_a_used_car_needs_only_the_dealers_own_details_of_it(
    connect: Connect, world: World
) -> None:
    """The feed lists new vehicles only."""

    def instead(request: httpx2.Request) -> Any:
        return {"vehicles": [], "total": 0} if request.url.path.endswith("/vehicles") else None

    async with connect(upstream=Answering(world, instead)) as client:
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": SOME_VIN, "customer": STEVE}))
    assert answer["note"].startswith("Not among the dealer's new vehicles.")
    assert "in_stock" not in answer
    assert await operations(world) == ["get_vehicle"]


@pytest.mark.parametrize(
    ("state", "note"),
    [
        ({"in_stock": False}, "Not in stock: sold or incoming. Opening"),
        ({"reserved": True}, "Reserved. Opening"),
        ({"in_stock": True, "reserved": None}, "Opening"),
    ],
)
async def test_customers_link_says_that_a_car_cannot_be_sold(
    state: dict[str, Any], note: str, connect: Connect
) -> None:
    async with connect() as client:
        vin = await vin_of(client, "umazda", **state)
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin, "customer": STEVE}))
    assert answer["note"].startswith(note)
    assert answer["in_stock"] is (state.get("in_stock") is not False)


@pytest.mark.parametrize(
    ("state", "note"),
    [
        ({"in_stock": False}, "Not in stock: sold or incoming."),
        ({"reserved": True}, "Reserved."),
        ({"in_stock": True, "reserved": None}, None),
    ],
)
async def test_plain_link_says_that_a_car_cannot_be_sold(
    state: dict[str, Any], note: str | None, connect: Connect
) -> None:
    async with connect() as client:
        vin = await vin_of(client, "umazda", **state)
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin}))
    assert answer.get("note") == note


async def test_plain_link_is_made_where_the_feed_does_not_answer(connect: Connect, world: World) -> None:
    await world.fault("list_inventory", "status", status=503, times=20)
    async with connect() as client:
        answer = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert SOME_VIN in answer["url"]
    assert "note" not in answer


async def test_link_to_a_make_asks_for_no_vehicle(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "make": "Mazda"}))
    assert await operations(world) == ["create_link"]
