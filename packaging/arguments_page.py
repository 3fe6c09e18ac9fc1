"""The reference of the tools' arguments and answers, from the schemas that are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roadster_tools import TOOLS, Tool
from roadster_tools.schemas import compact

Schema = Mapping[str, Any]


def arguments() -> str:
    """Returns the page's generated part: for each tool, its arguments and the fields of its answer."""
    return "\n".join(_section(tool) for tool in TOOLS.values())


def _section(tool: Tool) -> str:
    whole = compact(tool.arguments.model_json_schema(mode="validation"), names_only=False)
    rows = [
        f"| `{name}` | {_type(schema)} | {', '.join(_notes(tool, name, schema))} |"
        for name, schema in whole.get("properties", {}).items()
    ]
    table = ["| argument | type | |", "|---|---|---|", *rows] if rows else ["It takes no argument."]
    fields = ", ".join(f"`{name}`" for name in tool.output_schema["properties"])
    return "\n".join([f"## {tool.name}", "", *table, "", f"Answers with {fields}.", ""])


def _notes(tool: Tool, name: str, schema: Schema) -> Iterator[str]:
    if name in tool.input_schema.get("required", ()):
        yield "required"
    if "description" in schema:
        yield schema["description"]
    if "default" in schema:
        yield f"default {str(schema['default']).lower()}"
    if "maximum" in schema:
        yield f"at most {schema['maximum']}"


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema["type"]:
        case "array":
            item = schema["items"]
            kind = item["description"] if "description" in item else _type(item)
            return f"list of {kind}s" if kind.isalpha() else f"list of {kind}"
        case "object":
            required = schema.get("required", ())
            fields = [name if name in required else f"{name}?" for name in schema.get("properties", ())]
            return f"{{{', '.join(fields)}}}" if fields else "object"
        case kind:
            return schema.get("format", kind)
