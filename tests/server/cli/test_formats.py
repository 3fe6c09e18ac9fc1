"""The catalogue in OpenAI's form: strict where the schema allows it, and what is called by it is accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from roadster_server.cli.formats import render
from roadster_server.cli.strict_schema import NotStrict, strict
from roadster_tools import TOOLS
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.server.recordings.test_recordings import CALLS

pytestmark = pytest.mark.anyio

FUNCTIONS: dict[str, dict[str, Any]] = {
    listed["function"]["name"]: listed["function"] for listed in json.loads(render(TOOLS.values(), "openai"))
}
STRICT = {name: function for name, function in FUNCTIONS.items() if function["strict"]}

# Of the guide "Structured Outputs", its section on supported schemas, as of 2026.
TYPES = {"string", "number", "boolean", "integer", "object", "array", "null"}
KEYWORDS = {"type", "description", "properties", "required", "additionalProperties", "items", "enum", "anyOf"}
DEEPEST, MOST_PROPERTIES, MOST_CHOICES, MOST_CHARACTERS = 10, 5_000, 1_000, 120_000


def schemas(schema: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each schema within `schema`, with how deep it is nested."""
    yield depth, schema
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from schemas(part, depth + 1)
    if "items" in schema:
        yield from schemas(schema["items"], depth + 1)


def types(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given)


@pytest.mark.parametrize("name", STRICT)
def test_a_strict_function_keeps_the_rules_of_strict_mode(name: str) -> None:
    root = STRICT[name]["parameters"]
    assert types(root) == {"object"}
    assert "anyOf" not in root
    found = list(schemas(root))
    for depth, schema in found:
        assert depth <= DEEPEST
        assert schema.keys() <= KEYWORDS
        assert types(schema) <= TYPES
        assert types(schema) or "anyOf" in schema
        if "object" in types(schema):
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
        if "array" in types(schema):
            assert schema["items"]
        if "enum" in schema:
            assert (None in schema["enum"]) == ("null" in types(schema))
    properties = [name for _, schema in found for name in schema.get("properties", ())]
    choices = [choice for _, schema in found for choice in schema.get("enum", ())]
    assert len(properties) <= MOST_PROPERTIES
    assert len(choices) <= MOST_CHOICES
    assert sum(map(len, properties)) + sum(len(str(choice)) for choice in choices) <= MOST_CHARACTERS


def test_only_what_names_no_properties_is_not_strict() -> None:
    """A delivery's items and places are told in words: its schema stays as it is."""
    assert FUNCTIONS.keys() - STRICT.keys() == {"create_delivery", "update_delivery"}
    for name in FUNCTIONS.keys() - STRICT.keys():
        assert FUNCTIONS[name]["parameters"] == TOOLS[name].input_schema


@pytest.mark.parametrize("name", STRICT)
def test_the_strict_form_has_the_arguments_of_the_tool(name: str) -> None:
    """All of them, those that may be left out as null, with what it cannot say as a keyword said in words."""
    schema = TOOLS[name].input_schema
    made = STRICT[name]["parameters"]["properties"]
    assert list(made) == list(schema["properties"])
    for argument, part in made.items():
        nullable = "null" in types(part) or {"type": "null"} in part.get("anyOf", ())
        assert nullable == (argument not in schema.get("required", ()))
        told = json.dumps(part)
        for bound in ("maximum", "maxItems", "minLength"):
            if bound in schema["properties"][argument]:
                assert str(schema["properties"][argument][bound]) in told


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": True}}},
        {"type": "object", "properties": {}, "patternProperties": {}},
        {"description": "anything"},
    ],
)
def test_what_strict_mode_cannot_say_is_not_said_strictly(schema: dict[str, Any]) -> None:
    with pytest.raises(NotStrict):
        strict(schema)


def filled(schema: Mapping[str, Any], given: Any) -> Any:
    """`given` as a model in strict mode writes it: with null for what is left out."""
    schema = next((part for part in schema.get("anyOf", ()) if types(part) != {"null"}), schema)
    if isinstance(given, list):
        return [filled(schema["items"], item) for item in given]
    if isinstance(given, Mapping):
        assert given.keys() <= schema["properties"].keys()
        return {
            name: filled(part, given[name]) if name in given else None for name, part in schema["properties"].items()
        }
    return given


async def test_calls_with_null_for_all_that_is_left_out_are_accepted(connect: Connect, world: World) -> None:
    """In nested objects, too: each tool does what it does without the nulls."""
    async with connect() as client:
        for name, arguments in CALLS.items():
            made = filled(STRICT[name]["parameters"], arguments) if name in STRICT else dict(arguments)
            result = await client.call_tool(name, made)
            assert kind_of(result) is None, f"{name}: {text_of(result)}"
        plans = await client.call_tool("list_protection_plans", dict(CALLS["list_protection_plans"]))
        plan = answer_of(plans)["plans"][0]["id"]
        everything = {
            "create_customer": {
                "dealer": "umazda",
                "customer": {"first_name": "Carlos", "last_name": "Silva", "email": "carlos.silva@example.com"},
                "vehicle": {"make": "Mazda"},
                "plans": [{"id": plan}],
            },
            "quote_payments": {
                "dealer": "umazda",
                "vin": "3MVDMBBM0SM472067",
                "trade_in": {"value": 9000},
                "plans": [{"id": plan}],
            },
        }
        for name, arguments in everything.items():
            result = await client.call_tool(name, filled(STRICT[name]["parameters"], arguments))
            assert kind_of(result) is None, f"{name}: {text_of(result)}"
