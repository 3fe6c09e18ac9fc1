"""What holds for every tool, so that a new one is checked without a test of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from roadster_server.protocol.server import mcp_tool
from roadster_tools import TOOLS, TOOLSETS, Tool
from roadster_tools.schemas import load_schemas
from tests.conftest import Connect, World, kind_of, text_of

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
        "list_templates": "forms",
        "get_template": "forms",
        "get_template_file": "forms",
        "create_template": "forms",
        "create_forms": "forms",
        "create_delivery": "deliveries",
        "get_delivery": "deliveries",
        "update_delivery": "deliveries",
        "cancel_delivery": "deliveries",
        "get_crm_customer": "crm",
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
    hints = mcp_tool(tool).annotations
    assert hints is not None
    assert hints.read_only_hint is not tool.writes
    assert None not in (hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert tool.writes or not hints.destructive_hint


@every_tool
def test_what_a_tool_takes_is_closed(tool: Tool) -> None:
    """What is nested is too, which the published schema does not say: see the tests of what it leaves out."""
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False


@every_tool
def test_every_argument_has_its_type_and_a_text_with_choices_the_default_first(tool: Tool) -> None:
    """The published schema leaves out a text's default for that reason."""
    full = _resolved(tool.arguments.model_json_schema())
    for name, published in tool.input_schema["properties"].items():
        assert all("type" in node for node in _nodes(published)), name
        default = full["properties"][name].get("default")
        if isinstance(default, str):
            assert published["enum"][0] == default


@dataclass(frozen=True)
class Broken:
    """A value that breaks one rule of a tool's arguments; `path` is where, as an answer names it."""

    tool: str
    path: str
    rule: str
    arguments: dict[str, Any]


def broken() -> Iterator[Broken]:
    """One for each rule in each tool's full schema, the one that pydantic checks by."""
    for tool in TOOLS.values():
        for path, node in _places(_resolved(tool.arguments.model_json_schema()), ()):
            for rule, value in _breaking(node):
                arguments = _at(path, value)
                named = ".".join(map(str, (*path, "unheard_of") if rule == "additionalProperties" else path))
                yield Broken(tool.name, named, rule, arguments)


@pytest.mark.anyio
async def test_what_the_published_schemas_leave_out_is_refused_all_the_same(connect: Connect, world: World) -> None:
    """Each bound, length and pattern, and each unknown argument, however deep; of a new tool too."""
    tried = list(broken())
    assert {each.rule for each in tried} >= {"additionalProperties", "minimum", "maximum", "pattern", "minLength"}
    assert any("." in each.path and each.rule == "additionalProperties" for each in tried)
    async with connect() as client:
        for each in tried:
            result = await client.call_tool(each.tool, each.arguments)
            assert kind_of(result) == "invalid_arguments", each
            problems = text_of(result).removeprefix("Invalid arguments: ")
            assert each.path in {problem.partition(": ")[0] for problem in problems.split("; ")}, each
    assert await world.requests() == []


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
def test_the_load_schemas_are_what_the_code_says(tool: Tool) -> None:
    """`make generate` writes them anew; the difference is reviewed like code."""
    assert load_schemas()[tool.name] == tool.derived_schemas()
    assert load_schemas().keys() == TOOLS.keys()


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


def _resolved(schema: dict[str, Any]) -> Any:
    """`schema` without references, and without the null of what may be left out."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        match node:
            case {"$ref": str(ref), **rest}:
                return resolve({**definitions[ref.rpartition("/")[2]], **rest})
            case {"anyOf": [branch, {"type": "null"}], **rest}:
                return resolve({**branch, **rest})
            case dict():
                return {key: resolve(value) for key, value in node.items()}
            case list():
                return [resolve(item) for item in node]
            case _:
                return node

    return resolve(schema)


def _places(
    node: dict[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from _places(part, (*path, name))
    if "items" in node:
        yield from _places(node["items"], (*path, 0))


def _breaking(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each rule of `node`, with a value that breaks it."""
    if node.get("type") == "object":
        yield "additionalProperties", {"unheard_of": 1}
    yield from ((rule, breaks(node[rule])) for rule, breaks in _BREAKS.items() if rule in node)


_BREAKS: dict[str, Callable[[Any], Any]] = {
    "minimum": lambda least: least - 1,
    "exclusiveMinimum": lambda bound: bound,
    "maximum": lambda most: most + 1,
    "minLength": lambda least: "x" * (least - 1),
    "maxLength": lambda most: "x" * (most + 1),
    "pattern": lambda _: " " * 8,
    "minItems": lambda _: [],
    "enum": lambda _: "none of these",
}


def _at(path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    inner = _at(path[1:], value)
    return [inner] if path[0] == 0 else {path[0]: inner}
