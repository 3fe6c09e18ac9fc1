"""The tools, as an assistant uses them: through an MCP client, over the sandbox."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from roadster_server.settings.sections import DealerSettings, UploadSettings
from roadster_tools import TOOLS
from tests.conftest import LICENCE_PNG, STEVE, Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import SOME_VIN

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}


async def some_vin(client: Any) -> str:
    found = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1}))
    vin: str = found["vehicles"][0]["vin"]
    return vin


@pytest.mark.operation("list_dealers", "list_dealers")
async def test_list_dealers_says_who_they_are_without_their_partner_id(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_dealers")
    assert [dealer["dpid"] for dealer in answer_of(result)["dealers"]] == ["umazda", "hyundaidemo"] or {
        dealer["dpid"] for dealer in answer_of(result)["dealers"]
    } == {"umazda", "hyundaidemo"}
    assert "51101" not in text_of(result)


async def test_list_dealers_names_a_configured_dealer_that_roadster_does_not_know(connect: Connect) -> None:
    async with connect(dealers=["umazda", "gonedealer"]) as client:
        assert "gonedealer" in answer_of(await client.call_tool("list_dealers"))["hint"]


@pytest.mark.operation("get_dealer", "get_dealer")
async def test_get_dealer_says_fees_and_markups_without_the_partner_id(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("get_dealer", {"dealer": "hyundaidemo"})
        vin = answer_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1}))["vehicles"][0]
        quoted = answer_of(
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
            "doc_fee": quoted["doc"],
            "filing_fee": quoted["filing"],
            "handling_fee": 0,
            "lease_acquisition_fee": quoted["acquisition"],
        },
        "markups": [{"make": "All", "vehicles": "new", "standard": 1}],
    }
    assert "CA317" not in text_of(result)


async def test_a_dealer_without_a_configuration_is_answered(connect: Connect) -> None:
    async with connect(
        upstream=Answering(b'{"dpid": "umazda", "name": "U", "configuration": {"markups": [{}]}}')
    ) as client:
        assert answer_of(await client.call_tool("get_dealer", AT_UMAZDA)) == {
            "dpid": "umazda",
            "name": "U",
            "markups": [],
        }
    async with connect(upstream=Answering(b'{"dpid": "umazda", "name": "U"}')) as client:
        assert answer_of(await client.call_tool("get_dealer", AT_UMAZDA))["markups"] == []


class Answering(httpx2.AsyncBaseTransport):
    """An upstream that answers everything alike."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(self._content))


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"model": "cx-5"}, lambda row: row["model"] == "CX-5"),
        ({"body": "suv"}, lambda row: row["body"] == "SUV"),
        ({"make": "MAZDA"}, lambda row: row["make"] == "Mazda"),
        ({"year_min": 2025}, lambda row: row["year"] >= 2025),
        ({"year_max": 2024}, lambda row: row["year"] <= 2024),
        ({"price_max": 32000}, lambda row: row["price"] <= 32000),
        ({"price_min": 35000, "price_max": 40000}, lambda row: 35000 <= row["price"] <= 40000),
        ({"color": "red"}, lambda row: "red" in row["color"].casefold()),
    ],
)
async def test_each_filter_finds_all_that_match_and_nothing_else(
    wanted: dict[str, Any], holds: Any, connect: Connect
) -> None:
    async with connect() as client:
        everything = await _all_rows(client, {})
        found = await _all_rows(client, wanted)
    assert [row["vin"] for row in found] == [row["vin"] for row in everything if holds(row)]
    assert 0 < len(found) <= len(everything)


@pytest.mark.operation("list_inventory", "list_inventory")
async def test_the_cursor_walks_the_whole_inventory_once(connect: Connect) -> None:
    async with connect() as client:
        in_stock = await _all_rows(client, {"limit": 7})
        everything = await _all_rows(client, {"in_stock": False, "limit": 100})
    vins = [row["vin"] for row in everything]
    assert vins == sorted(set(vins))
    assert len(vins) == 200
    assert [row["vin"] for row in in_stock] == [row["vin"] for row in everything if row["in_stock"]]
    assert len(in_stock) < 200


async def _all_rows(client: Any, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, **wanted, **cursor}))
        rows += page["vehicles"]
        assert page["truncated"] is ("next_cursor" in page)
        if not page["truncated"]:
            return rows
        cursor = {"cursor": page["next_cursor"]}


