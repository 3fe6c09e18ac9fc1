"""The tools about dealers: who they are, what they charge."""

from __future__ import annotations

import pytest

from tests.conftest import FOREIGN, Connect, answer_of, kind_of, text_of
from tests.tools.umazda import AT_UMAZDA, FixedAnswer

pytestmark = pytest.mark.anyio


@pytest.mark.operation("list_dealers", "list_dealers")
async def test_list_dealers_leaves_partner_ids_out(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_dealers")
    assert [dealer["dpid"] for dealer in answer_of(result)["dealers"]] == ["umazda", "hyundaidemo"] or {
        dealer["dpid"] for dealer in answer_of(result)["dealers"]
    } == {"umazda", "hyundaidemo"}
    assert "51101" not in text_of(result)


async def test_list_dealers_names_dealers_that_roadster_lacks(connect: Connect) -> None:
    async with connect(dealers=["umazda", "gonedealer"]) as client:
        for query in ({}, {"query": "gonedealer"}):
            hint = answer_of(await client.call_tool("list_dealers", query))["hint"]
            assert "Roadster has not provisioned for this API key: gonedealer. The server's operator must" in hint


@pytest.mark.operation("get_dealer", "get_dealer")
async def test_get_dealer_shows_fees_and_markups(connect: Connect) -> None:
    async with connect(dealer_figures=True) as client:
        result = await client.call_tool("get_dealer", {"dealer": "hyundaidemo"})
        vin = answer_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1}))["vehicles"][0]
        fees = answer_of(
            await client.call_tool("quote_payments", {"dealer": "hyundaidemo", "vin": vin["vin"], "detail": "full"})
        )["details"]["terms"]["lease"]["fees"]
    assert answer_of(result) == {
        "dpid": "hyundaidemo",
        "name": "Hyundai Demo",
        "address": "5300 Wible Rd",
        "city": "Bakersfield",
        "state": "CA",
        "zip_code": "93313",
        "phone": "310-949-1234",
        "status": "Demo",
        "price_unlock_mode": "lock",
        "fees": {
            "doc_fee": fees["doc"],
            "filing_fee": fees["filing"],
            "handling_fee": 0,
            "lease_acquisition_fee": fees["acquisition"],
        },
        "markups": [{"make": "All", "vehicles": "new", "standard": 1}],
    }
    assert "CA317" not in text_of(result)


async def test_get_dealer_works_without_a_configuration(connect: Connect) -> None:
    async with connect(
        upstream=FixedAnswer(b'{"dpid": "umazda", "name": "U", "configuration": {"markups": [{}]}}'),
        dealer_figures=True,
    ) as client:
        assert answer_of(await client.call_tool("get_dealer", AT_UMAZDA)) == {
            "dpid": "umazda",
            "name": "U",
            "markups": [],
        }
    async with connect(upstream=FixedAnswer(b'{"dpid": "umazda", "name": "U"}'), dealer_figures=True) as client:
        assert answer_of(await client.call_tool("get_dealer", AT_UMAZDA))["markups"] == []


async def test_get_dealer_without_the_right_does_not_say_that_there_are_no_markups(connect: Connect) -> None:
    async with connect() as client:
        answer = answer_of(await client.call_tool("get_dealer", AT_UMAZDA))
    assert "markups" not in answer
    assert answer["fees"]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("S\u00f8ren Mazda", "soren"),
        ("Soren Mazda", "S\u00d8REN"),
        ("Stra\u00dfen-Autos", "strassen autos"),
        ("\u0141ukasz & Syn", "lukasz syn"),
        ("O'Brien Motors", "obrien"),
        ("OBrien Motors", "O\u2019Brien"),
        ("Qu\u00e9bec Auto", "quebec"),
        ("\u00c6gir Cars", "aegir"),
    ],
)
async def test_dealer_is_found_in_plain_letters(name: str, query: str, connect: Connect) -> None:
    """Words are compared as those of customers' names are."""
    upstream = FixedAnswer([{"dpid": "umazda", "name": name}, {"dpid": "hyundaidemo", "name": "Another"}])
    async with connect(upstream=upstream) as client:
        dealers = answer_of(await client.call_tool("list_dealers", {"query": query}))["dealers"]
    assert [dealer["dpid"] for dealer in dealers] == ["umazda"]


@pytest.mark.parametrize("field", ["dpid", "DPID", "dealer_id", "sellingDealer"])
async def test_answer_that_names_a_dealer_of_the_configuration_is_withheld(field: str, connect: Connect) -> None:
    upstream = FixedAnswer({"dpid": "umazda", "name": "U", "configuration": {field: FOREIGN}})
    async with connect(upstream=upstream) as client:
        result = await client.call_tool("get_dealer", AT_UMAZDA)
    assert kind_of(result) == "upstream"
    assert FOREIGN not in text_of(result)
