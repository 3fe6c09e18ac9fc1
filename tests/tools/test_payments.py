"""Quotes: the three deals, their rates, and the terms that a caller sets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, last_request, some_vin

pytestmark = pytest.mark.anyio


@pytest.mark.operation("quote_payments", "quote_payments")
async def test_quote_payments_shows_three_deals_with_named_rates(connect: Connect) -> None:
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
    assert quote["cash"]["due_at_signing"] > quote["price"] * 0.8
    for deal in ("Cash", "Finance", "Lease"):
        assert f"\n{deal}: " in text_of(result)
    assert f"{finance['monthly_payment']:,.2f}".removesuffix(".00") in text_of(result)
    assert "estimate" in quote["caveat"]


async def test_quote_payments_full_has_all_terms_and_programs(connect: Connect) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        full = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, "detail": "full"}))
    details = full["details"]
    assert details["terms"]["finance"]["interest_rate_percent"] == full["finance"]["apr_percent"]
    assert not any(name.endswith("_rate") for terms in details["terms"].values() for name in terms)
    assert all(0.2 < offer["apr_percent"] < 30 for offer in details["finance_programs"])
    assert all(offer["money_factor"] < 0.02 for offer in details["lease_programs"])


async def test_quote_payments_takes_the_callers_terms(connect: Connect, world: World) -> None:
    async with connect() as client:
        vin = await some_vin(client)
        terms = {"deal_type": "finance", "term_months": 36, "customer_cash": 4000, "credit_score": 800}
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin, **terms}))
    assert quote["finance"]["term_months"] == 36
    body = (await last_request(world, "quote_payments"))["body"]
    assert body["payment"] == {"deal_type": "finance", "term": 36, "customer_cash": 4000.0}
    assert body["customer"] == {"credit_score": 800}


async def test_quote_payments_takes_listed_plans_at_their_price(connect: Connect) -> None:
    """A quote's figures are the arguments for the plans, and a plan's id, code and tier go into the next quote."""
    async with connect() as client:
        at = {**AT_UMAZDA, "vin": await some_vin(client)}
        finance = answer_of(await client.call_tool("quote_payments", at))["finance"]
        listing = answer_of(
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
        for plan in listing["plans"]:
            for tier in plan["tiers"]:
                choice = [{"id": plan["id"], "code": plan["code"], "tier": tier["code"]}]
                quote = answer_of(await client.call_tool("quote_payments", {**at, "plans": choice, "detail": "full"}))
                (plan_in_quote,) = quote["details"]["plans"]
                assert plan_in_quote["price"] == quote["details"]["terms"]["finance"]["total_plans"] == tier["price"]
                assert plan_in_quote["tier_term"] == tier["term_months"]
    assert listing["plans"][0] == {
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


@pytest.mark.parametrize(
    "deals", ["odd", {"lease": "odd"}, {"cash": [], "finance": None}, {"lease": {"data": {}, "terms": "odd"}}], ids=str
)
async def test_deals_that_cannot_be_read_are_not_absent(deals: Any, connect: Connect) -> None:
    async with connect(upstream=FixedAnswer({"deals": deals})) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    answer = answer_of(result)
    assert "left_out" in answer
    assert "offers no deal" not in text_of(result)
    if not answer.keys() & {"cash", "finance", "lease"}:
        assert answer["hint"].startswith("Roadster's answer has no deals that can be read")


@pytest.mark.parametrize(
    "finance", ["odd", [], 7, {"terms": "odd"}, {"terms": {"term": "odd"}}, {"terms": {}}, {}], ids=str
)
async def test_deal_that_cannot_be_read_is_told_as_that(finance: Any, connect: Connect) -> None:
    deals = {"cash": {"terms": {"price": 30000}}, "finance": finance, "lease": None}
    async with connect(upstream=FixedAnswer({"deals": deals})) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    answer = answer_of(result)
    assert answer["unread"] == ["finance"]
    assert "finance" not in answer
    assert answer["hint"] == "Could not be read, so the dealer may offer it: finance."
    lines = text_of(result).split("\n")
    assert {"Cash: price 30,000", "Finance: could not be read", "Lease: none"} <= {*lines}
