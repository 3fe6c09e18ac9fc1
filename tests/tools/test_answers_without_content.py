"""An answer of an unknown layout is never told as "there is none", nor as a success with nothing in it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from roadster_tools import TOOLS
from tests.conftest import Answering, Connect, World, answer_of, kind_of, own_delivery, text_of
from tests.tool_examples import DELIVERY_ID, SOME_VIN, TOOL_EXAMPLES

pytestmark = pytest.mark.anyio

LOCAL = {"list_customer_events", "get_customer", "search_customers", "get_approval"}
"""Tools that read only the store."""

ROW = {"vin": SOME_VIN, "id": 17, "dpid": "umazda"}
LISTS = {
    name: {"list_inventory": "vehicles", "list_protection_plans": "plans"}.get(name)
    for name, tool in TOOLS.items()
    if "next_cursor" in tool.output_schema["properties"] and name not in LOCAL
}
"""The field of the answer that has the rows, by tool. It is None where the answer is the list."""

WITHOUT_ROWS: dict[str, Any] = {
    "empty": {},
    "other name": {"rows": [ROW], "total": 1},
    "null": {"vehicles": None, "plans": None, "total": 187},
}
ABSENCE = re.compile("No vehicle|has no|No plan|is empty|Nothing in|has none|not provisioned|No dealer", re.IGNORECASE)


def arguments_of(tool: str) -> dict[str, Any]:
    if tool == "build_deep_link":
        return {"dealer": "umazda", "vin": SOME_VIN}
    return {
        **TOOL_EXAMPLES[tool].arguments,
        **({} if tool in ("list_dealers", "get_approval") else {"dealer": "umazda"}),
    }


@pytest.mark.parametrize("answer", WITHOUT_ROWS.values(), ids=WITHOUT_ROWS)
@pytest.mark.parametrize("tool", LISTS)
async def test_list_that_is_not_there_is_not_called_empty(
    tool: str, answer: Any, connect: Connect, world: World
) -> None:
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        result = await client.call_tool(tool, arguments_of(tool))
    assert ABSENCE.search(text_of(result)) is None
    if LISTS[tool] is None or tool == "list_inventory":
        assert kind_of(result) == "upstream"
        return
    content = answer_of(result)
    assert "could not be read, so " in content["hint"]
    assert content["left_out"] == {"rows": 0, "fields": 1, "paths": [LISTS[tool]]}


@pytest.mark.parametrize("answer", [*WITHOUT_ROWS.values(), {"vehicles": [], "total": 187}], ids=str)
@pytest.mark.parametrize("wish", [{}, {"vin": SOME_VIN}, {"stock_number": "S1"}, {"make": "Mazda"}], ids=str)
async def test_vehicle_is_not_called_sold_where_the_feed_has_no_rows(
    wish: dict[str, str], answer: Any, connect: Connect, world: World
) -> None:
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        result = await client.call_tool("list_inventory", {"dealer": "umazda", **wish})
    assert kind_of(result) == "upstream"
    assert ABSENCE.search(text_of(result)) is None


async def test_vehicle_behind_the_last_one_is_absent(connect: Connect, world: World) -> None:
    """The page after its VIN is empty, and the feed has a total. It can be read nevertheless."""

    def answer(request: httpx2.Request) -> Any:
        rows = [] if "from_vin" in request.url.params else [{"vin": "1C4RJFBG0LC100001"}]
        return {"vehicles": rows, "total": 1}

    async with connect(upstream=Answering(world, answer)) as client:
        content = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "vin": SOME_VIN}))
    assert content["hint"].startswith("The feed has no vehicle with this VIN")


UUID = TOOL_EXAMPLES["get_crm_customer"].arguments["customer_uuid"]
OTHER = {"odd": {"make": "Mazda"}, "make": "Mazda"}
OF_ONE_OBJECT: dict[str, list[Any]] = {
    "get_dealer": [{"dpid": "umazda", **OTHER}],
    "get_vehicle": [{}, OTHER, {"vehicle_info": {}}, {"vehicle_info": {"odd": 1}}, {"vehicle_info": {"make": None}}],
    "quote_payments": [{}, OTHER, {"deals": {}}, {"deals": OTHER}, {"deals": {"cash": {}}}],
    "get_template": [{"id": 278, **OTHER}, {"id": 278, "form_definition": OTHER}],
    "get_delivery": [{"id": DELIVERY_ID, **OTHER}],
    "get_crm_customer": [{"customerInfo": {"uuid": UUID, **OTHER}, **OTHER}],
    "get_document": [{}, OTHER],
    "get_template_file": [{}, OTHER],
    "build_deep_link": [{}, OTHER, {"link": OTHER}],
}
"""Answers in which nothing can be read except the ids that bind them, by tool."""


def test_reads_are_lists_or_of_one_object() -> None:
    reads = {name for name, tool in TOOLS.items() if not tool.writes} - LOCAL
    assert reads == OF_ONE_OBJECT.keys() | LISTS.keys()


@pytest.mark.parametrize(
    ("tool", "answer"), [(tool, answer) for tool, answers in OF_ONE_OBJECT.items() for answer in answers], ids=str
)
async def test_answer_without_a_field_that_can_be_read_says_so(
    tool: str, answer: Any, connect: Connect, world: World, store_url: str
) -> None:
    await own_delivery(store_url)
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        result = await client.call_tool(tool, arguments_of(tool))
    if kind_of(result) != "upstream":
        content = answer_of(result)
        is_told = "no deals that can be read" in content.get("hint", "")
        assert is_told or content["left_out"]["fields"] > 0
        assert is_told or "Left out, because the upstream sent it in an unknown form" in text_of(result)


@pytest.mark.parametrize(
    ("tool", "answer"),
    [
        ("get_vehicle", {"vin": "{}", "vehicle_info": {"make": "Mazda"}}),
        ("get_vehicle", {"vehicle_info": {"make": "Mazda", "vin": "{}"}}),
        ("quote_payments", {"vin": "{}", "deals": {"cash": {"terms": {"price": 30000}}}}),
        ("quote_payments", {"deals": {"cash": {"terms": {"price": 30000}, "data": {"vehicle": {"vin": "{}"}}}}}),
    ],
    ids=str,
)
async def test_answer_about_another_vehicle_is_withheld(tool: str, answer: Any, connect: Connect, world: World) -> None:
    async def call(vin: str) -> Any:
        body = json.loads(json.dumps(answer).replace('"{}"', json.dumps(vin)))
        async with connect(upstream=Answering(world, lambda _request: body)) as client:
            return await client.call_tool(tool, {"dealer": "umazda", "vin": SOME_VIN})

    assert kind_of(await call(SOME_VIN.lower())) is None
    withheld = await call("1C4RJFBG0LC100001")
    assert kind_of(withheld) == "upstream"
    assert "is about another vehicle and was withheld" in text_of(withheld)
    assert "1C4RJ" not in text_of(withheld)
