"""What a quote holds beside its deals: rebates, last days, the state of the vehicle, zero and absent figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from mcp import Client

from roadster_server.settings.sections.stores import InventorySettings
from tests.conftest import SAMPLES, Answering, Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.umazda import AT_UMAZDA, FixedAnswer

pytestmark = pytest.mark.anyio


async def test_incentives_of_a_full_answer_are_what_the_request_takes(connect: Connect) -> None:
    at = {**AT_UMAZDA, "vin": SOME_VIN}
    async with connect() as client:
        full = answer_of(await client.call_tool("quote_payments", {**at, "detail": "full"}))
        for row in full["details"]["incentives"]:
            quote = answer_of(await client.call_tool("quote_payments", {**at, "incentives": [row["name"]]}))
            assert quote["rebate"] - full["rebate"] == row["amount"]
            assert {"name": row["name"], "amount": row["amount"]} in quote["rebates"]
            assert quote["expires"] == "2099-03-31"
            assert "not_applied" not in quote
    assert [row["title"] for row in full["details"]["incentives"]][1] == "Owner Loyalty Program"


async def test_price_fees_and_taxes_of_a_brief_loan_lead_to_what_is_financed(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "vin": SOME_VIN, "customer_cash": 2000, "plans": [{"id": 6160, "tier": "5R"}]}
    async with connect() as client:
        quote = answer_of(await client.call_tool("quote_payments", arguments))
    loan, (plan,) = quote["finance"], quote["plans"]
    price = quote["price"] + plan["price"] - quote["rebate"]
    parts = price + loan["total_fees"] + loan["sales_tax"] - loan["down_payment"]
    assert loan["total_financed"] == pytest.approx(parts)


async def test_a_quote_with_a_lease_says_that_the_car_goes_back(connect: Connect, world: World) -> None:
    """Its total stands beside those of deals whose car is the customer's in the end."""
    loan = Answering(world, lambda request: {"deals": {"finance": {"terms": {"price": 1}}}})
    async with connect() as client:
        with_lease = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    async with connect(upstream=loan) as client:
        without = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    sentence = "A leased car goes back."
    assert sentence in answer_of(with_lease)["caveat"]
    assert sentence in text_of(with_lease)
    assert sentence not in answer_of(without)["caveat"]
    assert "estimate" in answer_of(without)["caveat"]


@pytest.mark.parametrize(
    "wish", [{"credit_score": 300}, {"credit_score": 900}, {"annual_miles": 1}, {"annual_miles": 100_000}], ids=str
)
async def test_what_the_tool_takes_is_refused_by_no_bound_of_the_sandbox(
    wish: dict[str, int], connect: Connect
) -> None:
    """The documents state no bounds, so the sandbox has none that are narrower."""
    async with connect() as client:
        answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **wish}))


async def test_a_lease_of_a_brief_quote_has_what_its_plans_need(connect: Connect) -> None:
    at = {**AT_UMAZDA, "vin": SOME_VIN}
    async with connect() as client:
        lease = answer_of(await client.call_tool("quote_payments", at))["lease"]
        terms = {
            "apr_percent": lease["rate_percent"],
            "term_months": lease["term_months"],
            "amount_financed": lease["cap_cost"],
        }
        plans = await client.call_tool("list_protection_plans", {**at, "deal_type": "lease", **terms})
    assert lease["rate_percent"] == pytest.approx(lease["money_factor"] * 2400)
    assert answer_of(plans)["plans"]


def with_rebates(rebates: list[dict[str, Any]]) -> Callable[[httpx2.Request], Any]:
    """Returns a cash deal with a rebate of 500, and a program with these."""
    deals = {"cash": {"terms": {"price": 20_000, "rebate": 500}}}
    answer = {"deals": deals, "programs": {"cash": {"rebates": rebates}}}
    return lambda request: answer if request.url.path.endswith("/payments") else None


@pytest.mark.parametrize("dealer_figures", [False, True])
async def test_a_rebate_for_the_dealer_is_not_in_the_customers_deal(
    dealer_figures: bool, connect: Connect, world: World
) -> None:
    rebates = [
        {"name": "For the customer", "cash": 500, "recipient": "Customer"},
        {"name": "For the dealer", "cash": 1500, "recipient": "Dealer"},
    ]
    answer = {
        "deals": {"cash": {"terms": {"price": 20_000, "rebate": 500}}},
        "programs": {"cash": {"rebates": rebates}},
    }
    upstream = Answering(world, lambda request: answer if request.url.path.endswith("/payments") else None)
    async with connect(upstream=upstream, dealer_figures=dealer_figures) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert quote["rebates"] == [{"name": "For the customer", "amount": 500}]


