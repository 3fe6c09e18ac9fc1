"""The amounts of a quote, calculated a second time."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest

from roadster_sandbox import DEALERS, EmbeddedSandbox
from roadster_sandbox.world.taxes import _RANGES, TAX_RATES, state_of

from .conftest import (
    first_vin,
    get,
    post,
    read_stock,
)

pytestmark = pytest.mark.anyio


def cents(amount: Decimal) -> float:
    return float(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


@pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
async def test_finance_amortises_at_the_rate_of_the_program(http, dealer):
    """Recalculates every payment, the amount financed and the interest from the price in the feed."""
    for vehicle in (await read_stock(http, dealer.dpid))[::40]:
        body = {"dealer": {"dpid": dealer.dpid}, "vehicle": {"vin": vehicle["vin"]}}
        payment = {"deal_type": "finance", "customer_cash": 2500.5, "term": 48}
        trade = {"value": 9000, "payoff": 4000}
        quote = await post(http, "/payments", **body, customer={"credit_score": 650}, payment=payment, trade_in=trade)
        terms = quote["deals"]["finance"]["terms"]
        percent = next(
            p["interest_rate"] for p in quote["programs"]["finance"] if (p["term"], p["min_score"]) == (48, 620)
        )
        tax = round(vehicle["price"] * terms["combined_tax_rate"] + 1e-9, 2)
        fees = sum(terms["fees"].values())
        amount = vehicle["price"] + tax + fees - quote["programs"]["cash"]["rebate"] - 5000 - 2500.5
        assert terms["sales_tax"] == pytest.approx(tax)
        assert terms["total_financed"] == pytest.approx(amount)
        rate = percent / 1200
        monthly = amount * rate / (1 - (1 + rate) ** -48)
        assert terms["monthly_payment"] == pytest.approx(monthly, abs=0.0051)
        assert terms["total_interest"] == pytest.approx(terms["monthly_payment"] * 48 - amount)
        assert terms["customer_cash"] == 2500.5


@pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
async def test_lease_pays_depreciation_rent_and_use_tax(http, dealer):
    """Recalculates the payment from cap cost, residual and money factor."""
    for vehicle in (await read_stock(http, dealer.dpid))[::40]:
        body = {"dealer": {"dpid": dealer.dpid}, "customer": {}, "vehicle": {"vin": vehicle["vin"]}}
        payment = {"deal_type": "lease", "customer_cash": 1500, "term": 24, "annual_mileage": 15000}
        quote = await post(http, "/payments", **body, payment=payment)
        terms = quote["deals"]["lease"]["terms"]
        program = next(p for p in quote["programs"]["lease"] if (p["term"], p["min_score"]) == (24, 720))
        msrp, factor = Decimal(vehicle["msrp"]), Decimal(str(program["money_factor"])) / 1000
        residual = Decimal(cents(msrp * program["base_residual"] / 100)) + Decimal(cents(-msrp / 50))
        cap = Decimal(vehicle["price"] + 650 - 1500 - quote["programs"]["cash"]["rebate"])
        base = cents((cap - residual) / 24 + (cap + residual) * factor)
        assert terms["cap_cost"] == float(cap)
        assert terms["residual_value"] == pytest.approx(float(residual))
        assert terms["base_payment"] == base
        tax = cents(Decimal(str(base)) * Decimal(str(terms["combined_tax_rate"])))
        assert terms["monthly_payment"] == pytest.approx(base + tax)
        assert terms["due_at_signing"] == pytest.approx(1500 + terms["total_fees_due_at_signing"] + base + tax)


ZIP_CODES = {"WA": "98052", "CA": 94113, "OR": "97201", "MA": 2134, "VT": "05401", "TX": "73301", "NY": "10001"}
"""A number has lost its leading zero, as in the reference's sample."""
NO_STATES = ("00000", "09012", "96913", "abcde", "")


@pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
async def test_taxes_and_registration_are_those_of_the_customers_state(http, dealer):
    """The other fees stay the dealer's. Without a zip code of a state, all are the dealer's."""
    body = {"dealer": {"dpid": dealer.dpid}, "vehicle": {"vin": await first_vin(http, dealer.dpid)}}

    async def read_terms(**customer):
        deals = (await post(http, "/payments", **body, customer=customer))["deals"]
        return [deals[name]["terms"] for name in ("cash", "finance", "lease")]

    at_dealer = await read_terms()
    for state, zip_code in ZIP_CODES.items():
        for terms, dealers in zip(await read_terms(zip_code=zip_code), at_dealer, strict=True):
            rates = TAX_RATES[state]
            assert terms["combined_tax_rate"] == float(rates.combined_rate)
            assert terms["fees"] == {**dealers["fees"], "license": float(rates.registration)}
            assert (terms["total_cost"] == dealers["total_cost"]) is (state == dealer.state)
    for zip_code in NO_STATES:
        assert await read_terms(zip_code=zip_code) == at_dealer


