"""Quotes whose discounts are not known: what is said of the wishes and of the last day then, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.test_misleading_quotes import DEALS, Change, ChangedQuotes, set_terms
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

LOYALTY = {"incentives": ["loyalty"]}
TRADE_IN = {"trade_in": {"value": 8000, "payoff": 3000}}


async def quote(connect: Connect, world: World, change: Change, **wishes: Any) -> dict[str, Any]:
    async with connect(upstream=ChangedQuotes(world, change)) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **wishes})
    answer = answer_of(result)
    assert all(text in text_of(result) for text in answer.get("not_applied", ()))
    return answer


def programs_in(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for rows in document["programs"].values():
        yield from [rows] if isinstance(rows, dict) else rows


def add_rebate(document: dict[str, Any]) -> None:
    """Adds a rebate that is not in the deals, with a day of its own."""
    other = {"name": "College Grad", "cash": 300, "recipient": "Customer", "expires_at": "2098-11-01T00:00:00.000Z"}
    for program in programs_in(document):
        program["rebates"].append(other)


def set_rebates(value: Any, *deals: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        for deal in deals or DEALS:
            document["deals"][deal]["terms"]["rebate"] = value

    return change


# The last day


@pytest.mark.parametrize(
    "change",
    [add_rebate, *(set_rebates(value, *deals) for value in (None, "n/a", 2000) for deals in ([], ["cash"]))],
    ids=lambda _: "",
)
@pytest.mark.parametrize("wishes", [{}, LOYALTY], ids=str)
async def test_a_last_day_of_all_rebates_is_said_only_where_all_are_known(
    change: Change, wishes: dict[str, Any], connect: Connect, world: World
) -> None:
    assert (await quote(connect, world, lambda document: None, **wishes))["expires"] == "2099-03-31"
    answer = await quote(connect, world, change, **wishes)
    assert "expires" not in answer
    assert [answer[deal]["program_expires"] for deal in ("finance", "lease")] == ["2099-03-31"] * 2
    assert all(rebate["expires"] == "2099-03-31" for rebate in answer.get("rebates", ()))


async def test_deals_without_any_rebate_have_the_last_day_of_their_programs(connect: Connect, world: World) -> None:
    def change(document: dict[str, Any]) -> None:
        set_rebates(0)(document)
        for program in programs_in(document):
            program["rebates"] = []

    assert (await quote(connect, world, change))["expires"] == "2099-03-31"


# Incentives


def set_programs(value: Any) -> Change:
    return lambda document: document.update(programs=value)


def set_incentives(value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        for program in programs_in(document):
            program["incentives"] = value

    return change


def drop_programs(document: dict[str, Any]) -> None:
    del document["programs"]


@pytest.mark.parametrize("value", [None, "n/a"])
@pytest.mark.parametrize("deals", [DEALS, ("lease",)], ids=str)
async def test_an_incentive_is_not_confirmed_where_the_rebate_is_not_said(
    value: str | None, deals: tuple[str, ...], connect: Connect, world: World
) -> None:
    answer = await quote(connect, world, set_rebates(value, *deals), **LOYALTY)
    assert answer["not_applied"] == [f'{", ".join(deals)}: incentives "loyalty", not confirmed by Roadster']


@pytest.mark.parametrize(
    "change",
    [drop_programs, *map(set_programs, (None, "odd", {})), *map(set_incentives, (None, "odd"))],
    ids=lambda _: "",
)
async def test_an_incentive_is_not_confirmed_where_no_program_is_said(
    change: Change, connect: Connect, world: World
) -> None:
    answer = await quote(connect, world, change, **LOYALTY)
    assert answer["not_applied"] == ['incentives "loyalty": not confirmed by Roadster']


async def test_programs_that_say_that_they_have_no_incentives_are_believed(connect: Connect, world: World) -> None:
    answer = await quote(connect, world, set_incentives([]), **LOYALTY)
    assert answer["not_applied"] == ['incentives "loyalty": unknown; the programs have none']


@pytest.mark.parametrize(
    ("rows", "reason"), [([], "not confirmed by Roadster"), ([{"incentives": []}], "not in its program")]
)
async def test_an_incentive_is_not_in_a_program_only_where_there_is_one(
    rows: list[Any], reason: str, connect: Connect, world: World
) -> None:
    answer = await quote(connect, world, lambda document: document["programs"].update(finance=rows), **LOYALTY)
    assert answer["not_applied"] == [f'finance: incentives "loyalty", {reason}']


async def test_unknown_incentives_are_named_once_with_one_list_of_those_there_are(
    connect: Connect, world: World
) -> None:
    wishes = ["foo", "loyalty", "Loyalty", "foo", "loyalty"]
    answer = await quote(connect, world, lambda document: None, incentives=wishes)
    there = "first responders, loyalty, military"
    assert answer["not_applied"] == [f'incentives "foo", "Loyalty": unknown; there are {there}']
    answer = await quote(connect, world, set_rebates(0), incentives=["loyalty", "loyalty"])
    assert answer["not_applied"] == ['cash, finance, lease: incentives "loyalty", more than the rebate']


# Deals that could not be read


async def test_nothing_is_said_of_a_deal_that_could_not_be_read(connect: Connect, world: World) -> None:
    plans = {"plans": [{"id": 6160}]}
    wishes = {**TRADE_IN, **LOYALTY, **plans, "no_taxes_or_fees": True}

    def change(document: dict[str, Any]) -> None:
        document["deals"]["lease"]["terms"] = {}

    answer = await quote(connect, world, change, **wishes)
    assert answer["unread"] == ["lease"]
    assert "not_applied" not in answer
    assert [row["name"] for row in answer["rebates"]] == ["Manufacturer Rebate", "loyalty"]
    assert not any("deals" in row for row in [*answer["rebates"], *answer["plans"]])


# Cash


async def test_no_cash_is_no_wish_that_a_deal_without_cash_lacks(connect: Connect, world: World) -> None:
    answer = await quote(connect, world, lambda document: None, customer_cash=0)
    assert "not_applied" not in answer
    answer = await quote(connect, world, lambda document: None, customer_cash=1)
    assert answer["not_applied"] == ["cash: no customer_cash"]


@pytest.mark.parametrize("computed", [1000, 1000.01])
async def test_cash_in_parts_of_a_cent_may_be_rounded_either_way(
    computed: float, connect: Connect, world: World
) -> None:
    change = set_terms("finance", "lease", customer_cash=computed, down_from_customer_cash=computed)
    answer = await quote(connect, world, change, customer_cash=1000.005)
    assert answer["not_applied"] == ["cash: no customer_cash"]
    answer = await quote(connect, world, set_terms("finance", customer_cash=computed), customer_cash=computed + 0.01)
    assert any(text.startswith("finance: customer_cash cut to") for text in answer["not_applied"])
