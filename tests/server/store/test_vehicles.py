"""The vehicles of dealers' feeds in the store: what a search finds, and who may refresh them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_client.models.vehicles import Color, InventoryVehicle
from roadster_sandbox.world.world import World
from roadster_server.store.mirror_records import MirrorState, NewVehicle
from roadster_server.store.mirrors import SqlMirrors
from roadster_server.store.sql import SqlStore
from roadster_tools.gate.vehicles import Sort, StockQuery, compared, price_of, words_of

from .databases import execute

pytestmark = pytest.mark.anyio

FOREVER = 10**15
STOCK = [InventoryVehicle.model_validate(each.to_listing()) for each in World(7).vehicles["umazda"].values()]
BARE = [
    InventoryVehicle(vin="0BARE000000000000", model="CX-5"),
    InventoryVehicle(vin="1ODD0000000000000", model="100 % \\ _", exterior_color=Color(label="50%_grün"), price=0.0),
    InventoryVehicle(vin="zlower00000000000", make="MAZDA", year=-3, price=1.5, mileage=12.5, stock_number="  m00001 "),
    InventoryVehicle(vin="zzlong00000000000", model="x" * 5_000, trim="y" * 5_000, price=1e300, year=10**17),
]
VEHICLES = [*STOCK, *BARE]


async def fill(
    mirrors: SqlMirrors,
    dealer: str,
    vehicles: Sequence[InventoryVehicle],
    now: int = 1_000,
    request_time: int | None = None,
) -> None:
    await mirrors.lease(dealer, "test", until=FOREVER, now=FOREVER)
    new = [NewVehicle(vehicle) for vehicle in vehicles]
    state = MirrorState(as_of=now, lease=FOREVER)
    assert await mirrors.put(
        dealer, "test", state, new, now=now, request_time=now if request_time is None else request_time
    )


async def vins(mirrors: SqlMirrors, dealer: str, query: StockQuery | None = None) -> list[str]:
    vehicles = await mirrors.search(dealer, query or StockQuery(in_stock=False), None, after=None, most=1_000)
    return [vehicle.place.vin for vehicle in vehicles]


def is_match(vehicle: InventoryVehicle, query: StockQuery) -> bool:
    """Returns what a search should say of a vehicle. It compares values where the store compares columns."""
    price, color = price_of(vehicle), vehicle.exterior_color
    names = [compared(name) for name in (color.label, color.generic)] if color else []
    return (
        all(
            text is None or compared(text) == compared(value)
            for text, value in (
                (query.make, vehicle.make),
                (query.model, vehicle.model),
                (query.body, vehicle.body),
                (query.stock_number, vehicle.stock_number),
            )
        )
        and (query.color is None or any(compared(query.color) in name for name in names))
        and all(f" {word}" in words_of(vehicle) for word in query.words)
        and _is_within(_year(vehicle), query.year_min, query.year_max)
        and _is_within(price, query.price_min, query.price_max)
        and (not query.in_stock or vehicle.in_stock is not False)
    )


def _year(vehicle: InventoryVehicle) -> int | None:
    """Returns the year. One that no vehicle has counts as none."""
    return vehicle.year if vehicle.year is not None and 0 < vehicle.year < 10_000 else None


def _is_within(value: float | None, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def in_order(vehicles: Sequence[InventoryVehicle], sort: Sort | None) -> list[str]:
    """Returns the VINs as a sort should show them. All vehicles came into the feed at the same time."""

    def value(vehicle: InventoryVehicle) -> float:
        price = price_of(vehicle)
        match sort:
            case "price":
                return float("inf") if price is None else price
            case "price_desc":
                return float("inf") if price is None else -price
            case "year":
                return -(_year(vehicle) or 0)
            case "mileage":
                return float("inf") if vehicle.mileage is None else vehicle.mileage
        return 0

    return [vehicle.vin for vehicle in sorted(vehicles, key=lambda vehicle: (value(vehicle), vehicle.vin))]


def _choices(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.sampled_from(values))


QUERIES = st.builds(
    StockQuery,
    make=_choices(["Mazda", " mazda ", "Kia"]),
    model=_choices(["CX-5", "cx-50", "MX-5 Miata", "100 % \\ _", "x" * 5_000, ""]),
    year_min=_choices([2024, 2025, 2026]),
    year_max=_choices([2024, 2025]),
    price_min=_choices([0.0, 28_000.0, 35_000.5]),
    price_max=_choices([0.01, 30_000.0, 60_000.0]),
    body=_choices(["SUV", "sedan", "Truck"]),
    color=_choices(["red", "Blue", "%", "_", "50%_GRÜN"]),
    words=_choices([("turbo",), ("premium", "white"), ("auto", "x"), ("nothing",), ("cx 5",), ("2.5", "cx 3")]).map(
        lambda words: words or ()
    ),
    stock_number=_choices(["M00001", " m00007"]),
    in_stock=st.booleans(),
)


@settings(max_examples=60)
@given(
    query=QUERIES, sort=st.sampled_from([None, *get_args(Sort)]), most=st.sampled_from([60, 300]), are_few=st.booleans()
)
async def test_search_finds_what_a_filter_over_all_vehicles_finds(
    store: SqlStore, query: StockQuery, sort: Sort | None, most: int, are_few: bool
) -> None:
    """Also page by page, in each order, and in the counts."""
    mirrors = store.mirrors
    if (await mirrors.state("umazda")).as_of == 0:
        await fill(mirrors, "umazda", VEHICLES)
        await fill(mirrors, "other", VEHICLES[:50])
    numbers = await mirrors.numbers("umazda", query)
    pages = [await mirrors.search("umazda", query, sort, after=None, most=most, are_few=are_few)]
    while pages[-1]:
        place = pages[-1][-1].place
        pages.append(await mirrors.search("umazda", query, sort, after=place, most=most, are_few=are_few))
    stored = [vehicle for page in pages for vehicle in page]
    expected = [vehicle for vehicle in VEHICLES if is_match(vehicle, query)]
    assert [each.place.vin for each in stored] == in_order(expected, sort)
    assert numbers.total == len(expected)
    assert numbers.stock == sum(not query.in_stock or vehicle.in_stock is not False for vehicle in VEHICLES)
    by_vin = {vehicle.vin: vehicle for vehicle in VEHICLES}
    assert all(InventoryVehicle.model_validate_json(each.json) == by_vin[each.place.vin] for each in stored)


async def test_vehicle_belongs_to_the_dealer_of_its_feed(store: SqlStore) -> None:
    """Two dealers may have the same VIN, for instance after a trade between them."""
    await fill(store.mirrors, "one", STOCK[:3])
    await fill(store.mirrors, "two", [STOCK[2].model_copy(update={"trim": "Traded"})])
    assert await vins(store.mirrors, "one") == [vehicle.vin for vehicle in STOCK[:3]]
    assert await vins(store.mirrors, "two") == [STOCK[2].vin]
    assert await vins(store.mirrors, "three") == []
    assert await store.mirrors.one("two", STOCK[0].vin) is None
    own = await store.mirrors.one("one", STOCK[2].vin)
    assert own is not None
    assert "Traded" not in own.json


async def test_unseen_vehicle_is_gone_and_may_come_back(store: SqlStore) -> None:
    mirrors = store.mirrors
    await fill(mirrors, "one", STOCK[:3], now=1_000)
    await fill(mirrors, "one", STOCK[:2], now=2_000)
    state = replace(await mirrors.state("one"), whole=2_000)
    await mirrors.put("one", "test", state, now=2_000, unseen_before=2_000)
    assert await vins(mirrors, "one") == [STOCK[0].vin, STOCK[1].vin]
    assert await mirrors.one("one", STOCK[2].vin) is None
    await fill(mirrors, "one", STOCK[2:3], now=3_000)
    assert STOCK[2].vin in await vins(mirrors, "one")


@pytest.mark.parametrize("price", [None, 1.0])
async def test_what_a_look_has_shown_counts_more_than_a_page_that_was_asked_for_before(
    store: SqlStore, price: float | None
) -> None:
    mirrors, first = store.mirrors, STOCK[0]
    again = first if price is None else first.model_copy(update={"price": price})
    await fill(mirrors, "one", [first], now=1_000)
    assert await mirrors.mark("one", first.vin, is_gone=True, now=2_000)
    assert not await mirrors.mark("one", first.vin, is_gone=True, now=2_500)
    await fill(mirrors, "one", [again], now=3_000, request_time=1_900)
    assert await vins(mirrors, "one") == []
    await fill(mirrors, "one", [again], now=4_000, request_time=3_900)
    assert await vins(mirrors, "one") == [first.vin]
    assert await mirrors.mark("one", first.vin, is_gone=True, now=5_000)
    assert await mirrors.mark("one", first.vin, is_gone=False, now=5_500)
    assert await vins(mirrors, "one") == [first.vin]


async def test_vehicle_that_is_long_gone_is_deleted(store: SqlStore, url: str) -> None:
    month = 31 * 24 * 60 * 60 * 1_000
    await fill(store.mirrors, "one", STOCK[:2], now=1_000)
    state = await store.mirrors.state("one")
    await store.mirrors.put("one", "test", state, now=2_000, unseen_before=2_000)
    await store.mirrors.put("one", "test", state, now=2_000 + month, unseen_before=2_000)
    assert await execute(url, "SELECT count(*) FROM roadster_vehicles") == [(0,)]
    assert await execute(url, "SELECT count(*) FROM roadster_vehicle_documents") == [(0,)]


async def test_lease_belongs_to_one_until_it_is_over(store: SqlStore) -> None:
    mirrors = store.mirrors
    state = await mirrors.lease("one", "first", until=2_000, now=1_000)
    assert state == MirrorState(lease=2_000)
    assert await mirrors.lease("one", "second", until=3_000, now=1_500) is None
    assert await mirrors.lease("two", "second", until=3_000, now=1_500) is not None
    assert await mirrors.lease("one", "second", until=3_000, now=2_500) is not None
    assert not await mirrors.put("one", "first", replace(state, as_of=9), [NewVehicle(STOCK[0])], now=2_600)
    assert (await mirrors.state("one")).as_of == 0
    assert await vins(mirrors, "one") == []


async def test_lease_of_a_clock_that_was_ahead_is_taken_over(store: SqlStore) -> None:
    mirrors = store.mirrors
    assert await mirrors.lease("one", "ahead", until=9_000, now=8_500) is not None
    assert await mirrors.lease("one", "second", until=2_500, now=2_000) is not None


async def test_lease_that_another_server_gave_a_moment_later_is_not_taken_over(store: SqlStore) -> None:
    # Two servers ask at once. The one whose clock reading is older asks last.
    mirrors = store.mirrors
    assert await mirrors.lease("one", "first", until=2_510, now=2_010) is not None
    assert await mirrors.lease("one", "second", until=2_500, now=2_000) is None
