"""A customer's record at myKaarma: the request for it, the fields that are shown, and their order and bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadster_sandbox import REQUESTER_USER_UUID
from roadster_server.settings.sections.dealers import DealerSettings
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import CARLOS_UUID
from tests.tools.crm import ASKED, PROSE, UMAZDA, VEHICLE, record, record_of_text, upstream

pytestmark = pytest.mark.anyio


@pytest.mark.operation("get_customer_record", "get_crm_customer")
async def test_get_crm_customer_brief_shows_vehicles_and_orders(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        answer = answer_of(await client.call_tool("get_crm_customer", ASKED))
    assert (answer["first_name"], answer["last_name"]) == ("Carlos", "Silva")
    assert answer["vehicles"] == [{"year": "2021", "make": "Mazda", "model": "CX-5", "vin": "JM3KFBCM5M0300017"}]
    assert answer["order_counts"] == [{"order_type": "RO", "orders": 5}, {"order_type": "APPOINTMENT", "orders": 1}]
    assert [order["order_number"] for order in answer["orders"]] == ["RO1006", "RO1005", "RO1004", "RO1003", "RO1002"]
    assert answer["orders"][0]["vin"] == "JM3KFBCM5M0300017"
    assert not answer.keys() & {"communications", "addresses", "customer_key", "other_customers", "warnings"}
    assert "transactions" not in answer["orders"][0]


async def test_get_crm_customer_full_shows_all_but_card_numbers(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        answer = answer_of(await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"}))
    assert [way["value"] for way in answer["communications"]] == ["206-555-0171", "carlos.silva@example.com"]
    assert answer["addresses"] == [
        {
            "type": "HOME",
            "line1": "1408 Made-Up Ave NE",
            "city": "Seattle",
            "state": "WA",
            "zip": "98105",
            "country": "US",
            "preferred": True,
        }
    ]
    assert answer["other_customers"] == [{"first_name": "Marta", "last_name": "Silva"}]
    assert len(answer["orders"]) == 6
    assert answer["orders"][0]["transactions"] == [{"amount": 689.95, "type_id": 1, "card_number": "***"}]
    assert "Carlos" in answer["orders"][0]["description"]


async def test_get_crm_customer_masks_the_person_not_the_orders(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    answer = answer_of(result)
    assert (answer["first_name"], answer["orders"][0]["description"], answer["addresses"][0]["zip"]) == ("***",) * 3
    assert (answer["orders"][0]["amount"], answer["addresses"][0]["state"]) == (689.95, "WA")
    for canary in ("Carlos", "Silva", "Marta", "555-0171", "carlos.silva", "Made-Up Ave", "98105", "DMS", "4111"):
        assert canary not in text_of(result) + json.dumps(answer), canary


async def test_get_crm_customer_takes_a_uuid_of_64_digits(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        uuid = "c02f5a7be1844d0d9c0d7a1f3b6e8c02" * 2
        answer = answer_of(await client.call_tool("get_crm_customer", {**ASKED, "customer_uuid": uuid}))
    assert answer["company"] == "Wood Made-Up Pictures"
    assert answer["orders"] == []


async def test_get_crm_customer_sends_one_dealer_and_requester(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("get_crm_customer", ASKED))
    (request,) = await world.requests()
    assert request["path"] == f"/mykaarma/customer/v2/customer/{CARLOS_UUID}"
    assert request["body"] == {"requesterUserUUID": REQUESTER_USER_UUID, "dealerUUIDList": [UMAZDA.mykaarma_uuid]}
    assert request["query"] == {}
    assert request["dealer"] == "umazda"


async def test_get_crm_customer_finds_no_customer_of_another_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        for uuid in ("c0000000-0000-4000-8a00-000000000003", "c0000000-0000-4000-8a00-000000000004", "0" * 64):
            result = await client.call_tool("get_crm_customer", {**ASKED, "customer_uuid": uuid})
            assert kind_of(result) == "not_found"
            assert "no such customer at this dealer" in text_of(result)


@pytest.mark.parametrize(
    "answer", [{"customerInfo": None}, {"customerInfo": None, "warnings": []}, record(customerInfo=None)]
)
async def test_get_crm_customer_without_a_customer_is_not_found(answer: Any, connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, answer)) as client:
        assert kind_of(await client.call_tool("get_crm_customer", ASKED)) == "not_found"


@pytest.mark.parametrize("uuid", ["", "short", "Carlos Silva", "../" * 12, "c" * 65, "c" * 31, f"{CARLOS_UUID}\n", 7])
async def test_get_crm_customer_refuses_what_is_no_uuid(uuid: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "customer_uuid": uuid})
    assert kind_of(result) == "invalid_arguments"
    assert await world.requests() == []


async def test_get_crm_customer_names_the_missing_dealer_uuid(connect: Connect, world: World) -> None:
    dealers = {"umazda": DealerSettings(), "hyundaidemo": DealerSettings(mykaarma_dealer_uuid=UMAZDA.mykaarma_uuid)}
    async with connect(change={"dealers": dealers}) as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == "not_configured"
    assert text_of(result).startswith("get_crm_customer needs the setting dealers.umazda.mykaarma_dealer_uuid")
    assert await world.requests() == []


async def test_crm_is_off_where_no_dealer_has_its_uuid(connect: Connect, world: World) -> None:
    """A tool that can only fail is not listed, and the refusal names the setting."""
    async with connect(change={"dealers": {"umazda": DealerSettings(), "hyundaidemo": DealerSettings()}}) as client:
        assert "get_crm_customer" not in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == "refused"
    assert "dealers.umazda.mykaarma_dealer_uuid is not set" in text_of(result)
    assert await world.requests() == []


async def test_crm_is_off_without_its_section(connect: Connect, world: World) -> None:
    async with connect(change={"mykaarma": None}) as client:
        assert "get_crm_customer" not in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == "refused"
    assert "[mykaarma] is not set" in text_of(result)


async def test_record_warnings_are_counted_not_repeated(connect: Connect, world: World) -> None:
    answer = record(warnings=[{"warningCode": 3, "warningTitle": PROSE, "warningMessage": PROSE}] * 2)
    async with connect(upstream=upstream(world, answer), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    assert answer_of(result)["warnings"] == 2
    assert PROSE not in text_of(result)


async def test_record_orders_without_iso_dates_keep_their_order(connect: Connect, world: World) -> None:
    dates = ["04/07/2025", "2024-01-02", None, "2025-03-01T08:00:00Z"]
    orders = [{"order_number": str(number), "order_date": date} for number, date in enumerate(dates)]
    async with connect(upstream=upstream(world, record(dealerOrderInfoList=orders))) as client:
        rows = answer_of(await client.call_tool("get_crm_customer", ASKED))["orders"]
    assert [order["order_number"] for order in rows] == ["3", "1", "0", "2"]


async def test_record_shows_older_addresses_without_newer_ones(connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, record(addressListV2=[])), personal_data="contact") as client:
        (address,) = answer_of(await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"}))["addresses"]
    assert address["phone"] == address["state"] == "string"


async def test_record_texts_and_lists_are_bounded(connect: Connect, world: World) -> None:
    long = record_of_text("long " * 200)
    customer = long["customerInfo"]
    customer["vehicles"] = [VEHICLE]
    for parent, name in (
        (customer, "vehicles"),
        (customer, "communications"),
        (customer, "secondaryCustomerData"),
        (long, "addressListV2"),
    ):
        parent[name] = parent[name] * 101
    long["customerInfo"]["fname"] = "x" * 100_000
    async with connect(upstream=upstream(world, long)) as client:
        full = answer_of(await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"}))
        brief = answer_of(await client.call_tool("get_crm_customer", ASKED))
    async with connect(upstream=upstream(world, record(customerInfo=customer)), personal_data="contact") as client:
        visible = answer_of(await client.call_tool("get_crm_customer", ASKED))
    for name in ("vehicles", "communications", "addresses", "other_customers"):
        assert len(full[name]) == 100, name
    assert full["truncated"] is brief["truncated"] is True
    assert len(visible["first_name"]) == 500


async def test_record_shown_whole_is_not_truncated(connect: Connect) -> None:
    async with connect() as client:
        assert "truncated" not in answer_of(await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"}))
