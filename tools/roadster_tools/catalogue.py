"""Makes tools of typed functions, and one list of them.

    @tool("Details of one vehicle")
    async def get_vehicle(grant: Grant, vin: Vin) -> VehicleAnswer:
        \"\"\"When to use it, and when not: what a model reads.\"\"\"

The first parameter is what the tool is granted: a `Grant` at one dealer, or an `AccountGrant` for an `account_tool`.
The others are the tool's arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .tool import Tool, ToolFunction


def tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool of a function that reads at one dealer. Its docstring is the description that a model reads."""
    return lambda function: Tool(function, title)


def account_tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool of a function that reads for the whole account, and so takes no dealer."""
    return lambda function: Tool(function, title, of_one_dealer=False)


def write_tool(title: str, *, if_unknown: str, destructive: bool = False) -> Callable[[ToolFunction], Tool]:
    """Makes a tool of a function that changes something at one dealer."""
    return lambda function: Tool(function, title, writes=True, destructive=destructive, if_unknown=if_unknown)


def catalogue(**toolsets: tuple[Tool, ...]) -> dict[str, Tool]:
    """Returns the tools by name, in order, each with the name of its toolset."""
    return {tool.name: replace(tool, toolset=toolset) for toolset, tools in toolsets.items() for tool in tools}