async def test_an_empty_answer_says_what_to_do(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "make": "Trabant"})
    assert answer_of(result)["vehicles"] == []
    assert "drop a filter" in answer_of(result)["hint"]
    assert answer_of(result)["hint"] in text_of(result)


async def test_a_price_that_nothing_has_is_told_what_the_rest_costs(connect: Connect) -> None:
    """Of the vehicles that are as asked for otherwise, and of no other."""
    async with connect() as client:
        fits = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "body": "Sedan", "limit": 100}))
        prices = [row["price"] for row in fits["vehicles"]]
        found = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "body": "Sedan", "price_max": 1000}))
        none = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "make": "Trabant", "price_max": 1000}))
    assert not fits["truncated"]
    low, high = (f"{price:,.2f}".removesuffix(".00") for price in (min(prices), max(prices)))
    assert found["hint"] == f"No vehicle matches at this price: {len(prices)} match otherwise, from {low} to {high}."
    assert "drop a filter" in none["hint"]


async def test_a_full_row_has_the_equipment_and_a_brief_one_has_not(connect: Connect) -> None:
    async with connect() as client:
        brief = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5}))
        full = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 5, "detail": "full"}))
    assert [row["vin"] for row in brief["vehicles"]] == [row["vin"] for row in full["vehicles"]]
    assert all("engine" in row and "stock_number" in row for row in full["vehicles"])
    assert not any("engine" in row or "equipment" in row for row in brief["vehicles"])
    assert any(row.get("equipment") for row in full["vehicles"])


async def test_the_text_of_the_inventory_is_complete_for_a_client_without_structured_content(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", AT_UMAZDA)
    found = answer_of(result)
    for row in found["vehicles"]:
        (line,) = [line for line in text_of(result).splitlines() if line.startswith(row["vin"])]
        assert row["model"] in line
        assert row["color"] in line
        assert f"{row['price']:,.2f}".removesuffix(".00") in line
    assert found["next_cursor"] in text_of(result)


async def test_a_price_filter_leaves_out_vehicles_without_a_price_and_says_so(connect: Connect) -> None:
    """The reference's feed has no prices; only some dealers' feeds do."""

    async with connect(upstream=Answering(b'{"vehicles": [{"vin": "A"}], "total": 1}')) as client:
        found = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": 30000}))
    assert found["vehicles"] == []
    assert found["hint"].startswith("Left out for want of a price in the feed: 1")


@pytest.mark.operation("get_vehicle", "get_vehicle")
async def test_get_vehicle_says_consumption(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        found = answer_of(await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin.lower()}))
    assert found["vin"] == vin
    assert found["make"] == "Mazda"
    assert found.get("city_mpg") or found.get("ev_range_miles")


async def test_a_vin_of_another_dealer_is_not_found(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        elsewhere = await client.call_tool("get_vehicle", {"dealer": "hyundaidemo", "vin": vin})
    assert kind_of(elsewhere) == "not_found"


@pytest.mark.parametrize("vin", ["", "JM1", "JM1NDAM77K030640O", "JM1NDAM77K0306400X", "../dealers", 17, None])
async def test_what_cannot_be_a_vin_is_refused_without_a_request(vin: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": vin})
    assert kind_of(result) == "invalid_arguments"
    assert "vin" in text_of(result)
    assert await world.requests() == []


@pytest.mark.operation("quote_payments", "quote_payments")
async def test_a_quote_gives_three_deals_side_by_side_with_rates_in_named_units(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin})
    quote = answer_of(result)
    finance, lease = quote["finance"], quote["lease"]
    assert 0 < finance["apr_percent"] < 30
    assert 0 < lease["money_factor"] < 0.02
    rate = finance["apr_percent"] / 1200
    payment = finance["total_financed"] * rate / (1 - (1 + rate) ** -finance["term_months"])
    assert finance["monthly_payment"] == pytest.approx(payment, abs=0.02)
    assert quote["cash"]["due_at_signing"] > quote["cash"]["price"] * 0.8
    for deal in ("Cash", "Finance", "Lease"):
        assert f"\n{deal}: " in text_of(result)
    assert f"{finance['monthly_payment']:,.2f}".removesuffix(".00") in text_of(result)
    assert "estimate" in quote["caveat"]


async def test_a_full_quote_has_every_term_and_normalised_programs(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        full = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, "detail": "full"}))
    details = full["details"]
    assert details["terms"]["finance"]["interest_rate_percent"] == full["finance"]["apr_percent"]
    assert not any(name.endswith("_rate") for terms in details["terms"].values() for name in terms)
    assert all(0.2 < offer["apr_percent"] < 30 for offer in details["finance_programs"])
    assert all(offer["money_factor"] < 0.02 for offer in details["lease_programs"])