async def test_rebates_that_do_not_add_up_to_the_deals_are_left_out(connect: Connect, world: World) -> None:
    rebates = [{"name": "For the customer", "cash": 700, "recipient": "Customer"}]
    answer = {
        "deals": {"cash": {"terms": {"price": 20_000, "rebate": 500}}},
        "programs": {"cash": {"rebates": rebates}},
    }
    upstream = Answering(world, lambda request: answer if request.url.path.endswith("/payments") else None)
    async with connect(upstream=upstream) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert quote["cash"]["rebate"] == 500
    assert "rebates" not in quote


@pytest.mark.parametrize("expires", ["2027-01-31T00:00:00", None])
async def test_last_days_that_differ_stand_with_each_program_and_rebate(
    expires: str | None, connect: Connect, world: World
) -> None:
    """A day that is not known differs from any other."""
    rebate = {"name": "Spring", "cash": 500, "recipient": "Customer", "expires_at": "2027-02-28T00:00:00"}
    program = {"term": 48, "interest_rate": 4.9, "rebates": [rebate], "expires_at": expires}
    terms = {"price": 20_000, "rebate": 500, "term": 48, "interest_rate": 0.049, "monthly_payment": 300}
    answer = {"deals": {"finance": {"terms": terms}}, "programs": {"finance": [program]}}
    upstream = Answering(world, lambda request: answer if request.url.path.endswith("/payments") else None)
    async with connect(upstream=upstream) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert "expires" not in quote
    assert quote["finance"].get("program_expires") == (expires and "2027-01-31")
    assert quote["rebates"] == [{"name": "Spring", "amount": 500, "expires": "2027-02-28"}]


# The state of the vehicle


async def vin_in_state(client: Client, **state: bool) -> str:
    rows = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "in_stock": False, "limit": 100}))[
        "vehicles"
    ]
    vin: str = next(row["vin"] for row in rows if {"reserved": False, **row}.items() >= state.items())
    return vin


@pytest.mark.parametrize(
    ("state", "stock"),
    [
        ({"in_stock": True, "reserved": False}, "in stock"),
        ({"in_stock": True, "reserved": True}, "reserved"),
        ({"in_stock": False}, "not in stock"),
    ],
    ids=str,
)
@pytest.mark.parametrize("fresh_for", [0, 60])
async def test_the_state_of_the_vehicle_is_said_first(
    fresh_for: int, state: dict[str, bool], stock: str, connect: Connect
) -> None:
    async with connect(change={"inventory": InventorySettings(fresh_for=fresh_for)}) as client:
        vin = await vin_in_state(client, **state)
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": vin})
    assert answer_of(result)["stock"] == stock
    assert text_of(result).startswith(f"{stock}: {vin} ")


async def test_a_vehicle_that_the_feed_lacks_is_said_to_be_missing_there(connect: Connect, world: World) -> None:
    upstream = Answering(
        world, lambda request: {"vehicles": [], "total": 0} if request.url.path.endswith("/vehicles") else None
    )
    async with connect(upstream=upstream) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    assert text_of(result).startswith(f"not in the feed: {SOME_VIN} ")


async def test_a_feed_that_does_not_answer_is_told_beside_the_quote(connect: Connect, world: World) -> None:
    await world.fault("list_inventory", "status", status=503, times=20)
    async with connect() as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    quote = answer_of(result)
    assert "stock" not in quote
    assert quote["assumed"][-1] == "stock: not known, because the dealer's feed does not answer"
    assert quote["lease"]["monthly_payment"]


@pytest.mark.parametrize("price", [None, 0])
async def test_a_vehicle_without_a_price_is_said_to_be_so(price: int | None, connect: Connect, world: World) -> None:
    def instead(request: httpx2.Request) -> Any:
        deal = {"terms": {"price": price, "total_cost_of_ownership": 1200}}
        return {"deals": {"cash": deal}} if request.url.path.endswith("/payments") else None

    async with connect(upstream=Answering(world, instead)) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    assert answer_of(result)["unpriced"] is True
    assert text_of(result).startswith(f"reserved, without a price: {SOME_VIN}")


