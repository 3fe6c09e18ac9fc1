"""Every figure of 200 quotes, computed a second time from the rules that the sandbox documents.

Nothing is imported from the sandbox. Prices come from the feed, rates from the programs, and the rest stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of
from tests.tools.umazda import last_request

pytestmark = pytest.mark.anyio

QUOTES = 200
TERM_SETS = 50

DEALER_FEES = {"WA": ("200", "15", "5"), "CA": ("85", "30", "8.75")}
"""Dollars for papers, filing and tires."""
TAX_PERCENT = {"WA": "10.4", "CA": "8.25", "OR": "0", "TX": "6.25"}
REGISTRATION = {"WA": "98.50", "CA": "120.25", "OR": "126", "TX": "50.75"}
ZIP_CODES = {"98105": "WA", "93313": "CA", "97201": "OR", "75001": "TX"}
STATES = {"umazda": "WA", "hyundaidemo": "CA"}
LENDERS = {"umazda": "Mazda Financial Services", "hyundaidemo": "Hyundai Motor Finance"}
APR_OF_48_MONTHS = {"umazda": "4.49", "hyundaidemo": "3.99"}
MONEY_FACTOR = {"umazda": "0.00175", "hyundaidemo": "0.00150"}
TERM_POINTS = {24: "-0.50", 36: "-0.25", 48: "0", 60: "0.25", 72: "0.75"}
SCORE_POINTS = {720: ("0", "0"), 620: ("2.25", "0.00094"), 1: ("5.50", "0.00229")}
"""What a credit score adds to the APR and to the money factor."""
MILEAGE_POINTS = ((10_000, 1), (12_000, 0), (15_000, -2), (18_000, -4), (10**9, -6))
ACQUISITION_FEE = Decimal(650)
INCENTIVES = {"loyalty": 500, "military": 500, "first responders": 750}
PLANS = {
    (6160, "5R"): ("Vehicle Service Contract", 1849),
    (6160, "7R"): ("Vehicle Service Contract", 2470),
    (1614, "TM59"): ("Prepaid Maintenance", 695),
}


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def program_term(terms: list[int], term: int) -> int:
    """Returns the shortest term of a program that covers the term, or the longest."""
    return min((each for each in terms if each >= term), default=max(terms))


@dataclass(frozen=True)
class Case:
    """A vehicle as the feed has it, what the programs say of its model, and the arguments of the call."""

    dealer: str
    vehicle: Mapping[str, Any]
    rebate: int
    residual_of_36_months: int
    arguments: Mapping[str, Any]

    def terms_of(self, deal: str) -> Mapping[str, Any]:
        """Returns the arguments that count for a deal. Down payment and term count for the named deal only."""
        own = self.arguments.get("deal_type")
        return self.arguments if own in (None, deal) else {}

    @property
    def has_no_taxes(self) -> bool:
        return bool(self.arguments.get("no_taxes_or_fees"))

    @property
    def state(self) -> str:
        return ZIP_CODES.get(self.arguments.get("zip_code", ""), STATES[self.dealer])

    @property
    def tax_rate(self) -> Decimal:
        return Decimal(0) if self.has_no_taxes else Decimal(TAX_PERCENT[self.state]) / 100

    @property
    def fees(self) -> Decimal:
        fees = (*DEALER_FEES[STATES[self.dealer]], REGISTRATION[self.state])
        return Decimal(0) if self.has_no_taxes else sum(map(Decimal, fees), Decimal(0))

    @property
    def tier(self) -> int:
        return next(least for least in SCORE_POINTS if self.arguments.get("credit_score", 750) >= least)

    @property
    def all_rebates(self) -> Decimal:
        return Decimal(self.rebate + sum(INCENTIVES[name] for name in self.arguments.get("incentives", ())))

    @property
    def equity(self) -> Decimal:
        trade = self.arguments.get("trade_in", {})
        return Decimal(str(trade.get("value", 0))) - Decimal(str(trade.get("payoff", 0)))

    @property
    def value_given(self) -> Decimal:
        """The worth of the old car to the deal. A debt on it is paid in money."""
        return max(self.equity, Decimal(0))

    @property
    def plans(self) -> Decimal:
        return Decimal(sum(PLANS[plan["id"], plan["tier"]][1] for plan in self.arguments.get("plans", ())))

    @property
    def price(self) -> Decimal:
        return Decimal(self.vehicle["price"])

    @property
    def balance(self) -> Decimal:
        tax = cents(self.price * self.tax_rate)
        return self.price + self.plans + self.fees + tax - self.all_rebates - self.equity

    def common(self) -> dict[str, Any]:
        has_trade = "trade_in" in self.arguments
        return {
            "msrp": self.vehicle["msrp"],
            "price": self.price,
            "rebate": self.all_rebates,
            **({"trade_equity": self.equity} if has_trade else {}),
        }

    def cash(self) -> dict[str, Any]:
        return {
            **self.common(),
            "total_fees": self.fees,
            "sales_tax": cents(self.price * self.tax_rate),
            "due_at_signing": max(self.balance, Decimal(0)),
            "due_to_customer": max(-self.balance, Decimal(0)),
            "total_cost": self.balance + self.value_given,
        }

    def finance(self) -> dict[str, Any]:
        wishes = self.terms_of("finance")
        term = wishes.get("term_months", 60)
        to_pay = max(self.balance, Decimal(0))
        down = min(Decimal(str(wishes.get("customer_cash", 0))), to_pay)
        points = Decimal(TERM_POINTS[program_term([*TERM_POINTS], term)]) + Decimal(SCORE_POINTS[self.tier][0])
        apr = Decimal(APR_OF_48_MONTHS[self.dealer]) + points
        rate, amount = apr / 1200, to_pay - down
        payment = cents(amount * rate / (1 - (1 + rate) ** -term))
        interest = payment * term - amount
        return {
            **self.common(),
            "lender": LENDERS[self.dealer],
            "monthly_payment": payment,
            "term_months": term,
            "apr_percent": apr,
            "down_payment": down,
            "total_fees": self.fees,
            "sales_tax": cents(self.price * self.tax_rate),
            "due_at_signing": down,
            "due_to_customer": to_pay - self.balance,
            "total_financed": amount,
            "total_interest": interest,
            "total_cost": self.balance + self.value_given + interest,
            "program": f"(Standard APR Program) - Credit Score {self.tier}+ - {STATES[self.dealer]}",
            "program_expires": "2099-03-31",
        }

    def lease(self) -> dict[str, Any]:
        wishes = self.terms_of("lease")
        term, miles = wishes.get("term_months", 36), self.arguments.get("annual_miles", 12_000)
        msrp = Decimal(self.vehicle["msrp"])
        base = self.residual_of_36_months + {24: 7, 36: 0, 48: -9}[program_term([24, 36, 48], term)]
        points = next(points for most, points in MILEAGE_POINTS if miles <= most)
        residual = cents(msrp * base / 100) + cents(msrp * points / 100)
        fee = Decimal(0) if self.has_no_taxes else ACQUISITION_FEE
        above = self.price + self.plans + fee - self.all_rebates - self.equity - residual
        to_pay = max(above, Decimal(0))
        down = min(Decimal(str(wishes.get("customer_cash", 0))), to_pay)
        cap_cost = residual + to_pay - down
        factor = Decimal(MONEY_FACTOR[self.dealer]) + Decimal(SCORE_POINTS[self.tier][1])
        rent = cents((cap_cost - residual) / term + (cap_cost + residual) * factor)
        tax = cents(rent * self.tax_rate)
        return {
            **self.common(),
            "lender": LENDERS[self.dealer],
            "monthly_payment": rent + tax,
            "monthly_tax": tax,
            "term_months": term,
            "annual_miles": miles,
            "money_factor": factor,
            "rate_percent": factor * 2400,
            "down_payment": down,
            "due_at_signing": down + self.fees + rent + tax,
            "due_at_signing_parts": {
                "first_payment": rent + tax,
                "fees": self.fees,
                "taxes": 0,
                "security_deposit": 0,
            },
            "due_to_customer": to_pay - above,
            "acquisition_fee": fee,
            "cap_cost": cap_cost,
            "residual_value": residual,
            "residual_percent": base + points,
            "overage_per_mile": Decimal("0.15"),
            "total_cost": down + self.fees + (rent + tax) * term + self.value_given - (to_pay - above),
            "program": f"(Standard Lease Program) - {STATES[self.dealer]}",
            "program_expires": "2099-03-31",
        }


def random_terms(random: Random) -> dict[str, Any]:
    """Returns at least one term, some of which no deal takes whole."""
    choices: dict[str, Any] = {
        "term_months": random.choice([12, 24, 30, 36, 39, 48, 60, 72, 84]),
        "customer_cash": random.choice([0, 500, 2000, 3499.5, 8000, 30_000, 90_000]),
        "annual_miles": random.choice([5000, 10_000, 12_000, 12_500, 15_000, 18_000, 30_000]),
    }
    names = random.sample([*choices], random.randint(1, 3))
    return {name: choices[name] for name in names}


def random_arguments(random: Random) -> dict[str, Any]:
    arguments = random_terms(random) if random.random() < 0.8 else {}
    others: dict[str, Any] = {
        "deal_type": random.choice(["cash", "finance", "lease"]),
        "no_taxes_or_fees": True,
        "credit_score": random.choice([550, 619, 620, 700, 719, 720, 850]),
        "zip_code": random.choice([*ZIP_CODES]),
        "incentives": random.sample([*INCENTIVES], random.randint(1, 3)),
        "trade_in": {
            "value": random.choice([0, 3000, 9000.25, 60_000]),
            "payoff": random.choice([0, 4500.5, 9000]),
        },
        "plans": [{"id": plan, "tier": tier} for plan, tier in random.sample([*PLANS], random.randint(1, 2))],
    }
    if len({plan["id"] for plan in others["plans"]}) < len(others["plans"]):
        others["plans"].pop()
    names = [name for name in others if random.random() < 0.3]
    return arguments | {name: others[name] for name in names}


def merge_deal(answer: Mapping[str, Any], deal: str) -> dict[str, Any]:
    """Returns a deal with what stands beside the deals, because all of them have it alike."""
    names = ["msrp", "price", "rebate", "trade_equity", *(["lender"] if deal != "cash" else [])]
    merged = {name: answer[name] for name in names if name in answer} | answer[deal]
    if deal != "cash" and "expires" in answer:
        merged["program_expires"] = answer["expires"]
    return {"due_to_customer": 0} | merged


async def make_cases(connect: Connect, world: World, count: int, random: Random) -> list[Case]:
    """Returns cases of vehicles of two dealers. Rebate and residual are those of the programs of their models."""
    cases: list[Case] = []
    async with connect() as client:
        for dealer in STATES:
            page = answer_of(await client.call_tool("list_inventory", {"dealer": dealer, "limit": 100}))
            models: dict[tuple[str, int], tuple[int, int]] = {}
            for vehicle in random.choices(page["vehicles"], k=count // len(STATES)):
                key = (vehicle["model"], vehicle["year"])
                if key not in models:
                    full = {"dealer": dealer, "vin": vehicle["vin"], "detail": "full"}
                    details = answer_of(await client.call_tool("quote_payments", full))["details"]
                    residuals = [row for row in details["lease_programs"] if row["term_months"] == 36]
                    rebates = sum(row["amount"] for row in details["rebates"])
                    models[key] = rebates, residuals[0]["residual_percent"]
                cases.append(Case(dealer, vehicle, *models[key], random_arguments(random)))
    return cases


async def test_every_figure_of_200_quotes_is_what_the_rules_say(connect: Connect, world: World) -> None:
    cases = await make_cases(connect, world, QUOTES, Random(18))
    assert len(cases) == QUOTES
    async with connect() as client:
        for number, case in enumerate(cases):
            detail = ("brief", "full")[number % 2]
            arguments = {"dealer": case.dealer, "vin": case.vehicle["vin"], **case.arguments, "detail": detail}
            answer = answer_of(await client.call_tool("quote_payments", arguments))
            for deal, expected in (("cash", case.cash()), ("finance", case.finance()), ("lease", case.lease())):
                if detail == "brief":
                    expected.pop("residual_percent", None)
                figures = merge_deal(answer, deal)
                assert figures.keys() == expected.keys(), (deal, arguments)
                for name, value in expected.items():
                    wanted = value if isinstance(value, str) else approx(value)
                    assert figures[name] == wanted, (deal, name, arguments)
            plans = [(row["title"], row["tier"], row["price"]) for row in answer.get("plans", ())]
            chosen = [(plan["id"], plan["tier"]) for plan in case.arguments.get("plans", ())]
            assert plans == [(PLANS[plan][0], plan[1], PLANS[plan][1]) for plan in chosen]
            rebates = {row["name"]: row["amount"] for row in answer.get("rebates", ())}
            own = {name: INCENTIVES[name] for name in case.arguments.get("incentives", ())}
            assert rebates == own | ({"Manufacturer Rebate": case.rebate} if case.rebate else {})


def approx(value: Any) -> Any:
    return (
        {name: approx(each) for name, each in value.items()}
        if isinstance(value, dict)
        else pytest.approx(float(value), abs=0.00001)
    )


async def test_three_deals_carry_the_same_terms_or_say_why_not(connect: Connect, world: World) -> None:
    random = Random(1013)
    cases = await make_cases(connect, world, TERM_SETS, random)
    names = {"customer_cash": "down_payment", "term_months": "term_months", "annual_miles": "annual_miles"}
    async with connect() as client:
        for case in cases:
            terms = random_terms(random)
            arguments = {"dealer": case.dealer, "vin": case.vehicle["vin"], **terms}
            answer = answer_of(await client.call_tool("quote_payments", arguments))
            for deal in ("cash", "finance", "lease"):
                for argument, value in terms.items():
                    sentences = [text for text in answer.get("not_applied", ()) if text.startswith(f"{deal}: ")]
                    is_told = any(argument in text for text in sentences)
                    if (deal, argument, value) == ("cash", "customer_cash", 0):
                        assert not is_told, arguments  # it carries none
                        continue
                    assert answer[deal].get(names[argument]) == value or is_told, (deal, argument, arguments)
    assert (await last_request(world, "quote_payments"))["body"]["payment"].keys() >= {"deal_type"}
