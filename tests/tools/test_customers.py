"""The tools that write about customers: accounts, agents and offers for their cars."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import STEVE
from tests.tools.umazda import AT_UMAZDA, FixedAnswer

pytestmark = pytest.mark.anyio


async def test_create_customer_answers_duplicate_for_a_known_email(connect: Connect, world: World) -> None:
    async with connect() as client:
        first = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        again = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert first["duplicate"] is False
    assert again == {**first, "duplicate": True}
    assert len((await world.get("state"))["customers"]) == 1


@pytest.mark.parametrize("duplicate", [None, "", "odd", 7, [], {}], ids=str)
async def test_unreadable_duplicate_is_unknown_and_the_phone_is_not_noted(
    duplicate: Any, connect: Connect, world: World
) -> None:
    """The account may be an older one, whose phone is another. A search by the phone must not find it."""
    answer = {"status": "ok", "customer": {"id": 1650260}, "duplicate": duplicate}
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        created = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE})
        by_phone = await client.call_tool("search_customers", {**AT_UMAZDA, "phone": STEVE["phone"]})
        by_email = await client.call_tool("search_customers", {**AT_UMAZDA, "email": STEVE["email"]})
    assert "duplicate" not in answer_of(created)
    if duplicate not in (None, ""):
        assert answer_of(created)["left_out"]["paths"] == ["duplicate"]
    assert "may have been there before" in text_of(created)
    assert answer_of(by_phone)["customers"] == []
    assert [row["customer_id"] for row in answer_of(by_email)["customers"]] == [1650260]


@pytest.mark.operation("create_customer", "create_customer")
async def test_create_customer_sends_the_documented_request(connect: Connect, world: World) -> None:
    """The tool has an argument for everything in the reference's sample."""
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
    arguments = {**wish, **payment, "lease_annual_miles": 10000, "accessories": ["MAX900"], **analytics}
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE, **arguments}))
    (request,) = await world.requests()
    assert request["body"] == {
        "customer": STEVE,
        "dealer": {"dpid": "umazda"},
        **wish,
        "payment": {**payment, "lease_miles": 10000},
        "accessories": [{"code": "MAX900"}],
        "analytics": analytics,
    }


@pytest.mark.parametrize("missing", ["first_name", "last_name", "email"])
async def test_create_customer_needs_names_and_an_email(missing: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        customer = {key: value for key, value in STEVE.items() if key != missing}
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": customer})
    assert kind_of(result) == "invalid_arguments"
    assert f"customer.{missing}" in text_of(result)
    assert await world.requests() == []


async def test_create_customer_repeats_no_invalid_value(connect: Connect) -> None:
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


async def test_create_customer_fails_on_an_error_inside_a_success(connect: Connect) -> None:
    body = b'{"status": "error", "error": "Missing email", "customer": {"id": 1}}'
    async with connect(upstream=FixedAnswer(body)) as client:
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE})
    assert kind_of(result) == "upstream"
    assert "Missing email" in text_of(result)


async def test_create_customer_drops_a_link_to_no_web_page(connect: Connect) -> None:
    body = b'{"status": "ok", "customer": {"id": 1, "redirect_url": "javascript:alert(1)"}}'
    async with connect(upstream=FixedAnswer(body)) as client:
        answer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert "redirect_url" not in answer


@pytest.mark.operation("update_customer", "assign_agent")
async def test_assign_agent_returns_no_contact_data(connect: Connect, world: World) -> None:
    async with connect(personal_data="contact") as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for agent in ({"id": "ID9876"}, {"email": "natalie.wood@example.com"}):
            result = await client.call_tool(
                "assign_agent", {**AT_UMAZDA, "customer_id": customer["customer_id"], "agent": agent}
            )
            assert answer_of(result) == {"customer_id": customer["customer_id"], "assigned": True}
            assert (await world.get("state"))["customers"][0]["agent"] == agent
            assert not any(value in text_of(result) for value in STEVE.values())


async def test_assign_agent_finds_only_the_dealers_customers(connect: Connect) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for dealer, customer_id in (("umazda", 99), ("hyundaidemo", customer["customer_id"])):
            arguments = {"dealer": dealer, "customer_id": customer_id, "agent": {"id": "ID9876"}}
            assert kind_of(await client.call_tool("assign_agent", arguments)) == "not_found"


@pytest.mark.operation("submit_trade_valuation", "submit_trade_valuation")
async def test_submit_trade_valuation_creates_then_updates(connect: Connect, world: World) -> None:
    """The request is the documented one, and a customer has one offer for a car."""
    car = {"vin": "4t1c11ak0lu322811", "year": 2020, "make": "Toyota", "model": "Camry LE", "trim": "4 Cylinders"}
    offer = {"email": STEVE["email"], **car, "mileage": 95000}
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
        for value in (1, 12500):
            answer = answer_of(await client.call_tool("submit_trade_valuation", {**AT_UMAZDA, **offer, "value": value}))
            assert answer["customer_id"] == customer["customer_id"]
            assert answer["redirect_url"].startswith("https://express.umazda.com/")
    (stored_offer,) = (await world.get("state"))["trade_offers"]
    assert stored_offer["value"] == 12500
    assert (await world.requests())[-1]["body"] == {
        "dpid": "umazda",
        **offer,
        "vin": "4T1C11AK0LU322811",
        "value": 12500,
    }