def test_each_state_has_zip_codes_and_no_zip_code_two_states():
    starts = [f"{number:03}00" for number in range(1000)]
    assert {state_of(start) for start in starts} - {None} == TAX_RATES.keys()
    assert [start for start in starts if sum(first <= start[:3] <= last for first, last, _ in _RANGES) > 1] == []
    for dealer in DEALERS:
        assert state_of(str(dealer.zip_code)) == dealer.state


@pytest.mark.parametrize("zip_code", [None, "97201", "10001"])
@pytest.mark.parametrize("no_taxes_or_fees", [False, True])
@pytest.mark.parametrize(("value", "payoff"), [(0, 0), (9000, 0), (3000, 8000), (500_000, 0)])
async def test_total_cost_of_each_deal_is_the_sum_of_its_parts(http, zip_code, no_taxes_or_fees, value, payoff):
    """The customer pays at signing, later, and with their old car. A debt on that car is paid, and is no discount."""
    for deal_type in ("cash", "finance", "lease"):
        for down in (0, 2500.5, 10_000_000):
            quote = await post(
                http,
                "/payments",
                customer={"zip_code": zip_code, "incentives": ["loyalty"]},
                vehicle={"vin": await first_vin(http)},
                trade_in={"value": value, "payoff": payoff},
                payment={"deal_type": deal_type, "customer_cash": down, "no_taxes_or_fees": no_taxes_or_fees},
                plans=[{"id": 6160, "code": "RBX301", "tier": "5R"}],
            )
            for name, deal in quote["deals"].items():
                terms = deal["terms"]
                later = {"cash": 0, "finance": terms.get("term", 0), "lease": terms.get("term", 0) - 1}[name]
                paid = terms["due_at_signing"] + later * terms.get("monthly_payment", 0)
                parts = paid + max(terms["trade_equity"], 0) - terms["due_to_customer_at_signing"]
                assert terms["total_cost"] == pytest.approx(parts, abs=0.001), name
                assert min(terms["due_at_signing"], terms["due_to_customer_at_signing"]) >= 0


async def test_a_trade_in_makes_no_deal_cheaper_than_the_others(http):
    """It is a way to pay. It used to lower the total cost of the lease, and of no other deal."""
    order = {"customer": {}, "vehicle": {"vin": await first_vin(http)}}
    without = (await post(http, "/payments", **order))["deals"]
    traded = (await post(http, "/payments", **order, trade_in={"value": 5000}))["deals"]
    costs = [traded[name]["terms"]["total_cost"] - without[name]["terms"]["total_cost"] for name in traded]
    assert costs[0] == 0
    assert all(-1000 < change < 0 for change in costs[1:])  # less interest and less rent, and nothing else


async def test_no_program_has_expired_before_an_event(http):
    """The sandbox has no clock, so they outlast any event and the day of the test."""
    quote = await post(http, "/payments", customer={}, vehicle={"vin": await first_vin(http)})
    programs = quote["programs"]
    rows = [*programs["finance"], *programs["lease"], *programs["cash"]["incentives"], *programs["cash"]["rebates"]]
    expiries = {datetime.fromisoformat(each["expires_at"]) for each in rows}
    event = EmbeddedSandbox().make_event()
    assert min(expiries) > max(datetime.now(UTC), datetime.fromisoformat(event["event_time"]))


async def test_cash_adds_fees_and_tax_and_subtracts_the_rebate(http):
    """Incentives are part of the rebate, a negative equity is added, and a plan is not taxed."""
    vehicle = next(v for v in await read_stock(http) if v["model"] == "CX-5")
    order = {
        "customer": {"incentives": ["loyalty", "unheard of"]},
        "vehicle": {"vin": vehicle["vin"]},
        "trade_in": {"value": 3000, "payoff": 4500.25},
        "plans": [{"id": 6160, "code": "RBX301", "tier": "5R"}],
    }
    terms = (await post(http, "/payments", **order))["deals"]["cash"]["terms"]
    assert terms["rebate"] == 1500
    assert terms["trade_equity"] == -1500.25
    assert terms["total_plans"] == 1849
    assert terms["sales_tax"] == pytest.approx(vehicle["price"] * 0.104, abs=0.0051)
    assert terms["primary_tax"] + terms["secondary_tax"] + terms["local_tax"] == pytest.approx(terms["sales_tax"])
    due = vehicle["price"] + 1849 + terms["total_fees"] + terms["sales_tax"] - 1500 + 1500.25
    assert terms["due_at_signing"] == pytest.approx(due)


