"""The lookup of one vehicle: it asks the feed, and the mirror remembers what it found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.server.inventory.feeds import KEPT, Feed, all_vins, search
from tests.tool_examples import STEVE
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


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
