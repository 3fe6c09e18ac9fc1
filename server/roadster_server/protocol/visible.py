"""The part of the tools, prompts and resources that a caller may see, in the order of the lists. It needs no SDK."""

from __future__ import annotations

from typing import Literal

from roadster_prompts import PROMPTS, Argument, PromptText
from roadster_tools import RESOURCES, TOOLS, Caller, Resource, Tool, verdict

PAGE = 50
"""Rows of one page of a list. The largest rows are resources, and 50 of them have about 15,000 characters."""


def tools_of(caller: Caller) -> list[Tool]:
    """Returns the tools that the caller may use, in the order of the catalogue."""
    return [tool for tool in TOOLS.values() if verdict(caller, tool).is_allowed]


def prompts_of(caller: Caller) -> dict[str, PromptText]:
    """Returns the prompts by name. A prompt is left out if the caller may not use a tool that it needs."""
    return {
        name: prompt
        for name, prompt in PROMPTS.items()
        if all(verdict(caller, TOOLS[tool]).is_allowed for tool in prompt.needs)
    }


def asked_arguments(prompt: PromptText, caller: Caller) -> list[Argument]:
    """Returns the arguments that a person is asked for. A caller with one dealer is not asked for it."""
    left_out = {"dealer"} if len(caller.dealers) == 1 else set()
    return [argument for argument in prompt.arguments if argument.name not in left_out]


def may_read(caller: Caller, resource: Resource) -> bool:
    """Returns whether the caller may read the resource at its own dealers."""
    return verdict(caller, TOOLS[resource.tool_name]).is_allowed and resource.visibility(caller).is_allowed


def templates_of(caller: Caller) -> list[Resource]:
    """Returns the resources that the caller may read, in the order of `RESOURCES`."""
    return [resource for resource in RESOURCES if may_read(caller, resource)]


def resources_of(caller: Caller) -> list[tuple[Resource, str]]:
    """Returns what can be listed without an upstream: each of the caller's dealers, if it may read them."""
    return [
        (resource, dealer)
        for resource in templates_of(caller)
        if resource.parameters == ["dealer"]
        for dealer in caller.dealers
    ]


def audience_of(resource: Resource) -> list[Literal["user", "assistant"]]:
    """A file is meant for the person, and any other answer for the model too."""
    return ["user"] if resource.file else ["user", "assistant"]
