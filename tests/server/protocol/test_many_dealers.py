"""A caller with hundreds or thousands of dealers: every list has pages, and every text stays short."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from bench.tokens import compact
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference

from roadster_prompts import PROMPTS
from roadster_server.settings.sections.dealers import DealerSettings
from roadster_tools import MOST_CHOICES, RESOURCES, TOOLS, Access
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import TOOL_EXAMPLES
from tests.tools.test_gate import DEALER_TOOLS

from .test_resources import address

pytestmark = pytest.mark.anyio

LONGEST_ERROR = 2_000
LONGEST_PAGE = 17_000
"""Characters: the budget of 16,000 and the row that exceeds it."""

CITIES = ("Québec", "São Paulo", "St. Louis", "Fresno")
eras = pytest.mark.parametrize("mode", ["legacy", "auto"])
sizes = pytest.mark.parametrize("count", [300, 3000])


def rooftops(first: int, last: int) -> list[str]:
    return [f"rooftop{number:05}" for number in range(first, last)]


def listing(dpid: str) -> dict[str, Any]:
    number = int(dpid[-5:])
    return {
        "dpid": dpid,
        "name": f"{('Mazda', 'Toyota', 'Hyundai')[number % 3]} of {CITIES[number % 4]} {number}",
        "address": f"{number} Main Street",
        "city": CITIES[number % 4],
        "state": "CA",
        "zip_code": "93704",
        "phone": "559-555-0193",
        "status": "live",
        "partner_id": f"P{number}",
    }


def group(world: World, count: int) -> dict[str, Any]:
    """Returns the settings of a caller of `count` dealers, whose account has another ten of the same spelling."""
    own, foreign = rooftops(0, count), rooftops(count, count + 10)
    account = [listing(dpid) for dpid in sorted([*own, *foreign])]

    def answer(request: httpx2.Request) -> Any:
        return account if request.url.path.endswith("/dealers") else None

    return {
        "dealers": own,
        "change": {"dealers": {dpid: DealerSettings(mykaarma_dealer_uuid=dpid) for dpid in [*own, *foreign]}},
        "upstream": Answering(world, answer),
    }


def names_in(text: str) -> set[str]:
    return set(re.findall(r"rooftop\d{5}", text))


async def dealers_of(client: Client, **arguments: Any) -> list[str]:
    """Returns the dpids on all pages of `list_dealers`."""
    dpids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        result = await client.call_tool("list_dealers", {**arguments, **cursor})
        answer = answer_of(result)
        assert max(len(text_of(result)), len(compact(answer))) <= LONGEST_PAGE
        assert answer["truncated"] is ("next_cursor" in answer)
        dpids += [dealer["dpid"] for dealer in answer["dealers"]]
        if not answer["truncated"]:
            return dpids
        cursor = {"cursor": answer["next_cursor"]}


@sizes
async def test_list_dealers_walks_each_dealer_once(count: int, connect: Connect, world: World) -> None:
    async with connect(**group(world, count)) as client:
        assert await dealers_of(client, limit=100) == rooftops(0, count)
        first = await client.call_tool("list_dealers")
    assert len(answer_of(first)["dealers"]) == 20
    assert f"20 of {count} dealers" in answer_of(first)["hint"]
    assert answer_of(first)["next_cursor"] in text_of(first)


async def test_list_dealers_finds_words_in_any_order_case_and_accent(connect: Connect, world: World) -> None:
    async with connect(**group(world, 300)) as client:
        everything = [listing(dpid) for dpid in rooftops(0, 300)]
        for query, holds in {
            "quebec": lambda row: row["city"] == "Québec",
            "QUE\u0301BEC  toyota": lambda row: row["city"] == "Québec" and "Toyota" in row["name"],
            "toyota québec": lambda row: row["city"] == "Québec" and "Toyota" in row["name"],
            "st louis": lambda row: row["city"] == "St. Louis",
            "Paulo SAO mazda": lambda row: row["city"] == "São Paulo" and "Mazda" in row["name"],
            "ROOFTOP00017": lambda row: row["dpid"] == "rooftop00017",
            "00017 hyundai": lambda row: row["dpid"] == "rooftop00017",
        }.items():
            expected = [row["dpid"] for row in everything if holds(row)]
            assert expected
            assert await dealers_of(client, query=query, limit=9) == expected, query
        none = await client.call_tool("list_dealers", {"query": "Trabant"})
        foreign = await client.call_tool("list_dealers", {"query": "rooftop00305"})
        cursor = answer_of(await client.call_tool("list_dealers", {"query": "quebec"}))["next_cursor"]
        other = await client.call_tool("list_dealers", {"query": "fresno", "cursor": cursor})
        forged = await client.call_tool("list_dealers", {"cursor": "20"})
    for result in (none, foreign):
        assert answer_of(result)["dealers"] == []
        assert "fewer words" in answer_of(result)["hint"]
    assert kind_of(other) == kind_of(forged) == "invalid_arguments"
    assert "cursor: is of another search" in text_of(other)


async def test_list_dealers_bounds_the_dealers_that_roadster_lacks(connect: Connect, world: World) -> None:
    settings = group(world, 300)
    async with connect(**{**settings, "upstream": Answering(world, lambda _request: [])}) as client:
        hint = answer_of(await client.call_tool("list_dealers"))["hint"]
    assert len(names_in(hint)) == MOST_CHOICES
    assert "and 290 more" in hint


@sizes
async def test_a_refused_dealer_is_answered_with_few_of_the_callers_own(
    count: int, connect: Connect, world: World
) -> None:
    """The spellings that are foreign are nearer than any of the caller's own, and are never named."""
    own = set(rooftops(0, count))
    async with connect(**group(world, count)) as client:
        for tool, example in DEALER_TOOLS.items():
            for dealer in (None, "rooftop-00017", "ROOFTOP00017", f"rooftop{count + 3:05}", "x" * 1000):
                result = await client.call_tool(tool, example.at(dealer))
                text = text_of(result)
                assert kind_of(result) in {"refused", "invalid_arguments"}, tool
                assert len(text) <= LONGEST_ERROR
                assert names_in(text) <= own
                assert len(names_in(text)) <= MOST_CHOICES
                assert f"one of {count:,} names" in text or f"none of your {count:,} dealers is spelled so" in text
                assert "list_dealers finds a dealer by query" in text
                if dealer in ("rooftop-00017", "ROOFTOP00017"):
                    assert "rooftop00017" in text
    assert await world.requests() == []