async def test_terms_of_the_caller_change_the_quote(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        wanted = {"deal_type": "finance", "term_months": 36, "customer_cash": 4000, "credit_score": 800}
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, **wanted}))
    assert quote["finance"]["term_months"] == 36
    sent = (await world.requests())[-1]["body"]
    assert sent["payment"] == {"deal_type": "finance", "term": 36, "customer_cash": 4000.0}
    assert sent["customer"] == {"credit_score": 800}


async def test_a_listed_plan_is_quoted_at_its_price(connect: Connect) -> None:
    """The quote's figures ask for the plans, and a plan's id, code and tier are what the quote takes."""
    async with connect() as client:
        at = {**AT_UMAZDA, "vin": await some_vin(client)}
        finance = answer_of(await client.call_tool("quote_payments", at))["finance"]
        listed = answer_of(
            await client.call_tool(
                "list_protection_plans",
                {
                    **at,
                    "deal_type": "finance",
                    "apr_percent": finance["apr_percent"],
                    "term_months": finance["term_months"],
                    "amount_financed": finance["total_financed"],
                },
            )
        )
        for plan in listed["plans"]:
            for tier in plan["tiers"]:
                chosen = [{"id": plan["id"], "code": plan["code"], "tier": tier["code"]}]
                quote = answer_of(await client.call_tool("quote_payments", {**at, "plans": chosen, "detail": "full"}))
                (quoted,) = quote["details"]["plans"]
                assert quoted["price"] == quote["details"]["terms"]["finance"]["total_plans"] == tier["price"]
                assert quoted["tier_term"] == tier["term_months"]
    assert listed["plans"][0] == {
        "id": 6160,
        "code": "RBX301",
        "title": "Vehicle Service Contract",
        "category": "Vehicle Service Contract",
        "vendor": "Sandbox Protection",
        "tiers": [
            {"code": "5R", "title": "5 years/ 60K miles", "price": 1849, "term_months": 60, "miles": 60000},
            {"code": "7R", "title": "7 years/ 100K miles", "price": 2470, "term_months": 84, "miles": 100000},
        ],
    }


@pytest.mark.operation("list_plans", "list_protection_plans")
async def test_full_plans_say_what_they_cover(connect: Connect, world: World) -> None:
    """Nothing of what the dealer pays or earns; miles that are given as 0 are left out."""
    async with connect() as client:
        cash = {**AT_UMAZDA, "vin": await some_vin(client), "deal_type": "cash"}
        gap = answer_of(await client.call_tool("list_protection_plans", {**cash, "detail": "full"}))["plans"][-1]
    assert gap == {
        "id": 1619,
        "code": "GAP1",
        "title": "Guaranteed Asset Protection",
        "category": "Guaranteed Asset Protection",
        "vendor": "Sandbox Protection",
        "tiers": [{"code": "G60", "title": "5 years", "price": 895, "term_months": 60, "msrp": 895}],
        "description": "Pays what is still owed where the insurance of a total loss does not.",
        "taxable": False,
        "residualize": False,
        "price_is_offline": True,
        "deal_types": ["cash", "finance", "lease"],
        "grades": ["new"],
    }
    sent = (await world.requests())[-1]["query"]
    assert sent.keys() == {"dealer[partner_id]", "vin", "deal_type"}


@pytest.mark.parametrize("deal_type", ["finance", "lease"])
@pytest.mark.parametrize("missing", ["apr_percent", "term_months", "amount_financed"])
async def test_plans_without_the_terms_of_their_deal_are_refused_here(
    missing: str, deal_type: str, connect: Connect, world: World
) -> None:
    terms = {"apr_percent": 4.9, "term_months": 60, "amount_financed": 31234.56}
    arguments = {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "deal_type": deal_type, **terms}
    async with connect() as client:
        whole = await client.call_tool("list_protection_plans", arguments)
        result = await client.call_tool("list_protection_plans", {**arguments, missing: None})
    assert kind_of(whole) is None
    assert kind_of(result) == "invalid_arguments"
    assert f"{missing}: is needed for {deal_type}" in text_of(result)
    (sent,) = await world.requests()
    assert (sent["query"]["deal_rate"], sent["query"]["amount_financed"]) == ("4.9", "31235")


