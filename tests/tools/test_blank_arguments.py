"""Arguments that are blank count as left out, at every place of every tool."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import BaseModel

from roadster_server.store import open_store
from roadster_tools import TOOLS, Tool
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import STEVE, TOOL_EXAMPLES, every_call
from tests.tools.argument_places import every_tool, places, plain_arguments, results
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

BLANKS = ["", " ", "\t\n\xa0", "\u200b\u2060\ufeff", "\u3164\u202a", None]


@every_tool
def test_blank_optional_argument_is_left_out(tool: Tool) -> None:
    for place in places(tool.arguments):
        empty = [[], {}, [""], [None, " "]] if place.is_container and not place.is_object else [[], {}]
        for blank in [*BLANKS, *empty] if place.is_optional else BLANKS:
            plain = plain_arguments(place.arguments(blank), tool.arguments)
            assert plain == plain_arguments(place.arguments(), tool.arguments), (str(place), blank)


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
async def test_blanks_in_every_optional_argument_change_nothing(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    """Not at any depth. The requests are those of the call without the blanks."""
    plain = every_call("umazda")[tool]
    fill = [fill_blanks(TOOLS[tool].arguments, plain, blank) for blank in ("", "\u200b ", None)]
    first, *others = await results(connect, store_url, world, tool, plain, *fill)
    assert first[1] in (None, "not_found")
    assert others == [first] * len(fill)


def fill_blanks(model: type[BaseModel], given: Any, blank: Any) -> Any:
    """Returns `given` with a blank in each field that it does not have."""
    filled = copy.deepcopy(given)
    for place in places(model):
        node = filled
        for step in place.steps[:-1]:
            node = node[step] if step == 0 or (isinstance(node, dict) and step in node) else None
            if node in (None, blank):
                break
        else:
            node.setdefault(place.steps[-1], blank)
    return filled


@every_tool
async def test_blank_required_argument_is_an_error_that_names_it(tool: Tool, connect: Connect, world: World) -> None:
    """An optional object in which every field is blank is left out itself, so another field stands beside this one."""
    async with connect() as client:
        for place in places(tool.arguments):
            for blank in () if place.is_optional else BLANKS:
                result = await client.call_tool(tool.name, {**AT_UMAZDA, **place.arguments(blank, other=1)})
                assert kind_of(result) == "invalid_arguments"
                assert f"{place}: is missing" in text_of(result)
    assert await world.requests() == []


async def test_blank_and_absent_are_the_same_write_and_the_same_record(
    connect: Connect, world: World, store_url: str
) -> None:
    customer = {name: value for name, value in STEVE.items() if name != "phone"}
    call = {**AT_UMAZDA, "idempotency_key": "order-4711"}
    forms = [
        {**call, "customer": customer},
        {**call, "customer": {**customer, "phone": ""}, "plans": [], "vehicle": {"vin": " "}, "utm_source": "\u200b"},
        {**call, "customer": json.dumps({**customer, "phone": None})},
    ]
    async with connect() as client:
        first, *others = [answer_of(await client.call_tool("create_customer", arguments)) for arguments in forms]
    assert others == [{**first, "replayed": True}] * 2
    assert [request["operation"] for request in await world.requests()] == ["create_customer"]
    async with open_store(store_url) as store:
        records = [row.record.arguments async for row in store.records() if row.record.phase == "ended"]
    del records[0]["answer.customer_id"]  # only the call that made the customer has it
    assert records == [records[0]] * 3


async def test_empty_list_that_is_required_keeps_its_meaning(connect: Connect, world: World) -> None:
    """A page of a template may have no fields, and the upstream is told so."""
    arguments = every_call("umazda")["create_template"]
    async with connect() as client:
        answer_of(
            await client.call_tool("create_template", {**arguments, "form_definition": {"pages": [{"fields": []}]}})
        )
    assert (await world.requests())[-1]["body"]["form_data"]["form_definition"] == {"pages": [{"fields": []}]}


async def test_blank_items_of_a_required_list_are_errors(connect: Connect, world: World) -> None:
    async with connect() as client:
        arguments = {**every_call("umazda")["create_forms"], "template_ids": ["", "278"]}
        assert "template_ids.0: " in text_of(await client.call_tool("create_forms", arguments))
    assert await world.requests() == []


@pytest.mark.parametrize("argument", ["price_max", "limit", "year_min", "year_max", "customer_id"])
async def test_bound_that_excludes_everything_is_an_error_with_the_way_out(
    argument: str, connect: Connect, world: World
) -> None:
    tool = "list_customer_events" if argument == "customer_id" else "list_inventory"
    async with connect() as client:
        result = await client.call_tool(tool, {**AT_UMAZDA, argument: 0})
    assert kind_of(result) == "invalid_arguments"
    assert f"{argument}: must be " in text_of(result)
    assert ", or left out" in text_of(result)
    assert await world.requests() == []
