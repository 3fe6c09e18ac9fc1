"""What a model pays for the tools stays within the budgets. docs/reference/tokens.md shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from bench.tokens import (
    DOCUMENT,
    MOST_BYTES_OF_THE_LIST,
    MOST_OF_ONE,
    MOST_ON_AVERAGE,
    TABLE_PLACE,
    Measurement,
    compact,
    count_definition_tokens,
    count_tokens,
    make_table,
    measure_answers,
)
from jsonschema import Draft202012Validator
from mcp import Client

from roadster_tools import TOOLS, Tool
from tests.conftest import Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN, TOOL_EXAMPLES

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}
_PLAIN, _BY_THOUSANDS = r"\d+(?:\.\d+)?", r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Of the module, as the answers are."""
    return "asyncio"


@pytest.fixture(scope="module")
async def answers() -> list[Measurement]:
    return await measure_answers()


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_that_takes_detail_has_a_budget_for_both(name: str) -> None:
    takes_detail = "detail" in TOOLS[name].input_schema["properties"]
    assert (TOOL_EXAMPLES[name].budget.full is not None) is takes_detail


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_no_definition_is_too_long(tool: Tool) -> None:
    cost = count_definition_tokens(tool)
    assert cost <= MOST_OF_ONE, f"{tool.name} takes {cost} tokens: shorten its docstring, or its arguments"


def test_the_definitions_are_short_on_average() -> None:
    costs = {tool.name: count_definition_tokens(tool) for tool in TOOLS.values()}
    assert sum(costs.values()) / len(costs) <= MOST_ON_AVERAGE, sorted(costs.items(), key=lambda cost: -cost[1])


async def test_the_list_of_tools_as_sent_is_short(connect: Connect) -> None:
    async with connect() as client:
        listed = await client.list_tools()
    assert len(listed.tools) == len(TOOLS)
    sent = compact(listed.model_dump(mode="json", by_alias=True, exclude_none=True))
    assert len(sent.encode()) <= MOST_BYTES_OF_THE_LIST


async def test_no_answer_takes_more_than_its_budget(answers: list[Measurement]) -> None:
    for answer in answers:
        assert not answer.result.is_error, answer.text
        for cost in (count_tokens(answer.text), count_tokens(answer.structured)):
            assert cost <= answer.limit, f"{answer.tool}, {answer.detail}: {cost} tokens"


async def test_structured_content_holds_to_the_output_schema(answers: list[Measurement]) -> None:
    for answer in answers:
        Draft202012Validator(TOOLS[answer.tool].output_schema).validate(answer.result.structured_content)


async def test_the_text_says_whatever_the_structured_content_does(answers: list[Measurement]) -> None:
    """For a client that shows a model only text: every figure and every word, whichever way it is written."""
    for answer in answers:
        signs = [f"{sign}{form}" for sign in ("", "-") for form in (_PLAIN, _BY_THOUSANDS)]
        written = [figure for form in signs for figure in re.findall(form, answer.text)]
        figures = {float(figure.replace(",", "")) for figure in written}
        for path, value in leaves(answer.result.structured_content):
            match value:
                case bool():
                    continue  # said in words, or as one of those that are false
                case int() | float():
                    assert value in figures or value == 0, f"{answer.tool}: {path} {value}"
                case _:
                    assert str(value) in answer.text, f"{answer.tool}: {path} {value}"


async def test_neither_part_of_an_answer_is_indented(answers: list[Measurement]) -> None:
    for answer in answers:
        assert "  " not in answer.text
        assert count_tokens(answer.text) <= count_tokens(answer.structured) + 1, f"{answer.tool}: longer than its JSON"


async def test_the_page_shows_what_the_bench_says(answers: list[Measurement]) -> None:
    shown = TABLE_PLACE.search(DOCUMENT.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[0] == f"{shown[1]}{make_table(answers)}{shown[2]}", "`make generate` writes the table anew"


class Says(httpx2.AsyncBaseTransport):
    """An upstream that answers everything alike."""

    def __init__(self, answer: Any) -> None:
        self._content = json.dumps(answer).encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(self._content))


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match node:
        case dict():
            for name, value in node.items():
                yield from leaves(value, f"{path}.{name}")
        case list():
            for item in node:
                yield from leaves(item, f"{path}[]")
        case _:
            yield path, node


# What is cut