@pytest.mark.operation("update_customer", "assign_agent")
async def test_an_agent_is_assigned_and_no_contact_data_comes_back(connect: Connect, world: World) -> None:
    async with connect(personal_data="contact") as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for agent in ({"id": "ID9876"}, {"email": "natalie.wood@example.com"}):
            result = await client.call_tool(
                "assign_agent", {**AT_UMAZDA, "customer_id": customer["customer_id"], "agent": agent}
            )
            assert answer_of(result) == {"customer_id": customer["customer_id"], "assigned": True}
            assert (await world.get("state"))["customers"][0]["agent"] == agent
            assert not any(value in text_of(result) for value in STEVE.values())


async def test_an_agent_for_an_unknown_or_foreign_customer_is_not_found(connect: Connect) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for dealer, customer_id in (("umazda", 99), ("hyundaidemo", customer["customer_id"])):
            arguments = {"dealer": dealer, "customer_id": customer_id, "agent": {"id": "ID9876"}}
            assert kind_of(await client.call_tool("assign_agent", arguments)) == "not_found"


@pytest.mark.operation("submit_trade_valuation", "submit_trade_valuation")
async def test_a_trade_in_offer_is_made_and_then_updated(connect: Connect, world: World) -> None:
    """The whole documented request, and one offer for a customer and a car."""
    car = {"vin": "4t1c11ak0lu322811", "year": 2020, "make": "Toyota", "model": "Camry LE", "trim": "4 Cylinders"}
    offer = {"email": STEVE["email"], **car, "mileage": 95000}
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for value in (0, 12500):
            made = answer_of(await client.call_tool("submit_trade_valuation", {**AT_UMAZDA, **offer, "value": value}))
            assert made["customer_id"] == customer["customer_id"]
            assert made["redirect_url"].startswith("https://express.umazda.com/")
    (kept,) = (await world.get("state"))["trade_offers"]
    assert kept["value"] == 12500
    assert (await world.requests())[-1]["body"] == {
        "dpid": "umazda",
        **offer,
        "vin": "4T1C11AK0LU322811",
        "value": 12500,
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("assign_agent", {"customer_id": 1, "agent": {}}, "agent"),
        ("assign_agent", {"customer_id": 1, "agent": {"id": ""}}, "agent.id"),
        ("assign_agent", {"customer_id": 1, "agent": {"email": "natalie"}}, "agent.email"),
        ("assign_agent", {"customer_id": 1, "agent": {"id": "x", "name": "N"}}, "agent.name"),
        ("assign_agent", {"customer_id": 1}, "agent"),
        ("assign_agent", {"agent": {"id": "x"}}, "customer_id"),
        ("submit_trade_valuation", {"vin": "4T1C11AK0LU322811", "value": 1}, "email"),
        ("submit_trade_valuation", {"email": "steve", "vin": "4T1C11AK0LU322811", "value": 1}, "email"),
        ("submit_trade_valuation", {"email": "s@example.com", "value": 1}, "vin"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C", "value": 1}, "vin"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811"}, "value"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811", "value": -1}, "value"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811", "value": 9.5}, "value"),
        ("list_protection_plans", {"vin": "3MVDMBBM0SM472067"}, "deal_type"),
        ("list_protection_plans", {"vin": "3MVDMBBM0SM472067", "deal_type": "rent"}, "deal_type"),
        ("get_document", {"customer_id": 1}, "document_id"),
        ("get_document", {"customer_id": 1, "document_id": "../1"}, "document_id"),
        ("delete_documents", {"customer_id": 1}, "document_ids"),
        ("delete_documents", {"customer_id": 1, "document_ids": []}, "document_ids"),
        ("delete_documents", {"customer_id": 1, "document_ids": [0]}, "document_ids.0"),
        ("delete_documents", {"customer_id": 1, "document_ids": [*range(1, 52)]}, "document_ids"),
    ],
)
async def test_what_cannot_be_done_is_refused_here_with_its_argument(
    tool: str, arguments: dict[str, Any], named: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
    assert kind_of(result) == "invalid_arguments"
    assert f"{named}:" in text_of(result)
    assert await world.requests() == []


async def test_a_second_customer_with_the_same_email_is_the_first(connect: Connect, world: World) -> None:
    async with connect() as client:
        first = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        again = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert first["duplicate"] is False
    assert again == {**first, "duplicate": True}
    assert len((await world.get("state"))["customers"]) == 1


@pytest.mark.operation("create_customer", "create_customer")
async def test_a_customer_carries_the_whole_documented_request(connect: Connect, world: World) -> None:
    """Everything that the reference's sample sends can be said to the tool."""
    wish = {
        "vehicle": {"vin": "4T1C11AK0LU322811", "make": "Toyota", "model": "Camry", "trim": "LE", "year": 2020},
        "plans": [{"id": 6160, "code": "RBX301", "tier": "5R"}],
        "checkout": False,
    }
    payment = {
        "deal_type": "lease",
        "lease_down": 1500,
        "lease_months": 36,
        "finance_down": 2000,
        "finance_months": 60,
    }
    analytics = {"utm_source": "roadster-api", "utm_medium": "email", "utm_campaign": "2021 retargeting"}
    said = {**wish, **payment, "lease_annual_miles": 10000, "accessories": ["MAX900"], **analytics}
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE, **said}))
    (sent,) = await world.requests()
    assert sent["body"] == {
        "customer": STEVE,
        "dealer": {"dpid": "umazda"},
        **wish,
        "payment": {**payment, "lease_miles": 10000},
        "accessories": [{"code": "MAX900"}],
        "analytics": analytics,
    }


