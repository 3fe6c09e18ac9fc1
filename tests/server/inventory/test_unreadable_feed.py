"""A page of a feed that cannot be read is no end of the feed: no vehicle is gone for it, and none is called absent."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import Answering, Connect, World, answer_of, kind_of, response, text_of
from tests.server.store.databases import execute
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

KEPT = {"inventory": InventorySettings(fresh_for=60)}
COUNT = 250
DAYS = 2 * 24 * 3_600
PATIENCE = 60

UNREADABLE: list[Any] = [
    *({"error": "x"}, {"status": " ERROR ", "vehicles": [], "total": 0}, {"success": False}, {}, [], None, "vehicles"),
    *({"vehicles": value, "total": 0} for value in (None, {}, "none", 0, False, {"error": "x"})),
    *({"vehicles": [], "total": total} for total in (None, "", "none", [], -1, True)),
    *({"vehicles": []}, {"error": {"code": 5}, "vehicles": [], "total": 0}, {"vehicles": [], "total": COUNT}),
]
"""Pages without rows that do not say soundly that there are none."""


def vin_of(number: int) -> str:
    return f"JM1{number:014}"


class Feed:
    """A feed of vehicles in stock. The pages behind `readable` of them are `odd`, if there is such a page."""

    def __init__(self, readable: int = COUNT) -> None:
        self.readable = readable
        self.odd: Any = None
        self.odd_updates: Any = None

    def upstream(self, world: World) -> Answering:
        return Answering(world, self.answer)

    def answer(self, request: httpx2.Request) -> Any:
        query = request.url.params
        if "updated_since" in query:
            return response({"vehicles": [], "total": COUNT} if self.odd_updates is None else self.odd_updates["page"])
        vins = [vin_of(number) for number in range(COUNT) if vin_of(number) > query.get("from_vin", "")]
        if self.odd is not None and COUNT - len(vins) >= self.readable:
            return response(self.odd["page"])
        return {"vehicles": [{"vin": vin, "in_stock": True} for vin in vins[: int(query["size"])]], "total": COUNT}


async def search(client: Client, **arguments: Any) -> Any:
    return await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1, **arguments})


async def state_of(store_url: str) -> list[tuple[Any, ...]]:
    return await execute(store_url, "SELECT as_of, whole FROM roadster_mirrors")


async def gone_vehicles(store_url: str) -> int:
    return len(await execute(store_url, "SELECT vin FROM roadster_vehicles WHERE gone > 0"))


async def wait_until_idle(store_url: str) -> None:
    with anyio.fail_after(PATIENCE):
        while (await execute(store_url, "SELECT lease FROM roadster_mirrors"))[0][0]:
            await anyio.sleep(0.02)


@pytest.mark.parametrize("is_kept", [True, False], ids=["mirror", "feed"])
@pytest.mark.parametrize("readable", [0, 100])
@pytest.mark.parametrize("page", UNREADABLE, ids=str)
async def test_first_search_fails(page: Any, readable: int, is_kept: bool, connect: Connect, world: World) -> None:
    feed = Feed(readable)
    feed.odd = {"page": page}
    async with connect(change=KEPT if is_kept else {}, upstream=feed.upstream(world)) as client:
        for wish in ({"make": "Trabant"}, {"stock_number": "S1"}, {"sort": "price"}):
            result = await search(client, **wish)
            assert kind_of(result) in ("upstream", "refused"), text_of(result)
            assert "No vehicle" not in text_of(result)
            assert "no vehicle" not in text_of(result)


@pytest.mark.parametrize("readable", [0, 100])
@pytest.mark.parametrize("page", UNREADABLE, ids=str)
async def test_kept_vehicles_stay(page: Any, readable: int, connect: Connect, world: World, store_url: str) -> None:
    feed = Feed(readable)
    async with connect(change=KEPT, upstream=feed.upstream(world)) as client:
        assert answer_of(await search(client))["searched"] == COUNT
        await execute(store_url, f"UPDATE roadster_mirrors SET as_of = as_of - {DAYS}000, whole = whole - {DAYS}000")
        (before,) = await state_of(store_url)
        feed.odd = {"page": page}
        assert answer_of(await search(client))["searched"] == COUNT
        await wait_until_idle(store_url)
        ((_, whole),) = await state_of(store_url)
        assert whole == before[1]
        assert await gone_vehicles(store_url) == 0
        feed.odd = None
        await execute(store_url, "UPDATE roadster_mirrors SET failure = 0")
        assert answer_of(await search(client))["searched"] == COUNT
        await wait_until_idle(store_url)
        ((_, whole),) = await state_of(store_url)
        assert whole > before[1]


@pytest.mark.parametrize("page", UNREADABLE[:-1], ids=str)
async def test_updates_that_cannot_be_read_are_not_none(
    page: Any, connect: Connect, world: World, store_url: str
) -> None:
    feed = Feed()
    async with connect(change=KEPT, upstream=feed.upstream(world)) as client:
        answer_of(await search(client))
        await execute(store_url, "UPDATE roadster_mirrors SET as_of = as_of - 300000")
        before = await state_of(store_url)
        feed.odd_updates = {"page": page}
        answer = answer_of(await search(client))
        assert answer["hint"] == "Roadster cannot be read now: this is its inventory of 5 minutes ago."
        await wait_until_idle(store_url)
        assert await state_of(store_url) == before


@pytest.mark.parametrize("page", UNREADABLE, ids=str)
async def test_lookup_says_no_absence(page: Any, connect: Connect, world: World) -> None:
    feed = Feed(0)
    feed.odd = {"page": page}
    async with connect(upstream=feed.upstream(world)) as client:
        assert kind_of(await search(client, vin="4T1C11AK0LU322811")) in ("upstream", "refused")
