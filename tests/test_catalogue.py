"""What holds for every tool, so that a new one is checked without a test of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from roadster_server.app import described
from roadster_tools import TOOLS, TOOLSETS, Tool
from roadster_tools.schemas import written_schemas

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def test_the_catalogue_holds_the_tools_of_the_main_job() -> None:
    assert {name: tool.toolset for name, tool in TOOLS.items()} == {
        "list_dealers": "dealers",
        "get_dealer": "dealers",
        "list_inventory": "inventory",
        "get_vehicle": "inventory",
        "quote_payments": "payments",
        "list_protection_plans": "payments",
        "create_customer": "customers",
        "assign_agent": "customers",
        "submit_trade_valuation": "customers",
        "build_deep_link": "links",
        "upload_document": "documents",
        "list_documents": "documents",
        "get_document": "documents",
        "delete_documents": "documents",
        "list_customer_events": "events",
        "get_customer": "events",
    }
    assert not TOOLS.keys() & set(TOOLSETS), "a tool named like a toolset would make an access setting ambiguous"


@every_tool
def test_a_tool_says_what_it_is_and_when_to_use_it(tool: Tool) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", tool.name)
    assert tool.title
    assert 80 <= len(tool.description) <= 500
    assert "\n" not in tool.description


@every_tool
def test_all_four_hints_are_set_and_agree(tool: Tool) -> None:
    hints = described(tool).annotations
    assert hints is not None
    assert hints.read_only_hint is not tool.writes
    assert None not in (hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert tool.writes or not hints.destructive_hint


@every_tool
def test_every_object_that_a_tool_takes_is_closed(tool: Tool) -> None:
    Draft202012Validator.check_schema(tool.input_schema)
    for node in _objects(tool.input_schema):
        assert node["additionalProperties"] is False


@every_tool
def test_schemas_stand_alone_and_say_nothing_twice(tool: Tool) -> None:
    """No reference, which not every host resolves; no generated title; no null for what is simply left out."""
    Draft202012Validator.check_schema(tool.output_schema)
    for schema in (tool.input_schema, tool.output_schema):
        assert "$ref" not in str(schema)
        for node in _nodes(schema):
            assert not isinstance(node.get("title"), str)
            assert node.get("type") != "null"


@every_tool
def test_every_tool_of_a_dealer_takes_the_dpid_alone(tool: Tool) -> None:
    """A partner id of a dealer comes from the configuration: no argument could carry one."""
    properties = tool.input_schema["properties"]
    assert ("dealer" in properties) is (tool.name != "list_dealers")
    if "dealer" in properties:
        assert properties["dealer"]["type"] == "string"
    assert not {"dpid", "partner_id", "dealer_id"} & properties.keys()


@every_tool
def test_the_written_schemas_are_what_the_code_says(tool: Tool) -> None:
    """`make schemas` writes them anew; the difference is reviewed like code."""
    assert written_schemas()[tool.name] == tool.derived_schemas()
    assert written_schemas().keys() == TOOLS.keys()


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    match node:
        case dict():
            yield node
            for key, value in node.items():
                yield from (
                    (part for child in value.values() for part in _nodes(child))
                    if key == "properties"
                    else _nodes(value)
                )
        case list():
            for item in node:
                yield from _nodes(item)


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (node for node in _nodes(schema) if node.get("type") == "object")
