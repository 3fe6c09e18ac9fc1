"""`tools`: the catalogue in the forms that hosts and readers need."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from roadster_server.protocol.server import mcp_tool
from roadster_tools import Tool

from .strict_schema import NotStrict, strict

Form = Literal["mcp", "openai", "anthropic", "markdown"]


def render(tools: Iterable[Tool], form: Form) -> str:
    """Returns `tools` as JSON, or as a Markdown table."""
    match form:
        case "mcp":
            return _json([mcp_tool(tool).model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools])
        case "openai":
            return _json([{"type": "function", "function": _openai_function(tool)} for tool in tools])
        case "anthropic":
            return _json([_function(tool, "input_schema") for tool in tools])
        case "markdown":
            rows = [
                f"| {tool.toolset} | `{tool.name}` | {'writes' if tool.writes else 'reads'} | {tool.description} |"
                for tool in tools
            ]
            return "\n".join(["| toolset | tool | | what for |", "|---|---|---|---|", *rows])


def _openai_function(tool: Tool) -> dict[str, Any]:
    function = _function(tool, "parameters")
    try:
        return {**function, "parameters": strict(tool.input_schema), "strict": True}
    except NotStrict:
        return {**function, "strict": False}


def _function(tool: Tool, schema_key: str) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, schema_key: tool.input_schema}


def _json(document: list[dict[str, Any]]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
