"""A customer's record at myKaarma is withheld where it, or a part of it, is of another dealer or customer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import CARLOS_UUID
from tests.tools.crm import ASKED, OTHER_UUID, UMAZDA, WITHOUT_ID, record, upstream

pytestmark = pytest.mark.anyio

FOREIGN: dict[str, dict[str, Any]] = {
    "the customer's number": {"customerInfo": {**record()["customerInfo"], "dealerId": 4103}},
    "the number as text": {"customerInfo": {**record()["customerInfo"], "dealerId": "4103"}},
    "an order's number": {"dealerOrderInfoList": [{"dealer_id": 4101}, {"dealer_id": 4103}]},
    "an address's number": {"addressList": [{"dealerID": 4103}]},
    "a uuid in a field that nobody reads": {"meta": {"dealerUUID": OTHER_UUID}},
    "a uuid otherwise spelt": {"dealer_uuid": OTHER_UUID},
    "a list of uuids": {"dealerUUIDList": [UMAZDA.mykaarma_uuid, OTHER_UUID]},
    "a dealer's uuid": {"dealer": {"name": "Somebody", "uuid": OTHER_UUID}},
    "a dealer's number": {"dealer": {"id": 4103}},
    "a dealer's number as text": {"meta": [{"dealerInfo": {"id": "4103"}}]},
    "a dealer's uuid as its id": {"dealerInfo": {"id": OTHER_UUID}},
    "one dealer of several": {"dealers": [{"id": 4101}, {"id": 4103}]},
    "a number for a dealer": {"dealer": 4103},
    "a uuid for a dealer": {"dealership": OTHER_UUID},
    "a second dealer's number": {"secondaryDealerId": 4103},
    "an owner's uuid": {"ownerDealerUuid": OTHER_UUID},
    "another dealer": {"otherDealer": {"id": 4103}},
    "a department's number": {"dealerDepartment": {"id": 4103}},
    "a department's uuid": {"dealerDepartment": {"uuid": OTHER_UUID}},
    "a dealer's number by that name": {"dealer": {"number": 4103}},
    "a number as such": {"dealerNumber": "4103"},
    "a number as a code": {"dealerCode": 4103},
    "a rooftop": {"rooftopId": 4103},
    "a list in a list": {"dealers": [[{"id": 4103}]]},
    "an order's dealer": {"dealerOrderInfoList": [{"dealer": {"id": 4103}}]},
    "our uuid with something invisible": {"dealerUuid": f"{UMAZDA.mykaarma_uuid}\u200b"},
    "our number with something invisible": {"addressList": [{"dealerID": "41\u200b01"}]},
}


@pytest.mark.parametrize("way", FOREIGN)
async def test_record_that_names_another_dealer_is_withheld(way: str, connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, record(**FOREIGN[way])), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == "upstream"
    assert "names another dealer and was withheld" in text_of(result)
    assert "4103" not in text_of(result)
    assert OTHER_UUID not in text_of(result)


@pytest.mark.parametrize(
    "changes",
    [
        {"dealer": {"id": UMAZDA.mykaarma_id, "uuid": UMAZDA.mykaarma_uuid, "name": "University Mazda"}},
        {"dealerInfo": {"id": str(UMAZDA.mykaarma_id)}, "dealership": "University Mazda", "dealer": None},
        {"dealer": UMAZDA.mykaarma_uuid, "dealers": [UMAZDA.mykaarma_id]},
        {"dealerUuid": UMAZDA.mykaarma_uuid.upper(), "dealerId": float(UMAZDA.mykaarma_id)},
        {"dealerId": "", "dealerUuid": "", "dealer": {"id": None, "uuid": "", "isValid": True}},
        {"dealer": {"phoneNumber": "2065550100", "zipCode": "98125", "city": "Seattle"}},
        {"dealerOrderInfoList": [{"dealerOrder_id": 7, "dealerAssociate_uuid": OTHER_UUID, "dealerassociate_id": 7}]},
    ],
)
async def test_record_that_names_the_dealer_in_any_form_is_shown(
    changes: dict[str, Any], connect: Connect, world: World
) -> None:
    async with connect(upstream=upstream(world, record(**changes))) as client:
        answer_of(await client.call_tool("get_crm_customer", ASKED))


@pytest.mark.parametrize(
    "uuid", ["c0000000-0000-4000-8a00-000000000002", CARLOS_UUID.upper(), f"{CARLOS_UUID}\u200b", "", 7, None]
)
async def test_record_of_another_customer_is_withheld(uuid: Any, connect: Connect, world: World) -> None:
    other = {**record()["customerInfo"], "uuid": uuid, "fname": "Natalie"}
    async with connect(upstream=upstream(world, record(customerInfo=other)), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert kind_of(result) == "upstream"
    assert "another customer's record and was withheld" in text_of(result)
    assert "Natalie" not in text_of(result)


OTHER_CUSTOMER = "c0000000-0000-4000-8a00-000000000002"


@pytest.mark.parametrize(
    "changes",
    [
        {"dealerOrderInfoList": [{"customer_uuid": CARLOS_UUID}, {"customer_uuid": OTHER_CUSTOMER}]},
        {"addressListV2": [{"customerUUID": OTHER_CUSTOMER}]},
        {"dealerOrderInfoList": [{"customer": {"uuid": OTHER_CUSTOMER}}]},
        {"customerUuids": [CARLOS_UUID, OTHER_CUSTOMER]},
    ],
)
async def test_record_with_another_customers_part_is_withheld(
    changes: dict[str, Any], connect: Connect, world: World
) -> None:
    """The part is an order or an address, also in a field that no model has."""
    async with connect(upstream=upstream(world, record(**changes)), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", ASKED)
    assert "another customer's record and was withheld" in text_of(result)


async def test_record_with_others_of_the_household_is_shown(connect: Connect, world: World) -> None:
    answer = record(dealerOrderInfoList=[{"customer_uuid": None}, {"customer_uuid": ""}])
    answer["customerInfo"]["secondaryCustomerData"] = [{"uuid": OTHER_CUSTOMER, "guid": OTHER_CUSTOMER}]
    answer["customerInfo"]["dealerUuid"] = UMAZDA.mykaarma_uuid
    async with connect(upstream=upstream(world, answer)) as client:
        answer_of(await client.call_tool("get_crm_customer", ASKED))


@pytest.mark.parametrize(
    ("changes", "is_withheld"),
    [
        ({}, False),
        ({"dealer": {"id": 4103}}, True),
        ({"dealer": {"uuid": OTHER_UUID}}, True),
        ({"secondaryDealerId": 4103}, True),
        ({"addressList": [{"dealerID": 0}, {"dealerID": None}]}, False),
        ({"addressList": [{"dealerID": 4103}]}, True),
        ({"dealerUUID": UMAZDA.mykaarma_uuid}, False),
        ({"dealerUUID": OTHER_UUID}, True),
    ],
)
async def test_record_without_configured_number_may_name_only_one(
    changes: dict[str, Any], is_withheld: bool, connect: Connect, world: World
) -> None:
    async with connect(upstream=upstream(world, record(**changes)), change=WITHOUT_ID) as client:
        assert kind_of(await client.call_tool("get_crm_customer", ASKED)) == ("upstream" if is_withheld else None)
