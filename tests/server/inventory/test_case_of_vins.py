"""A feed whose VINs are in small or mixed letters: all tools compare VINs in capitals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from roadster_sandbox.http.app import make_app
from roadster_sandbox.http.endpoint import Sandbox
from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.server.store.databases import execute
from tests.tool_examples import STEVE
from tests.tools.test_vins import PLACES, arguments_with
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

KEPT = {"inventory": InventorySettings(fresh_for=60)}


def mixed(vin: str) -> str:
    return "".join(letter.lower() if place % 2 else letter for place, letter in enumerate(vin))


def odd_feed(sandbox: Sandbox, writing: Callable[[str], str], order: Callable[[str], str]) -> Any:
    """Returns an answer to GET /vehicles with the sandbox's vehicles, each second VIN in another writing."""
    vehicles = list(sandbox.world.vehicles["umazda"].values())
    rows = [vehicle.to_listing() for vehicle in vehicles]
    rows = [{**row, "vin": writing(row["vin"]) if number % 2 else row["vin"]} for number, row in enumerate(rows)]
    rows.sort(key=lambda row: order(row["vin"]))

    def answer(request: httpx2.Request) -> Any:
        if not request.url.path.endswith("/vehicles"):
            return None
        query = request.url.params
        is_late = int(query.get("updated_since", 0)) > 0
        rest = [row for row in rows if order(row["vin"]) > order(query.get("from_vin", ""))]
        return {"vehicles": [] if is_late else rest[: int(query["size"])], "total": 0 if is_late else len(rows)}

    return answer


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(7)


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(make_app(sandbox))


@pytest.mark.parametrize(("writing", "order"), [(str.lower, str), (mixed, str), (mixed, str.upper)])
async def test_each_tool_finds_the_vehicle_of_a_vin_in_any_case(
    writing: Callable[[str], str], order: Callable[[str], str], connect: Connect, world: World, sandbox: Sandbox
) -> None:
    upstream = Answering(world, odd_feed(sandbox, writing, order))
    async with connect(change=KEPT, upstream=upstream) as client:
        stock = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))["vehicles"]
        vins = [row["vin"] for row in stock if not row.get("reserved")]
        assert vins == sorted(map(str.upper, vins))
        for vin in [*vins[:4], *vins[-4:]]:
            for form in (vin, writing(vin)):
                (row,) = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": form}))["vehicles"]
                assert row["vin"] == vin
        # A VIN in small letters, and one in capitals.
        for vin in vins[:2]:
            for tool, place in PLACES:
                result = await client.call_tool(tool, arguments_with(tool, place, writing(vin)))
                assert kind_of(result) is None, text_of(result)
                assert "not in the" not in text_of(result)
                assert "not in stock" not in text_of(result)
        assert [row["vin"] for row in stock] == [
            row["vin"]
            for row in answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))["vehicles"]
        ]


async def test_a_vin_in_small_letters_is_in_stock_where_the_feed_itself_is_asked(
    connect: Connect, world: World, sandbox: Sandbox, store_url: str
) -> None:
    """A customer's link always asks the feed, and a quote does so when the mirror is too old."""
    upstream = Answering(world, odd_feed(sandbox, mixed, str))
    async with connect(change=KEPT, upstream=upstream) as client:
        stock = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))["vehicles"]
        await execute(store_url, "UPDATE roadster_mirrors SET as_of = as_of - 61000")
        for vin in sorted((row["vin"] for row in stock if not row.get("reserved")), key=str.upper)[:4]:
            link = {**AT_UMAZDA, "vin": vin, "customer": STEVE}
            assert answer_of(await client.call_tool("build_deep_link", link))["in_stock"] is True
            quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin}))
            assert quote["stock"] == "in stock"


@pytest.mark.parametrize(("writing", "order"), [(str.lower, str), (str.lower, str.upper), (mixed, str.upper)])
async def test_a_vin_in_small_letters_is_found_where_no_vehicles_are_kept(
    writing: Callable[[str], str], order: Callable[[str], str], connect: Connect, world: World, sandbox: Sandbox
) -> None:
    """Nobody knows then how the feed writes it, and no document says whether the feed's order heeds case."""
    vehicles = [each.to_listing() for each in sandbox.world.vehicles["umazda"].values()]
    vins = [row["vin"] for row in vehicles if row["in_stock"] and not row.get("reserved")]
    async with connect(upstream=Answering(world, odd_feed(sandbox, writing, order))) as client:
        for vin in [*vins[:4], *vins[-4:]]:
            (row,) = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "vin": vin}))["vehicles"]
            assert row["vin"] == vin
            quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin}))
            assert quote["stock"] == "in stock"
            link = {**AT_UMAZDA, "vin": vin, "customer": STEVE}
            assert answer_of(await client.call_tool("build_deep_link", link))["in_stock"] is True