@pytest.mark.parametrize("missing", ["first_name", "last_name", "email"])
async def test_a_customer_without_what_is_required_is_refused_here(
    missing: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        customer = {key: value for key, value in STEVE.items() if key != missing}
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": customer})
    assert kind_of(result) == "invalid_arguments"
    assert f"customer.{missing}" in text_of(result)
    assert await world.requests() == []


async def test_an_invalid_argument_is_named_and_its_value_is_not_repeated(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool(
            "create_customer",
            {**AT_UMAZDA, "customer": {**STEVE, "email": "carlos.silva.at.example", "ssn": "123-34-4567"}},
        )
    assert kind_of(result) == "invalid_arguments"
    assert "customer.email" in text_of(result)
    assert "customer.ssn" in text_of(result)
    assert "carlos" not in text_of(result)
    assert "4567" not in text_of(result)


@pytest.mark.operation("list_documents", "list_documents")
@pytest.mark.operation("upload_document", "upload_document")
async def test_a_document_goes_into_the_binder(connect: Connect, world: World) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        uploaded = answer_of(
            await client.call_tool("upload_document", {**_document(customer["customer_id"]), "contents": LICENCE_PNG})
        )
        listed = answer_of(
            await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"]})
        )
        none = await client.call_tool(
            "list_documents", {**AT_UMAZDA, "customer_id": customer["customer_id"], "binder": "deal_docs"}
        )
    (kept,) = (await world.get("state"))["documents"]
    assert [row["document_id"] for row in listed["documents"]] == [uploaded["document_id"]]
    assert answer_of(none) == {
        "documents": [],
        "truncated": False,
        "hint": 'Nothing in this binder; binder "all" looks into both.',
    }
    assert kept["id"] == uploaded["document_id"]
    assert kept["size"] == len(base64.b64decode(LICENCE_PNG))


@pytest.mark.operation("get_document", "get_document")
async def test_a_documents_file_is_given_only_on_request(connect: Connect) -> None:
    content = base64.b64decode(LICENCE_PNG)
    async with connect(personal_data="contact") as client:
        at = await _binder(client, LICENCE_PNG)
        brief = answer_of(await client.call_tool("get_document", at))
        full = answer_of(await client.call_tool("get_document", {**at, "detail": "full"}))
    assert brief == {
        "document_id": at["document_id"],
        "content_type": "image/png",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "uri": f"roadster://umazda/customers/{at['customer_id']}/documents/{at['document_id']}/file",
    }
    assert full == {**brief, "contents": LICENCE_PNG}


@pytest.mark.parametrize(("size", "shown"), [(64 * 1024, True), (64 * 1024 + 1, False)])
async def test_a_file_too_large_for_a_models_context_is_kept_back(size: int, shown: bool, connect: Connect) -> None:
    content = b"\x89PNG\r\n\x1a\n".ljust(size, b"\0")
    async with connect(personal_data="contact") as client:
        at = await _binder(client, base64.b64encode(content).decode())
        found = answer_of(await client.call_tool("get_document", {**at, "detail": "full"}))
    assert found["bytes"] == size
    assert ("contents" in found) is shown
    assert ("65536" in found.get("hint", "")) is not shown


async def test_a_file_of_an_unknown_type_is_kept_back_and_one_that_is_not_base64_withheld(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "customer_id": 1650260, "document_id": 1602287, "detail": "full"}
    page = base64.encodebytes(b"<script>alert(1)</script>").decode().replace("\n", "\\n")
    async with connect(personal_data="contact", upstream=Answering(f'{{"contents": "{page}"}}'.encode())) as client:
        found = answer_of(await client.call_tool("get_document", arguments))
    assert found.keys() == {"document_id", "bytes", "sha256", "hint"}
    assert "neither" in found["hint"]
    async with connect(upstream=Answering(b'{"contents": "Base64 content"}')) as client:
        result = await client.call_tool("get_document", arguments)
    assert kind_of(result) == "upstream"
    assert "not base64" in text_of(result)


@pytest.mark.operation("delete_documents", "delete_documents")
async def test_deleted_documents_are_gone_and_the_others_are_not(connect: Connect) -> None:
    async with connect() as client:
        at = await _binder(client, LICENCE_PNG)
        customer = {**AT_UMAZDA, "customer_id": at["customer_id"]}
        others = [(await _binder(client, LICENCE_PNG))["document_id"] for _ in range(2)]
        for dealer, ids in (("umazda", [at["document_id"], 99]), ("hyundaidemo", [at["document_id"]])):
            refused = await client.call_tool("delete_documents", {**customer, "dealer": dealer, "document_ids": ids})
            assert kind_of(refused) == "not_found"
        ids = [at["document_id"], others[0]]
        deleted = await client.call_tool("delete_documents", {**customer, "document_ids": ids})
        listed = answer_of(await client.call_tool("list_documents", customer))
        assert kind_of(await client.call_tool("get_document", at)) == "not_found"
    assert answer_of(deleted) == {"deleted": ids}
    assert [row["document_id"] for row in listed["documents"]] == [others[1]]


async def _binder(client: Any, contents: str) -> dict[str, Any]:
    """A customer with one more document, as get_document takes it."""
    customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
    uploaded = answer_of(await client.call_tool("upload_document", {**_document(customer), "contents": contents}))
    return {**AT_UMAZDA, "customer_id": customer, "document_id": uploaded["document_id"]}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"contents": base64.b64encode(b"<html>").decode()}, "contents"),
        ({"contents": "not base64!"}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 1024 * 1024).decode()}, "contents"),
        ({"file_name": "license.pdf"}, "file_name"),
        ({"file_name": "license.exe"}, "file_name"),
        ({"file_name": "../license.png"}, "file_name"),
        ({"relationship": None}, "relationship"),
        ({"relationship": "co_app"}, "co_app_email_id"),
        ({"co_app_email_id": "testcoapp@gmail.com"}, "co_app_email_id"),
        ({"document_type": "passport"}, "document_type"),
        ({"path": "license.png"}, "contents"),
        ({"contents": None, "path": "license.png"}, "path"),
    ],
)
async def test_a_document_that_would_be_refused_is_refused_here(
    changes: dict[str, Any], named: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("upload_document", {**_document(1650260), "contents": LICENCE_PNG, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert f"{named}:" in text_of(result)
    assert await world.requests() == []


def _document(customer_id: int) -> dict[str, Any]:
    return {
        **AT_UMAZDA,
        "customer_id": customer_id,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license front.png",
        "relationship": "self",
    }


async def test_a_local_file_is_taken_from_the_configured_folder_alone(
    connect: Connect, world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "license.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (tmp_path / "secret.png").write_bytes(base64.b64decode(LICENCE_PNG))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    async with connect(change={"uploads": UploadSettings(folder=folder)}) as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        document = _document(customer["customer_id"])
        answer_of(await client.call_tool("upload_document", {**document, "path": "license.png"}))
        sent = len(await world.requests())
        for path in (
            "../secret.png",
            str(tmp_path / "secret.png"),
            "link.png",
            "nothing.png",
            ".",
            "",
            "a\0b",
            "/dev/zero",
        ):
            result = await client.call_tool("upload_document", {**document, "path": path})
            assert kind_of(result) == "invalid_arguments", path
            assert "secret" not in text_of(result)
    assert len(await world.requests()) == sent


@pytest.mark.operation("create_link", "build_deep_link")
async def test_a_link_to_a_vehicle_is_made_upstream(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        found = answer_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": vin}))
    assert vin in found["url"]
    assert (await world.requests())[-1]["operation"] == "create_link"


@pytest.mark.operation("customer_link", "build_deep_link")
async def test_a_customers_link_is_made_here_and_tells_nothing_in_the_open(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("build_deep_link", {**AT_UMAZDA, "vin": "JM1NDAM77K0306400", "customer": STEVE})
    url = urlsplit(answer_of(result)["url"])
    assert url.netloc == "express.umazda.com"
    assert parse_qs(url.query).keys() == {"mem"}
    assert await world.requests() == []
    for value in STEVE.values():
        assert value not in text_of(result)


@pytest.mark.parametrize(
    "arguments", [{}, {"customer": STEVE}, {"vin": "JM1NDAM77K0306400", "customer": STEVE, "utm_source": "mail"}]
)
async def test_a_link_without_what_it_needs_is_refused(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        assert kind_of(await client.call_tool("build_deep_link", {**AT_UMAZDA, **arguments})) == "invalid_arguments"


async def test_an_encrypted_link_without_a_key_names_the_setting(connect: Connect) -> None:
    dealers = {"umazda": DealerSettings(express_host="express.umazda.com")}
    async with connect(change={"dealers": dealers}, dealers=["umazda"]) as client:
        result = await client.call_tool("build_deep_link", {"vin": "JM1NDAM77K0306400", "customer": STEVE})
    assert kind_of(result) == "not_configured"
    assert "dealers.umazda.link_key" in text_of(result)


@pytest.mark.parametrize("tool", TOOLS)
async def test_no_tool_takes_an_argument_that_it_does_not_know(tool: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, {"dealer": "umazda", "overrule": True})
    assert kind_of(result) == "invalid_arguments"
    assert "overrule" in text_of(result)
    assert await world.requests() == []


async def test_a_caller_who_may_not_see_personal_data_gets_no_file(connect: Connect) -> None:
    """A licence is a picture of everything that is masked elsewhere."""
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        at = {**AT_UMAZDA, "customer_id": customer["customer_id"]}
        document = {**_document(customer["customer_id"]), "contents": LICENCE_PNG}
        uploaded = answer_of(await client.call_tool("upload_document", document))
        result = await client.call_tool(
            "get_document", {**at, "document_id": uploaded["document_id"], "detail": "full"}
        )
        listed = answer_of(await client.call_tool("list_documents", at))
    assert "contents" not in answer_of(result)
    assert LICENCE_PNG not in text_of(result)
    assert 'callers.tester.personal_data is "masked"' in answer_of(result)["hint"], "what the operator can change"
    assert [row["name"] for row in listed["documents"]] == ["***"]
    assert "tell documents apart by type, time and id" in listed["hint"]


@pytest.mark.parametrize("arguments", [{"plans": [0] * 100_000}, {"x" * 100_000: 1}, {str(n): n for n in range(5000)}])
async def test_an_error_is_short_whatever_was_sent(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", **arguments})
    assert kind_of(result) == "invalid_arguments"
    assert len(text_of(result)) < 2000


async def test_who_may_not_use_a_tool_is_refused_before_its_arguments_are_looked_at(connect: Connect) -> None:
    async with connect(access={}) as client:
        assert kind_of(await client.call_tool("quote_payments", {"plans": [0] * 100_000})) == "refused"


class Says(httpx2.AsyncBaseTransport):
    """An upstream that answers everything with one body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(self._body))


async def test_an_answer_too_large_for_any_model_is_withheld(connect: Connect) -> None:
    body = b'{"vehicle_info": {"make": "' + b"x" * 1_000_000 + b'"}}'
    async with connect(upstream=Says(body)) as client:
        result = await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067"})
    assert kind_of(result) == "upstream"
    assert len(text_of(result)) < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"dealer": "toyotademo", "vehicles": []}',
        b'{"dealership": {"partner_id": 12345}, "vehicles": []}',
        b'{"meta": [{"dpid": "toyotademo"}], "vehicles": []}',
    ],
)
async def test_another_dealer_is_noticed_wherever_the_answer_names_it(body: bytes, connect: Connect) -> None:
    async with connect(upstream=Says(body)) as client:
        result = await client.call_tool("list_inventory", dict(AT_UMAZDA))
    assert kind_of(result) == "upstream"
    assert "another dealer" in text_of(result)


async def test_a_success_that_says_error_is_none(connect: Connect) -> None:
    body = b'{"status": "error", "error": "Missing email", "customer": {"id": 1}}'
    async with connect(upstream=Says(body)) as client:
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE})
    assert kind_of(result) == "upstream"
    assert "Missing email" in text_of(result)


async def test_a_link_that_is_no_web_page_is_dropped(connect: Connect) -> None:
    body = b'{"status": "ok", "customer": {"id": 1, "redirect_url": "javascript:alert(1)"}}'
    async with connect(upstream=Says(body)) as client:
        found = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert "redirect_url" not in found


@pytest.mark.parametrize("amount", ["inf", "-inf", "nan", "1e999"])
async def test_what_json_has_no_number_for_is_refused(amount: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        made = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE, "lease_down": amount})
        quoted = await client.call_tool(
            "quote_payments", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "customer_cash": amount}
        )
    assert kind_of(made) == kind_of(quoted) == "invalid_arguments"
    assert await world.requests() == []


@pytest.mark.parametrize("wrong", [True, "2.0", "02", "+2", " 2", "２", "1" * 17, 3.5, 0, -1, 10**40, [1]])
async def test_an_id_is_a_whole_number_and_nothing_like_one(wrong: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        for arguments in ({"customer_id": wrong, "document_ids": [1]}, {"customer_id": 1, "document_ids": [wrong]}):
            result = await client.call_tool("delete_documents", {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments"
    assert await world.requests() == []


async def test_an_id_may_also_be_written_as_text(connect: Connect, world: World) -> None:
    """As other systems write it; what is sent is the same."""
    async with connect() as client:
        made = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        for id_ in (made, str(made)):
            answer_of(await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": id_}))
    first, second = ({**request, "n": None} for request in (await world.requests())[-2:])
    assert first == second


# --- what a failure says ----------------------------------------------------------------------------

LOOKED_UP: list[tuple[str, dict[str, Any], str]] = [
    ("get_vehicle", {"vin": SOME_VIN}, "Check vin."),
    ("get_document", {"customer_id": 5, "document_id": 7}, "Check customer_id and document_id."),
    ("list_documents", {"customer_id": 5}, "Check customer_id."),
    ("get_template", {"template_id": "999"}, "Check template_id."),
    ("get_template_file", {"template_id": "999"}, "Check template_id."),
    ("get_delivery", {"delivery_id": 5}, "Check delivery_id."),
    ("cancel_delivery", {"delivery_id": 5}, "Check delivery_id. Nothing was changed."),
    ("get_crm_customer", {"customer_uuid": "c0000000-0000-4000-8a00-000000000009"}, "Check customer_uuid."),
    ("get_dealer", {}, "The server's operator must check base_url."),
]


@pytest.mark.parametrize(("tool", "arguments", "advice"), LOOKED_UP, ids=[row[0] for row in LOOKED_UP])
async def test_what_is_not_found_is_told_by_the_tool_and_the_argument_it_was_looked_up_by(
    tool: str, arguments: dict[str, Any], advice: str, connect: Connect, world: World
) -> None:
    """A caller knows the tool that it called and what it gave, and not the operations of an upstream."""
    async with connect() as client:
        if tool in {"get_vehicle", "get_dealer", "list_documents"}:
            await world.fault(tool, "status", status=404)
        result = await client.call_tool(tool, {"dealer": "umazda", **arguments})
    assert kind_of(result) == "not_found"
    assert text_of(result).startswith(f"{tool}: ")
    assert text_of(result).endswith(f"at this dealer. {advice}")


async def test_every_failure_of_an_upstream_names_the_tool_that_was_called(connect: Connect, world: World) -> None:
    async with connect() as client:
        for status in (400, 401, 404, 429, 500):
            await world.fault("*", "status", status=status, times=3, retry_after=None)
            for tool, arguments in {
                "list_protection_plans": {"vin": SOME_VIN, "deal_type": "cash"},
                "assign_agent": {"customer_id": 5, "agent": {"id": "ID9876"}},
            }.items():
                told = text_of(await client.call_tool(tool, {"dealer": "umazda", **arguments}))
                assert tool in told
                assert "list_plans" not in told
                assert "update_customer" not in told
