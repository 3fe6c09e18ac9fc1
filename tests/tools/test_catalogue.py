"""The rules of the whole catalogue, so that a new tool is checked without a test of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from roadster_server.protocol.server import mcp_tool
from roadster_tools import TOOLS, TOOLSETS, Tool
from roadster_tools.definitions import DEFINITIONS
from roadster_tools.gate.gate import Grant
from roadster_tools.schemas import load_schemas
from tests.conftest import Connect, World, kind_of, text_of
from tests.tool_examples import TOOL_EXAMPLES

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def test_catalogue_has_an_example_of_each_tool() -> None:
    assert TOOL_EXAMPLES.keys() == TOOLS.keys(), "add the tool to tests/tool_examples.py"
    assert [name for name, example in TOOL_EXAMPLES.items() if example.sends] == [
        name for name in TOOL_EXAMPLES if TOOLS[name].writes
    ]


def test_catalogue_names_no_tool_like_a_toolset() -> None:
    """An access setting would be ambiguous."""
    assert not TOOLS.keys() & set(TOOLSETS)


@every_tool
def test_tool_has_a_name_a_title_and_a_description(tool: Tool) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", tool.name)
    assert tool.title
    assert 80 <= len(tool.description) <= 500
    assert "\n" not in tool.description


@every_tool
def test_tool_hints_are_set_and_agree(tool: Tool) -> None:
    hints = mcp_tool(tool).annotations
    assert hints is not None
    assert hints.read_only_hint is not tool.writes
    assert None not in (hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert tool.writes or not hints.destructive_hint


@every_tool
def test_tool_of_one_dealer_takes_a_grant(tool: Tool) -> None:
    """The decorator and the function's first parameter say the same: a `Grant`, or the grant of an account."""
    first, *_ = get_type_hints(tool.function).values()
    assert tool.of_one_dealer is (first is Grant)


@every_tool
def test_input_schema_takes_no_other_arguments(tool: Tool) -> None:
    """The published schema leaves that out, because google-genai cannot convert it: see the test of what it omits."""
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.input_schema["type"] == "object"
    assert "additionalProperties" not in str(tool.input_schema)
    assert tool.arguments.model_json_schema()["additionalProperties"] is False


@every_tool
def test_input_schema_names_the_properties_of_each_object(tool: Tool) -> None:
    """Six of the frameworks we tried make an object without properties empty, or a text."""
    checked = [node for node in _nodes(_resolve(tool.arguments.model_json_schema())) if node.get("type") == "object"]
    published = [node for node in _nodes(tool.input_schema) if node.get("type") == "object"]
    assert [[*node["properties"]] for node in published] == [[*node["properties"]] for node in checked]
    assert all(node["properties"] for node in published) or tool.name == "list_dealers"


@every_tool
def test_input_schema_has_types_and_the_default_choice_first(tool: Tool) -> None:
    """The published schema leaves a text's default out, because it is the first of its choices."""
    full = _resolve(tool.arguments.model_json_schema())
    for name, published in tool.input_schema["properties"].items():
        assert all("type" in node for node in _nodes(published)), name
        default = full["properties"][name].get("default")
        if isinstance(default, str):
            assert published["enum"][0] == default


@dataclass(frozen=True)
class Violation:
    """Arguments that break one rule of a tool. `path` is the place of the wrong value, as an answer names it."""

    tool: str
    path: str
    rule: str
    arguments: dict[str, Any]


def violations() -> Iterator[Violation]:
    """Yields one for each rule in each tool's full schema, which pydantic checks."""
    for tool in TOOLS.values():
        schema = _resolve(tool.arguments.model_json_schema())
        for path, node in _places(schema, ()):
            for rule, value in _wrong_values(node):
                if value == [] and path[0] not in schema["required"]:
                    continue  # counts as left out
                arguments = _nest(path, value)
                place = ".".join(map(str, (*path, "unheard_of") if rule == "additionalProperties" else path))
                yield Violation(tool.name, place, rule, arguments)


@pytest.mark.anyio
async def test_rules_that_published_schemas_omit_are_checked(connect: Connect, world: World) -> None:
    """Each bound, length and pattern is checked, and each unknown argument is refused, however deep it stands."""
    cases = list(violations())
    assert {each.rule for each in cases} >= {"additionalProperties", "minimum", "maximum", "pattern", "minLength"}
    assert any("." in each.path and each.rule == "additionalProperties" for each in cases)
    async with connect() as client:
        for each in cases:
            result = await client.call_tool(each.tool, each.arguments)
            assert kind_of(result) == "invalid_arguments", each
            problems = text_of(result).removeprefix("Invalid arguments: ")
            assert each.path in {problem.partition(": ")[0] for problem in problems.split("; ")}, each
    assert await world.requests() == []


@every_tool
def test_schemas_hold_no_reference_title_or_null(tool: Tool) -> None:
    """Not every host resolves references, generated titles repeat names, and optional fields are simply left out."""
    Draft202012Validator.check_schema(tool.output_schema)
    for schema in (tool.input_schema, tool.output_schema):
        assert "$ref" not in str(schema)
        for node in _nodes(schema):
            assert not isinstance(node.get("title"), str)
            assert node.get("type") != "null"


@every_tool
def test_tool_takes_a_dealer_only_by_its_dpid(tool: Tool) -> None:
    """A dealer's partner id comes from the configuration, so no argument can carry one."""
    properties = tool.input_schema["properties"]
    assert ("dealer" in properties) is (tool.name not in ("list_dealers", "get_approval"))
    if "dealer" in properties:
        assert properties["dealer"]["type"] == "string"
    assert not {"dpid", "partner_id", "dealer_id"} & properties.keys()


@pytest.mark.parametrize("tool", DEFINITIONS.values(), ids=DEFINITIONS)
def test_stored_tool_is_what_the_code_derives(tool: Tool) -> None:
    """`make generate` writes them anew, and the difference is reviewed like code."""
    assert load_schemas()[tool.name] == tool.as_json()
    assert TOOLS[tool.name] == tool
    assert list(TOOLS) == list(DEFINITIONS)


def test_a_tool_that_is_not_stored_as_it_is_has_no_function() -> None:
    """Otherwise a write could pass as a read until the file is made anew."""
    create = TOOLS["create_customer"]
    assert create.function is DEFINITIONS["create_customer"].function
    for facts in ({"writes": False}, {"of_one_dealer": False}, {"name": "assign_agent"}, {"description": "another"}):
        with pytest.raises(RuntimeError, match="make generate"):
            replace(create, **facts).function  # noqa: B018 - it is read for its error


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


def _resolve(schema: dict[str, Any]) -> Any:
    """Returns `schema` without references, and without the null of optional fields."""
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


def _wrong_values(node: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields each rule of `node` with a value that breaks it."""
    if node.get("type") == "object":
        yield "additionalProperties", {"unheard_of": 1}
    for rule, wrong_value in _WRONG_VALUES.items():
        if rule in node and (rule, node[rule]) != ("minLength", 1):  # a blank text counts as left out
            yield rule, wrong_value(node[rule])


_WRONG_VALUES: dict[str, Callable[[Any], Any]] = {
    "minimum": lambda least: least - 1,
    "exclusiveMinimum": lambda bound: bound,
    "maximum": lambda most: most + 1,
    "minLength": lambda least: "x" * (least - 1),
    "maxLength": lambda most: "x" * (most + 1),
    "pattern": lambda _: "two words",
    "minItems": lambda _: [],
    "enum": lambda _: "none of these",
}


def _nest(path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    inner = _nest(path[1:], value)
    return [inner] if path[0] == 0 else {path[0]: inner}