async def test_a_long_list_of_vehicles_is_cut_between_rows_and_goes_on_at_the_cursor(
    connect: Connect, world: World
) -> None:
    everything = {**AT_UMAZDA, "limit": 100}
    async with connect() as client:
        result = await client.call_tool("list_inventory", {**everything, "detail": "full"})
        full = await vins_in_parts(client, {**everything, "detail": "full"})
        brief = await vins_in_parts(client, everything)
    first = answer_of(result)
    assert 0 < len(first["vehicles"]) < 100
    assert first["truncated"]
    assert "detail brief" in first["hint"]
    assert first["hint"] in text_of(result)
    assert full == brief


async def vins_in_parts(client: Client, arguments: dict[str, Any]) -> list[str]:
    """Returns the first 100 VINs, from as many answers as it takes. Each is short as text and as JSON."""
    vins: list[str] = []
    cursor: dict[str, str] = {}
    while len(vins) < 100:
        result = await client.call_tool("list_inventory", {**arguments, **cursor})
        answer = answer_of(result)
        assert max(count_tokens(text_of(result)), count_tokens(compact(answer))) < 4_300
        vins += [row["vin"] for row in answer["vehicles"]]
        cursor = {"cursor": answer["next_cursor"]}
    return vins[:100]


async def test_the_plans_that_do_not_fit_come_with_the_cursor(connect: Connect) -> None:
    plans = [
        {"id": number, "title": "T" * 900, "tiers": [{"code": "A", "title": "B" * 3000, "offer": 9.5}]}
        for number in range(1, 12)
    ]
    arguments = {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "deal_type": "cash"}
    found: list[int] = []
    async with connect(upstream=Says({"plans": plans})) as client:
        cursor: dict[str, str] = {}
        while True:
            result = await client.call_tool("list_protection_plans", {**arguments, **cursor})
            answer = answer_of(result)
            assert count_tokens(text_of(result)) < 5_200
            assert answer["truncated"] is ("next_cursor" in answer)
            found += [plan["id"] for plan in answer["plans"]]
            if not answer["truncated"]:
                break
            cursor = {"cursor": answer["next_cursor"]}
        other = await client.call_tool("list_protection_plans", {**arguments, "vin": "JM3KKBHA7R1194195", **cursor})
    assert found == [*range(1, 12)]
    assert "cursor: is of another search" in text_of(other)


async def test_a_deal_without_plans_says_what_to_try(connect: Connect) -> None:
    arguments = {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "deal_type": "cash"}
    async with connect(upstream=Says({"plans": []})) as client:
        result = await client.call_tool("list_protection_plans", arguments)
    assert answer_of(result)["plans"] == []
    assert "another deal_type" in answer_of(result)["hint"]
    assert answer_of(result)["hint"] in text_of(result)


async def test_of_many_programs_the_nearest_to_the_asked_term_are_shown(connect: Connect) -> None:
    programs = [{"term": term, "interest_rate": 4.9, "min_score": 1} for term in range(12, 85)]
    arguments = {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "detail": "full"}
    async with connect(upstream=Says({"deals": {}, "programs": {"finance": programs}})) as client:
        for asked, expected in (({}, range(12, 32)), ({"term_months": 84}, range(65, 85))):
            result = await client.call_tool("quote_payments", {**arguments, **asked})
            answer = answer_of(result)
            assert sorted(row["term_months"] for row in answer["details"]["finance_programs"]) == [*expected]
            assert answer["truncated"]
            assert answer["details"]["rows_cut"] == {"finance_programs": 53}
            assert "53 of finance_programs" in text_of(result)


async def test_a_quote_without_a_deal_says_so(connect: Connect) -> None:
    async with connect(upstream=Says({"deals": {"cash": None, "finance": None, "lease": None}})) as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067"})
    assert "offers no deal" in answer_of(result)["hint"]
    assert answer_of(result)["hint"] in text_of(result)


@pytest.mark.parametrize(
    ("stock", "said"),
    [({}, ""), ({"in_stock": True, "reserved": True}, "; in stock; reserved"), ({"in_stock": False}, "; not in stock")],
)
async def test_a_vehicle_is_in_stock_only_where_the_feed_says_so(
    stock: dict[str, bool], said: str, connect: Connect
) -> None:
    async with connect(upstream=Says({"vehicles": [{"vin": SOME_VIN, **stock}], "total": 1})) as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "in_stock": False})
    assert text_of(result).splitlines()[1] == f"{SOME_VIN} {said}"


async def test_a_caller_without_a_dealer_is_told_who_can_change_that(connect: Connect) -> None:
    async with connect(dealers=[]) as client:
        assert "operator" in answer_of(await client.call_tool("list_dealers"))["hint"]
