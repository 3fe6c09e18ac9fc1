"""Objects and lists that come as JSON text, and the rules that hold for reading any arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_tools import TOOLS, Tool
from tests.conftest import Connect, World, kind_of, text_of
from tests.tool_examples import TOOL_EXAMPLES, every_call
from tests.tools.argument_places import every_tool, places, plain_arguments, problems, results
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


@every_tool
def test_object_or_list_as_json_text_is_read(tool: Tool) -> None:
    for place in places(tool.arguments):
        for value in ({}, {"unknown": [1, "x", None]}, [], [{"unknown": True}], ["x"], [7]):
            blanks = ("\n", " ") if place.is_container else ("", "")  # an id loses those around it
            text = place.arguments(json.dumps(value).join(blanks))
            plain = plain_arguments(text, tool.arguments)
            if place.is_container and isinstance(value, dict) is place.is_object:
                assert plain == plain_arguments(place.arguments(value), tool.arguments), str(place)
            else:
                assert plain == text, str(place)


@every_tool
def test_null_as_json_text_is_left_out(tool: Tool) -> None:
    """Hosts that write objects as texts write a null as one too."""
    for place in places(tool.arguments):
        if place.is_container:
            plain = plain_arguments(place.arguments(" null"), tool.arguments)
            assert plain == plain_arguments(place.arguments(None), tool.arguments), str(place)


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
async def test_objects_and_lists_of_every_example_may_be_json_text(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    """At every depth at once: a text in a text."""
    plain = every_call("umazda")[tool]
    first, second = await results(connect, store_url, world, tool, plain, {k: as_text(v) for k, v in plain.items()})
    assert second == first
    assert first[1] in (None, "not_found")


def as_text(node: Any) -> Any:
    if isinstance(node, dict):
        return json.dumps({key: as_text(value) for key, value in node.items()})
    return json.dumps([as_text(item) for item in node]) if isinstance(node, list) else node


@pytest.mark.parametrize(
    "text",
    [
        '{"first_name": "Ann", "first_name": "Bo", "last_name": "Lee", "email": "ann@example.com"}',
        "{'first_name': 'Ann'}",
        '{"first_name": "Ann",}',
        '{"first_name": NaN}',
        '{"a": ' * 100_000,
        '{"a": ' * 201 + "1" + "}" * 201,
        '"{}"',
        "[]",
        "Ann Lee",
        "{\ud83d}",
    ],
    ids=range(10),
)
async def test_text_that_is_no_strict_json_object_is_refused(text: str, connect: Connect, world: World) -> None:
    tool = TOOLS["create_customer"]
    assert problems(tool, {"customer": text}) == {"customer"}
    if text.isascii():
        async with connect() as client:
            result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": text})
        assert kind_of(result) == "invalid_arguments"
        assert "customer: " in text_of(result)
    assert await world.requests() == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", " ", "[]", "{}", "[{}]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(list(TOOLS.values())), st.data())
def test_reading_never_fails_and_reads_its_own_result_as_it_is(tool: Tool, data: st.DataObject) -> None:
    names = st.sampled_from([*tool.arguments.model_fields, "unknown"])
    inner = {name: st.text() for place in places(tool.arguments) for name in map(str, place.steps)}
    values = JSON | st.dictionaries(st.sampled_from(list(inner) or ["x"]), JSON, max_size=4)
    plain = plain_arguments(data.draw(st.dictionaries(names, values, max_size=5)), tool.arguments)
    assert repr(plain_arguments(plain, tool.arguments)) == repr(plain)


def test_large_json_text_is_refused_as_text_and_not_read() -> None:
    """Reading four megabytes would hold up all other calls for seconds. Many small texts in one call are as large."""
    large = "[" + "[]," * 30_000 + "[]]"
    plain = plain_arguments({"items": large}, TOOLS["create_delivery"].arguments)
    assert plain["items"] == large
    texts = ["[" + "0," * 2_000 + "0]"] * 100
    many = plain_arguments({"items": texts}, TOOLS["create_delivery"].arguments)
    assert many["items"][-1] == texts[-1]
