"""Quotes: the three deals, their rates, the terms that a caller sets, and what a deal does not carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Answering, Connect, World, answer_of, kind_of, response, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.umazda import AT_UMAZDA, FixedAnswer, last_request, operations, some_vin

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
    "finance",
    [
        "odd",
        [],
        7,
        {"terms": "odd"},
        {"terms": {"term": "odd"}},
        {"terms": {}},
        {},
        {"terms": {"price": "n/a", "lender": "Toyota Motor Credit"}},
        {"terms": {"price": None, "monthly_payment": None}},
    ],
    ids=str,
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


# Like for like


async def test_terms_without_a_deal_type_count_for_each_deal(connect: Connect, world: World) -> None:
    terms = {"customer_cash": 2000, "term_months": 36}
    async with connect() as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **terms}))
        alone = answer_of(
            await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "deal_type": "lease", **terms})
        )
    for deal in ("finance", "lease"):
        assert (quote[deal]["down_payment"], quote[deal]["term_months"]) == (2000, 36)
    assert quote["lease"] == alone["lease"]
    assert quote["not_applied"] == ["cash: no customer_cash, term_months"]
    bodies = [each["body"]["payment"] for each in await world.requests() if each["operation"] == "quote_payments"]
    asked = {body["deal_type"]: body for body in bodies[:3]}
    assert asked == {
        name: {"deal_type": name, "customer_cash": 2000.0, "term": 36} for name in ("cash", "finance", "lease")
    }
    assert bodies[3:] == [asked["lease"]]


async def test_a_deal_that_other_terms_were_asked_for_says_so(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "vin": SOME_VIN, "deal_type": "lease", "customer_cash": 2000, "term_months": 36}
    async with connect() as client:
        result = await client.call_tool("quote_payments", arguments)
    quote = answer_of(result)
    assert (quote["finance"]["down_payment"], quote["finance"]["term_months"]) == (0, 60)
    sentence = "finance: no customer_cash, term_months, asked for lease only; to compare, leave deal_type out"
    assert quote["not_applied"] == [sentence]
    assert f"Not applied: {sentence}" in text_of(result)


async def test_a_down_payment_that_is_cut_is_told_in_the_deal_that_cuts_it(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "vin": "JM3KKBHA7R1194195", "customer_cash": 30_000}  # its price is above that
    async with connect() as client:
        quote = answer_of(await client.call_tool("quote_payments", arguments))
    assert quote["finance"]["down_payment"] == 30_000
    assert quote["lease"]["down_payment"] == 16_081.6
    cut = [text for text in quote["not_applied"] if text.startswith("lease: ")]
    assert cut == ["lease: customer_cash cut to 16,081.60, the most it takes"]


async def test_without_terms_one_request_has_all_deals(connect: Connect, world: World) -> None:
    async with connect() as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert (await operations(world)).count("quote_payments") == 1
    assert "not_applied" not in quote
    assert quote["assumed"] == ["credit_score: 720 or more", "zip_code: as Roadster assumes", "incentives: none"]


def deal_of(request: httpx2.Request) -> str | None:
    """Returns the deal that a request for a quote names."""
    if not request.url.path.endswith("/payments"):
        return None
    payment: dict[str, str] = json.loads(request.content).get("payment", {})
    return payment.get("deal_type")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: response({"status": "error", "error": "Invalid term"}, 400), 'was refused with 400: "Invalid term"'),
        (lambda: response({"deals": "odd"}), "has no deals that can be read"),
    ],
    ids=["refused", "odd"],
)
async def test_a_deal_that_is_not_answered_does_not_hide_the_others(
    answer: Callable[[], httpx2.Response], reason: str, connect: Connect, world: World
) -> None:
    upstream = Answering(world, lambda request: answer() if deal_of(request) == "lease" else None)
    async with connect(upstream=upstream) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "term_months": 48})
    quote = answer_of(result)
    assert quote["finance"]["term_months"] == 48
    assert quote["unread"] == ["lease"]
    assert quote["hint"] == f"Not quoted, so the dealer may offer it: lease ({reason})."
    assert "Lease: could not be read" in text_of(result)


async def test_a_refused_term_that_no_program_has_names_those_that_have_one(connect: Connect, world: World) -> None:
    """Whether Roadster refuses it for one deal or for the whole quote. A term with a program is not to blame."""
    refusal = {"status": "error", "error": "Invalid request"}
    upstream = Answering(world, lambda request: response(refusal, 400) if deal_of(request) == "lease" else None)
    at = {**AT_UMAZDA, "vin": SOME_VIN}
    sentence = "no program has this term, only 24, 36, 48 have one"
    async with connect(upstream=upstream) as client:
        one = await client.call_tool("quote_payments", {**at, "deal_type": "lease", "term_months": 30})
        other = await client.call_tool("quote_payments", {**at, "deal_type": "lease", "term_months": 36})
        quote = answer_of(await client.call_tool("quote_payments", {**at, "term_months": 60}))
    assert kind_of(one) == "invalid_arguments"
    assert f"term_months: lease: {sentence}" in text_of(one)
    assert kind_of(other) != "invalid_arguments"
    assert "refused with 400" in text_of(other)
    assert quote["finance"]["term_months"] == 60
    assert f"lease: term_months, {sentence}" in quote["not_applied"]


async def test_an_outage_of_all_deals_is_an_error(connect: Connect, world: World) -> None:
    await world.fault("quote_payments", "status", status=503, times=50)
    async with connect() as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "term_months": 48})
    assert kind_of(result) == "upstream"


async def test_each_deal_is_taken_from_its_own_answer(connect: Connect, world: World) -> None:
    """What is odd in the other deals of that answer counts nowhere."""

    def instead(request: httpx2.Request) -> Any:
        deal = deal_of(request)
        if deal is None:
            return None
        others = {name: {"terms": "odd"} for name in ("cash", "finance", "lease") if name != deal}
        terms = {"price": 20_000, "term": 48, "customer_cash": 0}
        return {"deals": {**others, deal: {"deal_type": deal, "terms": terms}}}

    async with connect(upstream=Answering(world, instead)) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "term_months": 48}))
    assert "left_out" not in quote
    assert quote["price"] == 20_000
    assert quote["finance"]["term_months"] == quote["lease"]["term_months"] == 48


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"customer_cash": 5000}, "finance: customer_cash cut to 4,000, the most it takes"),
        ({"customer_cash": 100}, "finance: customer_cash raised to 4,000, the least it takes"),
        (
            {"term_months": 30},
            "finance: term_months computed with 48; it has no program of its own, only 24, 48 have one",
        ),
        ({"term_months": 24}, "finance: term_months computed with 48"),
        ({"annual_miles": 9000}, "lease: annual_miles computed with 12,000"),
        ({"no_taxes_or_fees": True}, "finance: no_taxes_or_fees has no effect: it has taxes or fees"),
        ({"credit_score": 600}, "finance: credit_score, the program is for 700 or more"),
        ({"term_months": 36}, "lease: term_months not confirmed by Roadster"),
        ({"incentives": ["loyal"]}, 'incentives "loyal": unknown; there are loyalty'),
        ({"incentives": ["a; b\n"]}, 'incentives "a; b ": unknown; there are loyalty'),
        ({"incentives": ["x" * 70]}, f'incentives "{"x" * 59}…": unknown; there are loyalty'),
        ({"incentives": ["loyalty"]}, 'finance: incentives "loyalty", more than the rebate'),
        ({"incentives": ["loyalty"]}, 'lease: incentives "loyalty", not confirmed by Roadster'),
        ({"plans": [{"id": 7}]}, "finance, lease: plans.0, not named among its plans"),
        ({"plans": [{"id": 6160, "tier": "7R"}]}, "finance: plans.0.tier, it has 5R"),
        ({"plans": [{"id": 7}]}, "plans.0.id is none of a cash deal's plans: 6160 (Vehicle Service Contract)"),
        ({"plans": [{"id": 6160, "tier": "9"}]}, "plans.0.tier is none of plan 6160's tiers: 5R (60K miles)"),
    ],
    ids=str,
)
async def test_a_wish_that_roadster_ignored_is_told(
    terms: dict[str, Any], sentence: str, connect: Connect, world: World
) -> None:
    incentive = {"name": "loyalty", "display_name": "Owner Loyalty Program", "cash": 500}
    programs = [{"term": term, "interest_rate": 4.9, "min_score": 700, "incentives": [incentive]} for term in (24, 48)]
    plans = {"data": {"plans": [{"retail_add_on_id": 6160, "tier_code": "5R", "price": 1849}]}}
    deals = {
        "finance": {
            "terms": {
                "term": 48,
                "interest_rate": 0.049,
                "customer_cash": 4000,
                "minimum_customer_cash": 4000,
                "maximum_customer_cash": 4000,
                "total_fees": 10,
                "rebate": 0,
            },
            **plans,
        },
        "lease": {"terms": {"annual_mileage": 12_000, "price": 20_000}},
    }
    tiers = [{"code": "5R", "title": "60K miles", "offer": 1849}]
    listing = {"plans": [{"id": 6160, "title": "Vehicle Service Contract", "tiers": tiers}]}

    def instead(request: httpx2.Request) -> Any:
        answers = {"payments": {"deals": deals, "programs": {"finance": programs}}, "plans": listing}
        return answers.get(request.url.path.rpartition("/")[2])

    async with connect(upstream=Answering(world, instead)) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **terms})
    assert sentence in answer_of(result)["not_applied"]
    assert sentence in text_of(result)


async def test_an_unknown_plan_or_tier_names_those_there_are(connect: Connect) -> None:
    at = {**AT_UMAZDA, "vin": SOME_VIN}
    async with connect() as client:
        tier = await client.call_tool("quote_payments", {**at, "plans": [{"id": 1614}, {"id": 6160, "tier": "9R"}]})
        plan = await client.call_tool("quote_payments", {**at, "plans": [{"id": 12}], "term_months": 36})
        code = await client.call_tool("quote_payments", {**at, "plans": [{"id": 1614, "code": "GAP1"}]})
    assert [kind_of(result) for result in (tier, plan, code)] == ["invalid_arguments"] * 3
    assert all("Something was read, and nothing written" in text_of(result) for result in (tier, plan, code))
    assert "plans.1.tier: is none of plan 6160's tiers: 5R (5 years/ 60K miles), 7R (7 years/ 100K miles)" in text_of(
        tier
    )
    names = "6160 (Vehicle Service Contract), 1614 (Prepaid Maintenance), 1619 (Guaranteed Asset Protection)"
    assert f"plans.0.id: is none of a cash deal's plans: {names}" in text_of(plan)
    assert "plans.0.code: is not that of plan 1614, which is TM59" in text_of(code)