async def test_no_taxes_or_fees_leaves_the_price(http):
    """It applies to all three deals."""
    vehicle = next(v for v in await read_stock(http) if v["model"] == "MX-5 Miata")
    order = {"customer": {}, "vehicle": {"vin": vehicle["vin"]}, "payment": {"no_taxes_or_fees": True}}
    deals = (await post(http, "/payments", **order))["deals"]
    assert deals["cash"]["terms"]["due_at_signing"] == vehicle["price"]
    assert deals["finance"]["terms"]["total_financed"] == vehicle["price"]
    assert deals["lease"]["terms"]["cap_cost"] == vehicle["price"]
    assert deals["lease"]["terms"]["monthly_payment"] == deals["lease"]["terms"]["base_payment"]


async def test_terms_apply_only_to_their_deal_type(http):
    """The other deal keeps its defaults: 60 months of finance, 36 of lease, no down payment."""
    order = {"customer": {}, "vehicle": {"vin": await first_vin(http)}}
    payment = {"deal_type": "lease", "term": 24, "customer_cash": 1000}
    deals = (await post(http, "/payments", **order, payment=payment))["deals"]
    assert (deals["lease"]["terms"]["term"], deals["lease"]["terms"]["customer_cash"]) == (24, 1000)
    assert (deals["finance"]["terms"]["term"], deals["finance"]["terms"]["customer_cash"]) == (60, 0)
    deals = (await post(http, "/payments", **order, payment={"deal_type": "cash", "term": 24}))["deals"]
    assert (deals["lease"]["terms"]["term"], deals["finance"]["terms"]["term"]) == (36, 60)


async def test_down_payment_is_at_most_the_amount_to_pay(http):
    """A down payment of ten million finances nothing, and no amount becomes negative."""
    order = {"customer": {}, "vehicle": {"vin": await first_vin(http)}}
    payment = {"deal_type": "finance", "customer_cash": 10_000_000}
    terms = (await post(http, "/payments", **order, payment=payment))["deals"]["finance"]["terms"]
    assert terms["total_financed"] == terms["monthly_payment"] == terms["total_interest"] == 0
    assert terms["customer_cash"] == terms["maximum_customer_cash"]


@pytest.mark.parametrize("dealer", DEALERS, ids=lambda dealer: dealer.dpid)
async def test_fees_of_a_dealer_are_those_of_its_quotes(http, dealer):
    """The acquisition fee is that of the lease."""
    fees = (await get(http, f"/dealers/{dealer.dpid}"))["configuration"]["fees"]
    body = {"dealer": {"dpid": dealer.dpid}, "customer": {}, "vehicle": {"vin": await first_vin(http, dealer.dpid)}}
    fees_of_quote = (await post(http, "/payments", **body))["deals"]["lease"]["terms"]["fees"]
    assert fees == {
        "doc_fee": fees_of_quote["doc"],
        "filing_fee": fees_of_quote["filing"],
        "handling_fee": fees_of_quote["handling"],
        "lease_acquisition_fee": fees_of_quote["acquisition"],
    }


async def test_plan_costs_the_same_in_catalogue_and_quote(http):
    """Tries each tier of each plan in each deal, by the ids and codes of the catalogue."""
    vin = await first_vin(http)
    terms = {"deal_rate": 4.9, "deal_term": 60, "amount_financed": 30_000}
    for deal_type in ("cash", "finance", "lease"):
        query = {"dealer[partner_id]": "51101", "vin": vin, "deal_type": deal_type, **terms}
        for plan in (await get(http, "/plans", **query))["plans"]:
            for tier in plan["tiers"]:
                plan_choice = {"id": plan["id"], "code": plan["code"], "tier": tier["code"]}
                quote = await post(http, "/payments", customer={}, vehicle={"vin": vin}, plans=[plan_choice])
                assert quote["deals"][deal_type]["terms"]["total_plans"] == tier["offer"]


@pytest.mark.parametrize("missing", ["deal_rate", "deal_term", "amount_financed"])
async def test_plans_for_finance_and_lease_need_all_terms(http, missing):
    """The reference demands them. Cash needs none."""
    terms = {"deal_rate": 4.9, "deal_term": 60, "amount_financed": 30_000}
    rest = {name: value for name, value in terms.items() if name != missing}
    query = {"dealer[partner_id]": "51101", "vin": await first_vin(http), **rest}
    for deal_type in ("finance", "lease"):
        answer = await http.get("/v1/plans", params={**query, "deal_type": deal_type})
        assert (answer.status_code, answer.json()["error"]) == (400, f"Missing {missing.replace('_', ' ')}")
