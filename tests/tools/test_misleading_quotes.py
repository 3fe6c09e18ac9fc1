"""Answers of an upstream that would make a quote mislead: wishes that it ignored, and figures that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import httpx2
import pytest
from mcp_types import CallToolResult

from roadster_client.json_text import parse_lenient_json
from roadster_sandbox import SandboxTransport
from tests.conftest import Connect, World, answer_of, response, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.test_payments import deal_of
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

DEALS = ("cash", "finance", "lease")
Change = Callable[[dict[str, Any]], None]


class ChangedQuotes(httpx2.AsyncBaseTransport):
    """The sandbox, whose quotes are changed before they are sent."""

    def __init__(self, world: World, change: Change) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.change = change

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        document = parse_lenient_json(b"".join([part async for part in answer.aiter_raw()]))
        if isinstance(document, dict) and "deals" in document:
            self.change(document)
        return response(document, answer.status_code)


@pytest.fixture
def quote_from(connect: Connect, world: World) -> Callable[..., Any]:
    """Returns a function that quotes a car, at an upstream with changed quotes, with the given arguments."""

    async def quote(change: Change, **wishes: Any) -> CallToolResult:
        async with connect(upstream=ChangedQuotes(world, change)) as client:
            return await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **wishes})

    return quote


def set_terms(*deals: str, **terms: Any) -> Change:
    """Returns a change of these terms of the deals. A term that is None is not sent."""

    def change(document: dict[str, Any]) -> None:
        for deal in deals:
            own = document["deals"][deal]["terms"]
            own |= terms
            for name in [name for name in terms if terms[name] is None]:
                del own[name]

    return change


def reasons(result: CallToolResult, argument: str) -> dict[str, str]:
    """Returns what `not_applied` says of an argument, by deal."""
    sentences: dict[str, str] = {}
    for text in answer_of(result).get("not_applied", ()):
        deals, _, reason = text.partition(": ")
        if argument in reason:
            sentences |= dict.fromkeys(deals.split(", "), reason)
    return sentences


# Trade-ins

TRADE_IN = {"value": 12_000, "payoff": 2_000}


@pytest.mark.parametrize("without", [[*DEALS], ["cash"], ["finance", "lease"]], ids=str)
@pytest.mark.parametrize("equity", [0, 12_000, None])
async def test_a_trade_in_that_roadster_ignored_is_told_of_each_deal(
    without: list[str], equity: float | None, quote_from: Callable[..., Any]
) -> None:
    """Whether it ignored the whole car or what is owed on it."""

    def ignore(document: dict[str, Any]) -> None:
        set_terms(*without, trade_equity=equity)(document)
        if not equity:
            for deal in without:
                document["deals"][deal]["data"] |= {"trade": None}

    result = await quote_from(ignore, trade_in=TRADE_IN)
    reason = "not confirmed by Roadster" if equity is None else f"computed with an equity of {equity:,}"
    assert reasons(result, "trade_in") == dict.fromkeys(without, f"trade_in {reason}")


@pytest.mark.parametrize("trade_in", [TRADE_IN, {"value": 9000.25}, {"value": 3000, "payoff": 4500.5}], ids=str)
async def test_a_trade_in_that_is_in_the_deals_is_not_told(
    trade_in: dict[str, float], quote_from: Callable[..., Any]
) -> None:
    result = await quote_from(lambda document: None, trade_in=trade_in)
    assert reasons(result, "trade_in") == {}


async def test_a_trade_in_without_equity_is_confirmed_by_the_car_in_the_deal(quote_from: Callable[..., Any]) -> None:
    """An equity of zero is also what a deal without a trade-in has."""

    def ignore(document: dict[str, Any]) -> None:
        document["deals"]["cash"]["data"]["trade"] = None

    trade_in = {"value": 5000, "payoff": 5000}
    assert reasons(await quote_from(lambda document: None, trade_in=trade_in), "trade_in") == {}
    result = await quote_from(ignore, trade_in=trade_in)
    assert reasons(result, "trade_in") == {"cash": "trade_in not confirmed by Roadster"}


# Incentives

INCENTIVES = {"loyalty": 500, "military": 500, "first responders": 750}


@pytest.mark.parametrize("without", [[*DEALS], ["lease"]], ids=str)
async def test_incentives_that_are_not_all_in_the_rebate_are_told(
    without: list[str], connect: Connect, world: World
) -> None:
    """For every choice of incentives, and every part of it that Roadster ignored."""
    upstream = ChangedQuotes(world, lambda document: None)
    choices = [[*names] for size in (1, 2, 3) for names in combinations(INCENTIVES, size)]
    async with connect(upstream=upstream) as client:
        for names in choices:
            for ignored in {0, *(sum(INCENTIVES[name] for name in part) for part in _parts(names))}:
                upstream.change = _less_rebate(without, ignored)
                wishes = {**AT_UMAZDA, "vin": SOME_VIN, "incentives": names}
                result = await client.call_tool("quote_payments", wishes)
                sentences = reasons(result, "incentives")
                assert [*sentences] == (without if ignored else []), (names, ignored)
                texts = [text for text in answer_of(result).get("not_applied", ()) if "incentives" in text]
                assert len(texts) == (len(names) if ignored else 0), (names, ignored)


def _parts(names: list[str]) -> list[tuple[str, ...]]:
    return [part for size in range(1, len(names) + 1) for part in combinations(names, size)]


def _less_rebate(deals: list[str], amount: float) -> Change:
    def change(document: dict[str, Any]) -> None:
        for deal in deals:
            document["deals"][deal]["terms"]["rebate"] -= amount

    return change


async def test_an_incentive_in_a_deal_that_says_no_rebate_is_not_confirmed(quote_from: Callable[..., Any]) -> None:
    nothing = set_terms("cash", rebate=None, total_bonus=None, total_coupon=None)
    sentences = reasons(await quote_from(nothing, incentives=["loyalty"]), "incentives")
    assert [*sentences] == ["cash"]
    assert sentences["cash"].endswith("not confirmed by Roadster")


async def test_a_full_answer_has_the_incentives_of_each_deals_programs(connect: Connect, world: World) -> None:
    """Although Roadster refuses one deal. A row that is not of all deals names those that have it."""
    own = {"name": "lease loyalty", "display_name": "Lease Loyalty", "cash": 400}

    def add(document: dict[str, Any]) -> None:
        for program in document["programs"].get("lease", ()):
            program["incentives"].append(own)

    at = {**AT_UMAZDA, "vin": SOME_VIN, "detail": "full"}
    async with connect(upstream=ChangedQuotes(world, add)) as client:
        result = await client.call_tool("quote_payments", at)
        whole = answer_of(result)["details"]
    assert "lease loyalty | Lease Loyalty | 400 | - | lease" in text_of(result)
    changed = ChangedQuotes(world, add)
    async with connect(upstream=CashRefused(changed)) as client:
        part = answer_of(await client.call_tool("quote_payments", {**at, "term_months": 36}))
    assert part["unread"] == ["cash"]
    for details in (whole, part["details"]):
        names = [row["name"] for row in details["incentives"]]
        assert names == [*(row["name"] for row in whole["incentives"][:-1]), "lease loyalty"]
        assert details["incentives"][-1] == {
            "name": "lease loyalty",
            "title": "Lease Loyalty",
            "amount": 400,
            "deals": ["lease"],
        }
        assert not any("deals" in row for row in [*details["incentives"][:-1], *details["rebates"]])
        assert details["rebates"] == whole["rebates"] != []


class CashRefused(httpx2.AsyncBaseTransport):
    """An upstream that refuses each request for the cash deal."""

    def __init__(self, upstream: ChangedQuotes) -> None:
        self._upstream = upstream

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if deal_of(request) == "cash":
            return response({"status": "error", "error": "Invalid request"}, 400)
        return await self._upstream.handle_async_request(request)


# Taxes and fees

TAXES_AND_FEES = {
    "cash": ["total_fees", "sales_tax", "tax_surcharge"],
    "finance": ["total_fees", "sales_tax", "tax_surcharge", "stamp_tax"],
    "lease": [
        *("total_fees_due_at_signing", "total_fees_capitalized", "monthly_tax", "tax_due_at_signing"),
        *("total_tax_capitalized", "tax_surcharge"),
    ],
}


@pytest.mark.parametrize(
    ("amount", "reason"), [(777, "has no effect: it has taxes or fees"), (None, "not confirmed by Roadster")]
)
@pytest.mark.parametrize("deal", DEALS)
async def test_taxes_and_fees_are_out_only_where_roadster_says_that_they_are(
    deal: str, amount: float | None, reason: str, connect: Connect, world: World
) -> None:
    upstream = ChangedQuotes(world, lambda document: None)
    async with connect(upstream=upstream) as client:
        for term in TAXES_AND_FEES[deal]:
            upstream.change = set_terms(deal, **{term: amount})
            result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "no_taxes_or_fees": True})
            assert reasons(result, "no_taxes_or_fees") == {deal: f"no_taxes_or_fees {reason}"}, term


async def test_taxes_and_fees_that_are_out_are_not_told(quote_from: Callable[..., Any]) -> None:
    result = await quote_from(lambda document: None, no_taxes_or_fees=True)
    assert reasons(result, "no_taxes_or_fees") == {}


# Disclosures


async def test_a_missing_item_that_is_one_deals_names_it_behind(quote_from: Callable[..., Any]) -> None:
    """Its deal counts for no other item of the list."""
    result = await quote_from(set_terms("finance", monthly_payment=None))
    missing = answer_of(result)["disclosures"]["missing"]
    assert missing == ["monthly_payment (finance)", "rate_changes", "end_of_lease_charge"]


# Figures that cannot be

IMPOSSIBLE = {
    "finance": [
        ("interest_rate", 4.74, "apr_percent"),  # the unit of the programs
        ("interest_rate", 0.9, "apr_percent"),
        ("interest_rate", -0.01, "apr_percent"),
        ("monthly_payment", -20, "monthly_payment"),
        ("term", 0, "term_months"),
        ("term", 3600, "term_months"),
        ("price", -1, "price"),
        ("customer_cash", -500, "down_payment"),
        ("total_financed", -1, "total_financed"),
    ],
    "lease": [
        ("money_factor", 1.75, "money_factor"),
        ("money_factor", 1.75, "rate_percent"),
        ("monthly_payment", -20, "monthly_payment"),
        ("annual_mileage", -1, "annual_miles"),
        ("residual_value", -1, "residual_value"),
        ("security_deposit_due_at_signing", -5, "security_deposit"),
    ],
}

OF_THE_LAW = ("monthly_payment", "term_months", "apr_percent", "security_deposit")


@pytest.mark.parametrize("deal", IMPOSSIBLE)
async def test_a_figure_that_cannot_be_is_left_out_and_named(deal: str, connect: Connect, world: World) -> None:
    """The disclosures name it as missing, and the rest of the deal is shown."""
    upstream = ChangedQuotes(world, lambda document: None)
    async with connect(upstream=upstream) as client:
        for term, value, name in IMPOSSIBLE[deal]:
            upstream.change = set_terms(deal, **{term: value})
            result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, "detail": "full"})
            answer = answer_of(result)
            figures = {**answer[deal], **answer[deal].get("due_at_signing_parts", {})}
            assert name not in figures, (term, value)
            assert figures["total_cost"]
            assert answer["left_out"]["paths"] == [f"deals.{deal}.terms.{term}"]
            if name in OF_THE_LAW:
                assert {name, f"{name} ({deal})"} & {*answer["disclosures"]["missing"]}, (term, value)


@pytest.mark.parametrize(
    ("programs", "rate", "name"),
    [("finance", "interest_rate", "apr_percent"), ("lease", "money_factor", "money_factor")],
)
async def test_a_programs_rate_that_cannot_be_is_left_out(
    programs: str, rate: str, name: str, quote_from: Callable[..., Any]
) -> None:
    def change(document: dict[str, Any]) -> None:
        document["programs"][programs][0][rate] = 619.0

    answer = answer_of(await quote_from(change, detail="full"))
    rows = answer["details"][f"{programs}_programs"]
    assert [name in row for row in rows] == [False, *[True] * (len(rows) - 1)]
    assert answer["left_out"]["paths"] == [f"programs.{programs}.*.{rate}"]


@pytest.mark.parametrize("rate", [0.000449, 0.449], ids=["a hundredth", "a hundredfold"])
async def test_a_rate_that_looks_like_another_unit_is_doubted_and_not_corrected(
    rate: float, quote_from: Callable[..., Any]
) -> None:
    """No disclosure says it. Another deal has nothing to do with it."""
    answer = answer_of(await quote_from(set_terms("finance", interest_rate=rate)))
    finance = answer["finance"]
    assert finance["apr_percent"] == pytest.approx(rate * 100)
    assert "another unit" in finance["doubts"]["apr_percent"]
    assert "apr_percent" in answer["disclosures"]["missing"]
    assert "doubts" not in answer["lease"]


@pytest.mark.parametrize("rate", [0, 0.002, 0.009, 0.249])
async def test_a_rate_of_a_lender_is_not_doubted(rate: float, quote_from: Callable[..., Any]) -> None:
    answer = answer_of(await quote_from(set_terms("finance", interest_rate=rate)))
    assert "doubts" not in answer["finance"]
    assert "apr_percent" in answer["disclosures"]["say"]


async def test_a_factor_that_looks_like_another_unit_is_doubted(quote_from: Callable[..., Any]) -> None:
    answer = answer_of(await quote_from(set_terms("lease", money_factor=0.00000175)))
    assert "another unit" in answer["lease"]["doubts"]["rate_percent"]


async def test_a_programs_rate_that_looks_like_another_unit_is_told(quote_from: Callable[..., Any]) -> None:
    def change(document: dict[str, Any]) -> None:
        document["programs"]["finance"][0]["interest_rate"] = 0.0449

    answer = answer_of(await quote_from(change, detail="full"))
    assert answer["details"]["finance_programs"][0]["apr_percent"] == 0.0449
    assert "An apr_percent of finance_programs may be in another unit" in answer["hint"]


# Figures beside the deals

SHARED = {
    "msrp": ("msrp", DEALS),
    "price": ("price", DEALS),
    "rebate": ("rebate", DEALS),
    "trade_equity": ("trade_equity", DEALS),
    "lender_name": ("lender", DEALS[1:]),
}


@pytest.mark.parametrize("term", SHARED)
async def test_a_figure_stands_beside_the_deals_only_if_each_of_them_has_it(
    term: str, connect: Connect, world: World
) -> None:
    name, deals = SHARED[term]
    upstream = ChangedQuotes(world, lambda document: None)
    async with connect(upstream=upstream) as client:
        at = {**AT_UMAZDA, "vin": SOME_VIN, "trade_in": TRADE_IN}
        answer = answer_of(await client.call_tool("quote_payments", at))
        assert name in answer
        assert not any(name in answer[deal] for deal in DEALS)
        for without in deals:
            upstream.change = set_terms(without, **{term: None})
            result = await client.call_tool("quote_payments", at)
            answer = answer_of(result)
            assert name not in answer
            assert [deal for deal in DEALS if name in answer[deal]] == [deal for deal in deals if deal != without]
            assert not any(name.replace("_", " ") in line for line in _heads(text_of(result)))


async def test_the_text_names_the_deals_that_have_what_stands_beside_them(quote_from: Callable[..., Any]) -> None:
    """Cash has no lender, and the terms of a deal that was not read are not known."""

    def refuse_lease(document: dict[str, Any]) -> None:
        document["deals"]["lease"] = "odd"

    whole, part = [text_of(await quote_from(change)) for change in (lambda document: None, refuse_lease)]
    assert [line.partition(":")[0] for line in _heads(whole)] == ["All deals", "Finance and lease"]
    assert "Finance and lease: lender Mazda Financial Services" in whole
    assert [line.partition(":")[0] for line in _heads(part)] == ["Cash and finance"]
    assert "lender Mazda Financial Services" in next(line for line in part.split("\n") if line.startswith("Finance:"))


def _heads(text: str) -> list[str]:
    """Returns the lines about several deals."""
    return [line for line in text.split("\n") if line.startswith(("All deals:", "Cash and", "Finance and"))]
