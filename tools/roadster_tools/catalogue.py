"""Makes tools from typed functions, and one list of them.

    @tool("Details of one vehicle")
    async def get_vehicle(grant: Grant, vin: Vin) -> VehicleAnswer:
        \"\"\"When to use it, and when not: a model reads this.\"\"\"

The first parameter is the grant: a `Grant` for one dealer, or an `AccountGrant` for an `account_tool`. The others are
the tool's arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .tool import Tool, ToolFunction


def tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool from a function that reads at one dealer. A model reads the function's docstring."""
    return lambda function: _tool(function, title, of_one_dealer=True)


def account_tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool from a function that reads for the whole account and therefore takes no dealer."""
    return lambda function: _tool(function, title, of_one_dealer=False)


def approval_tool(title: str) -> Callable[[ToolFunction], Tool]:
    """Makes a tool that shows what became of writes that wait for a person. It takes no dealer."""
    return lambda function: _tool(function, title, of_one_dealer=False, follows_writes=True)


def write_tool(title: str, *, if_unknown: str, destructive: bool = False) -> Callable[[ToolFunction], Tool]:
    """Makes a tool from a function that changes something at one dealer."""
    return lambda function: _tool(
        function, title, of_one_dealer=True, writes=True, destructive=destructive, if_unknown=if_unknown
    )


def _tool(function: ToolFunction, title: str, **facts: Any) -> Tool:
    return Tool(
        function.__name__,
        title,
        " ".join((function.__doc__ or "").split()),
        function.__module__,
        own_function=function,
        **facts,
    )


def catalogue(**toolsets: tuple[Tool, ...]) -> dict[str, Tool]:
    """Returns the tools by name, in order, each with the name of its toolset."""
    return {tool.name: replace(tool, toolset=toolset) for toolset, tools in toolsets.items() for tool in tools}