async def test_a_refusal_sends_no_caller_to_a_tool_that_it_may_not_use(connect: Connect, world: World) -> None:
    async with connect(**group(world, 300), access={"inventory": Access.READ}) as client:
        text = text_of(await client.call_tool("list_inventory", {"dealer": "rooftop-00017"}))
        assert client.instructions is not None
        assert "list_dealers" not in text + client.instructions
    assert "rooftop00017" in text


PAGES: dict[str, Callable[..., Awaitable[Any]]] = {
    "tools": Client.list_tools,
    "prompts": Client.list_prompts,
    "resources": Client.list_resources,
    "resource_templates": Client.list_resource_templates,
}


async def rows_of(client: Client, kind: str) -> list[Any]:
    """Returns what all pages of one of the protocol's lists have."""
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        page = await PAGES[kind](client, cursor=cursor)
        if kind != "tools":
            assert len(page.model_dump_json(by_alias=True, exclude_none=True)) <= LONGEST_PAGE
        rows += getattr(page, kind)
        cursor = page.next_cursor
        if cursor is None:
            return rows


@eras
@sizes
async def test_the_protocols_lists_have_pages(mode: str, count: int, connect: Connect, world: World) -> None:
    async with connect(mode=mode, personal_data="contact", **group(world, count)) as client:
        resources = await rows_of(client, "resources")
        templates = await rows_of(client, "resource_templates")
        prompts = await rows_of(client, "prompts")
        tools = await rows_of(client, "tools")
    assert [resource.uri for resource in resources] == [f"roadster://{dpid}" for dpid in rooftops(0, count)]
    assert [template.uri_template for template in templates] == [resource.template for resource in RESOURCES]
    assert [prompt.name for prompt in prompts] == [*PROMPTS]
    assert [tool.name for tool in tools] == [*TOOLS]


@eras
@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("cursor", ["0", "1", "-50", "+50", " 50", "٥٠", "050", "300", "999950", "5" * 5000, "x"])
async def test_a_bad_cursor_is_invalid_params(
    mode: str, kind: str, cursor: str, connect: Connect, world: World
) -> None:
    async with connect(mode=mode, **group(world, 300)) as client:
        with pytest.raises(MCPError) as error:
            await PAGES[kind](client, cursor=cursor)
    assert error.value.error.code == INVALID_PARAMS
    assert "start again without it" in error.value.error.message
    assert len(error.value.error.message) < 100


@eras
@sizes
async def test_texts_about_dealers_are_short(mode: str, count: int, connect: Connect, world: World) -> None:
    """The instructions, completions, and the errors of prompts and resources."""
    settings = group(world, count)
    async with connect(mode=mode, personal_data="contact", **settings) as client:
        assert client.instructions is not None
        assert len(client.instructions) <= 1_000
        assert "list_dealers finds it by query" in client.instructions
        for prompt in PROMPTS.values():
            for dealer in ({}, {"dealer": "rooftop-00017"}, {"dealer": f"rooftop{count + 3:05}"}):
                with pytest.raises(MCPError) as error:
                    await client.get_prompt(prompt.name, dealer)
                assert len(error.value.error.message) <= LONGEST_ERROR
                assert names_in(error.value.error.message) <= set(settings["dealers"])
        for resource in RESOURCES:
            if "dealer" not in resource.parameters:
                continue
            reference = ResourceTemplateReference(uri=resource.template)
            completion = (await client.complete(reference, {"name": "dealer", "value": "rooftop"})).completion
            assert completion.values == settings["dealers"][:100]
            assert completion.has_more
            with pytest.raises(MCPError) as error:
                await client.read_resource(address(resource, f"rooftop{count + 3:05}"))
            assert len(error.value.error.message) <= LONGEST_ERROR
        reference = PromptReference(name="work_a_lead")
        completion = (await client.complete(reference, {"name": "dealer", "value": "rooftop00017"})).completion
        assert completion.values == ["rooftop00017"]


async def test_every_tool_works_at_one_of_many_dealers(connect: Connect, world: World) -> None:
    """The catalogue at umazda, for a caller with 300 dealers: no answer is longer than its budget."""
    settings = group(world, 300)
    async with connect(dealers=["umazda", *settings["dealers"]]) as client:
        for tool, example in TOOL_EXAMPLES.items():
            arguments = example.at("umazda") if TOOLS[tool].of_one_dealer else example.arguments
            result = await client.call_tool(tool, dict(arguments))
            longest = LONGEST_ERROR if result.is_error else LONGEST_PAGE
            assert len(text_of(result)) <= longest, tool


@pytest.mark.parametrize("cursor", ["", " "])
async def test_blank_cursor_is_that_of_the_first_page(cursor: str, connect: Connect) -> None:
    """Hosts fill in blanks, as in the arguments of a call."""
    async with connect() as client:
        for read in (client.list_tools, client.list_prompts, client.list_resources, client.list_resource_templates):
            assert await read(cursor=cursor) == await read()