async def test_a_price_that_cannot_be_read_is_not_told_as_missing(connect: Connect) -> None:
    deal = {"terms": {"price": "call us", "total_cost_of_ownership": 1200}}
    async with connect(upstream=FixedAnswer({"deals": {"cash": deal}})) as client:
        answer = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert "unpriced" not in answer
    assert "left_out" in answer


# Zero and absent


async def test_zero_is_said_as_zero_and_what_is_absent_is_left_out(connect: Connect, world: World) -> None:
    terms = {"security_deposit_due_at_signing": 0, "due_at_signing": 300.0, "trade_equity": 0, "customer_cash": 0}

    def instead(request: httpx2.Request) -> Any:
        return {"deals": {"lease": {"terms": terms}}} if request.url.path.endswith("/payments") else None

    async with connect(upstream=Answering(world, instead)) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN})
    assert answer_of(result)["lease"] == {
        "down_payment": 0,
        "due_at_signing": 300,
        "due_at_signing_parts": {"security_deposit": 0},
    }
    assert "Lease: down payment 0, due at signing 300, due at signing parts (security deposit 0)" in text_of(result)


async def test_the_documented_sample_is_read_as_it_is_meant(connect: Connect, world: World) -> None:
    """Its lease takes all of the cash that is due at signing, and its residual is 63 % of the MSRP, not the base."""
    sample = json.loads((SAMPLES / "payments.resp.json").read_text())
    arguments = {"deal_type": "lease", "customer_cash": 3500, "term_months": 36, "annual_miles": 12_000}
    arguments["detail"] = "full"
    upstream = Answering(world, lambda request: sample if request.url.path.endswith("/payments") else None)
    async with connect(upstream=upstream) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **arguments}))
    lease = quote["lease"]
    assert (lease["down_payment"], lease["due_at_signing"]) == (2975.64, 3500)
    assert lease["due_at_signing_parts"] == {"first_payment": 289.11, "fees": 235.25, "taxes": 0, "security_deposit": 0}
    assert lease["residual_percent"] == 63.0
    assert lease["total_cost"] == 13907.96
    assert not any("total_cost" in item for item in quote["disclosures"]["missing"]), "it is what is paid"
    assert (
        "lease: customer_cash also pays the other parts of what is due at signing, so 2,975.64 is the down payment"
        in quote["not_applied"]
    )


async def test_a_plan_given_twice_is_refused_before_anything_is_sent(connect: Connect, world: World) -> None:
    """Roadster charges it twice."""
    plans = [{"id": 6160}, {"id": 1614}, {"id": 6160, "tier": "7R"}]
    async with connect() as client:
        before = len(await world.requests())
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "plans": plans})
        assert len(await world.requests()) == before
    assert "plans.2.id: is that of plans.0. Nothing was sent" in text_of(result)


async def test_a_plan_that_a_deal_has_twice_names_the_deal_once(connect: Connect, world: World) -> None:
    plan = {"title": "Care", "price": 900}
    deals = {"cash": {"terms": {"price": 1}, "data": {"plans": [plan, plan]}}, "finance": {"terms": {"price": 1}}}
    upstream = Answering(world, lambda request: {"deals": deals} if request.url.path.endswith("/payments") else None)
    async with connect(upstream=upstream) as client:
        quote = answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN}))
    assert quote["plans"] == [{**plan, "deals": ["cash"]}]


async def test_a_quote_without_taxes_and_fees_says_so(connect: Connect) -> None:
    sentence = "Without taxes and fees, as asked."
    async with connect() as client:
        at = {**AT_UMAZDA, "vin": SOME_VIN}
        bare = answer_of(await client.call_tool("quote_payments", {**at, "no_taxes_or_fees": True}))
        whole = answer_of(await client.call_tool("quote_payments", at))
    assert sentence in bare["caveat"]
    assert sentence not in whole["caveat"]


@pytest.mark.parametrize(
    ("trade_in", "is_said"),
    [
        ({"ownership": "financed"}, True),
        ({"ownership": "leased"}, True),
        ({"ownership": "owned"}, False),
        ({"ownership": "financed", "payoff": 0}, False),
    ],
    ids=str,
)
async def test_a_trade_in_whose_debt_is_not_given_says_that_none_is_assumed(
    trade_in: dict[str, Any], is_said: bool, connect: Connect
) -> None:
    arguments = {**AT_UMAZDA, "vin": SOME_VIN, "trade_in": {"value": 9000, **trade_in}}
    async with connect() as client:
        quote = answer_of(await client.call_tool("quote_payments", arguments))
    assert ("trade_in.payoff: 0, nothing owed" in quote["assumed"]) is is_said
