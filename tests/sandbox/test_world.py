"""The world of a seed: vehicles, VINs and the inventory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_sandbox import DEALERS, vin_check_digit
from roadster_sandbox.world.service_records import make_service_customers, record_of

from .conftest import (
    CUSTOMER,
    DOCUMENT,
    get,
    open_client,
    post,
    read_sample,
    read_stock,
)

pytestmark = pytest.mark.anyio


async def test_world_is_the_same_for_the_same_seed():
    """A seed decides every vehicle, down to VIN and price."""
    async with open_client(3) as one, open_client(3) as other, open_client(4) as different:
        assert await read_stock(one) == await read_stock(other)
        assert await read_stock(one) != await read_stock(different)


async def test_people_and_ids_follow_the_seed():
    """What one knows of the public world does not name anything in another. The default one has the samples' ids."""
    rows = []
    for seed in (7, 8, 9, 2**48):
        async with open_client(seed) as http:
            customer = (await post(http, "/customers", customer=CUSTOMER))["customer"]["id"]
            document = (await post(http, f"/customers/{customer}/documents", **DOCUMENT))["document_id"]
            templates = tuple(each["id"] for each in await get(http, "/templates", dpid="umazda"))
            shipment = (await http.post("/roadie/v1/shipments", json=read_sample("shipment.req.json"))).json()
            rows.append((customer, document, templates[0], shipment["id"], shipment["tracking_number"]))
            assert templates == tuple(range(templates[0], templates[0] + len(templates)))
    assert rows[0] == (1650260, 1602287, 278, 152040, "RESANDBOX0152040")
    for column in zip(*rows, strict=True):
        assert len(set(column)) == len(rows)


@given(st.integers(0, 2**48))
def test_customers_of_the_workshop_follow_the_seed(seed):
    """They have the same number of orders and the same kinds of cars, and nothing of the sample's that names them."""
    people, samples = make_service_customers(seed), make_service_customers(7)
    for dealer in DEALERS:
        for one, sample in zip(people[dealer.dpid], samples[dealer.dpid], strict=True):
            record = record_of(people, one.uuid, [dealer.mykaarma_uuid])
            assert record["customerInfo"]["uuid"] == one.uuid
            assert (one == sample) == (seed == 7)
            assert (one.cards, one.vehicle[:3], len(one.uuid)) == (sample.cards, sample.vehicle[:3], len(sample.uuid))
            assert one.vehicle[3][8] == vin_check_digit(one.vehicle[3])
            assert one.phone[:-2] == sample.phone[:-2]


async def test_stock_has_valid_and_unique_vins(http):
    """All 600 vehicles have allowed characters, the right check digit, and no VIN twice."""
    vins = [vehicle["vin"] for dealer in DEALERS for vehicle in await read_stock(http, dealer.dpid)]
    assert len(vins) == len(set(vins)) == 600
    assert all(vin[8] == vin_check_digit(vin) for vin in vins)


@pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
async def test_stock_has_each_model_and_some_unavailable_cars(http, dealer):
    """Every model line has at least 20 vehicles. A few vehicles are out of stock, and a few are reserved."""
    vehicles = await read_stock(http, dealer.dpid)
    models = [vehicle["model"] for vehicle in vehicles]
    assert min(models.count(model) for model in models) >= 20
    assert {vehicle["make"] for vehicle in vehicles} == {dealer.make}
    assert 0 < sum(not vehicle["in_stock"] for vehicle in vehicles) < 40
    assert 0 < sum(vehicle["reserved"] for vehicle in vehicles) < 40


async def test_msrp_is_the_sum_of_the_prices_of_a_quote(http):
    """The feed shows the MSRP, and a quote shows its parts."""
    for vehicle in (await read_stock(http, "hyundaidemo"))[:20]:
        body = {"customer": {}, "dealer": {"dpid": "hyundaidemo"}, "vehicle": {"vin": vehicle["vin"]}}
        prices = (await post(http, "/payments", **body))["deals"]["cash"]["data"]["vehicle"]["prices"]
        parts = ("base", "destination", "colors", "packages", "options")
        assert sum(prices[part] for part in parts) == vehicle["msrp"]


@given(st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=17, max_size=17), st.integers(0, 16))
def test_vin_check_digit_changes_with_each_digit(vin, position):
    """Changing a digit by one always changes the check digit, except at the place of the check digit."""
    if vin[position].isdigit():
        other_vin = f"{vin[:position]}{(int(vin[position]) + 1) % 10}{vin[position + 1 :]}"
        same = vin_check_digit(vin) == vin_check_digit(other_vin)
        assert same == (position == 8)


@pytest.mark.parametrize("vin", ["1M8GDM9AXKP042788", "11111111111111111"])
def test_vin_check_digit_of_known_vins(vin):
    """The literature on the standard uses these two examples."""
    assert vin_check_digit(vin) == vin[8]


@pytest.mark.parametrize("vin", ["", "1M8GDM9AXKP04278", "1M8GDM9AXKPO42788"])
def test_vin_check_digit_refuses_malformed_vins(vin):
    """A wrong length and the letters I, O, Q are refused."""
    with pytest.raises(ValueError, match="17 characters"):
        vin_check_digit(vin)


async def test_inventory_pages_follow_one_another_by_vin(http):
    """from_vin leads through the whole stock in order, without a repetition or a gap."""
    everything = [vehicle["vin"] for vehicle in await read_stock(http)]
    vins: list[str] = []
    while len(vins) < len(everything):
        query = {"dpid": "umazda", "size": 70, "in_stock": "any"} | ({"from_vin": vins[-1]} if vins else {})
        page = await get(http, "/vehicles", **query)
        assert page["total"] == 200
        vins += [vehicle["vin"] for vehicle in page["vehicles"]]
    assert vins == everything == sorted(everything)


async def test_inventory_lists_only_stock_by_default(http):
    """Without in_stock=any, vehicles that are out of stock are neither listed nor counted."""
    page = await get(http, "/vehicles", dpid="umazda", size=500)
    assert all(vehicle["in_stock"] for vehicle in page["vehicles"])
    assert page["total"] == len(page["vehicles"]) < 200


async def test_inventory_updated_since_a_later_time_is_smaller(http):
    """The sandbox's present leaves no vehicle."""
    totals = [
        (await get(http, "/vehicles", dpid="umazda", updated_since=since))["total"]
        for since in (0, 1_735_689_600 - 15 * 86_400, 1_735_689_600)
    ]
    assert totals[0] > totals[1] > totals[2] == 0
