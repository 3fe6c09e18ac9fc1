"""The catalogue in OpenAI's form: it is strict where the schema allows it, and the server accepts calls made by it."""

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
    function["function"]["name"]: function["function"] for function in json.loads(render(TOOLS.values(), "openai"))
}
STRICT = {name: function for name, function in FUNCTIONS.items() if function["strict"]}

# Of the guide "Structured Outputs", its section on supported schemas, as of 2026.
TYPES = {"string", "number", "boolean", "integer", "object", "array", "null"}
KEYWORDS = {"type", "description", "properties", "required", "additionalProperties", "items", "enum", "anyOf"}
DEEPEST, MOST_PROPERTIES, MOST_CHOICES, MOST_CHARACTERS = 10, 5_000, 1_000, 120_000


def schemas(schema: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields each schema within `schema` with its depth."""
    yield depth, schema
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from schemas(part, depth + 1)
    if "items" in schema:
        yield from schemas(schema["items"], depth + 1)


def types(schema: Mapping[str, Any]) -> set[str]:
    value = schema.get("type", [])
    return {value} if isinstance(value, str) else set(value)


@pytest.mark.parametrize("name", STRICT)
def test_strict_function_keeps_the_rules_of_strict_mode(name: str) -> None:
    root = STRICT[name]["parameters"]
    assert types(root) == {"object"}
    assert "anyOf" not in root
    parts = list(schemas(root))
    for depth, schema in parts:
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
    properties = [name for _, schema in parts for name in schema.get("properties", ())]
    choices = [choice for _, schema in parts for choice in schema.get("enum", ())]
    assert len(properties) <= MOST_PROPERTIES
    assert len(choices) <= MOST_CHOICES
    assert sum(map(len, properties)) + sum(len(str(choice)) for choice in choices) <= MOST_CHARACTERS


def test_every_tool_has_a_strict_form() -> None:
    """Each object names its properties."""
    assert FUNCTIONS.keys() == STRICT.keys()


@pytest.mark.parametrize("name", STRICT)
def test_strict_form_has_the_arguments_of_the_tool(name: str) -> None:
    """Optional ones may be null. The description says what strict mode has no keyword for."""
    schema = TOOLS[name].input_schema
    properties = STRICT[name]["parameters"]["properties"]
    assert list(properties) == list(schema["properties"])
    for argument, part in properties.items():
        nullable = "null" in types(part) or {"type": "null"} in part.get("anyOf", ())
        assert nullable == (argument not in schema.get("required", ()))
        text = json.dumps(part)
        for keyword in ("maximum", "maxItems", "minLength"):
            if keyword in schema["properties"][argument]:
                assert str(schema["properties"][argument][keyword]) in text


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
def test_strict_form_is_refused_for_other_schemas(schema: dict[str, Any]) -> None:
    with pytest.raises(NotStrict):
        strict(schema)


def fill(schema: Mapping[str, Any], value: Any) -> Any:
    """Returns `value` as a model in strict mode writes it, with null for everything that is left out."""
    schema = next((part for part in schema.get("anyOf", ()) if types(part) != {"null"}), schema)
    if isinstance(value, list):
        return [fill(schema["items"], item) for item in value]
    if isinstance(value, Mapping):
        assert value.keys() <= schema["properties"].keys()
        return {name: fill(part, value[name]) if name in value else None for name, part in schema["properties"].items()}
    return value


async def test_call_with_null_for_omitted_arguments_is_accepted(connect: Connect, world: World) -> None:
    """Each tool does the same as without the nulls, also in nested objects."""
    async with connect() as client:
        for name, arguments in CALLS.items():
            properties = fill(STRICT[name]["parameters"], arguments) if name in STRICT else dict(arguments)
            result = await client.call_tool(name, properties)
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
            result = await client.call_tool(name, fill(STRICT[name]["parameters"], arguments))
            assert kind_of(result) is None, f"{name}: {text_of(result)}"
