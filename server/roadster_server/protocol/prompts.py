"""The prompts as the protocol shows and fills them, for the caller that asks."""

from __future__ import annotations

from collections.abc import Mapping

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from roadster_client import is_visible
from roadster_prompts import PROMPTS, PromptText
from roadster_tools import TOOLS, Caller, verdict


def prompts_of(caller: Caller) -> dict[str, PromptText]:
    """By name, the prompts whose indispensable tools `caller` may use."""
    return {
        name: prompt
        for name, prompt in PROMPTS.items()
        if all(verdict(caller, TOOLS[needed]).is_allowed for needed in prompt.needs)
    }


def listed(prompt: PromptText, caller: Caller) -> Prompt:
    """The prompt as `prompts/list` shows it: who has one dealer need not name it, as with the tools."""
    optional = {"dealer"} if len(caller.dealers) == 1 else set()
    return Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            PromptArgument(
                name=argument.name,
                description=argument.description,
                required=argument.required and argument.name not in optional,
            )
            for argument in prompt.arguments
        ],
    )


def filled(name: str, given: Mapping[str, str], caller: Caller) -> GetPromptResult:
    """The prompt with its arguments. Raises MCPError."""
    prompts = prompts_of(caller)
    if name not in prompts:
        raise _invalid(f"there is no such prompt; there are: {', '.join(prompts)}")
    only = {"dealer": caller.dealers[0]} if len(caller.dealers) == 1 else {}
    try:
        text = prompts[name].render({**only, **given}, {"dealer": caller.dealers}, is_visible)
    except ValueError as error:
        raise _invalid(str(error)) from None
    return GetPromptResult(
        description=prompts[name].description,
        messages=[PromptMessage(role="user", content=TextContent(type="text", text=text))],
    )


def _invalid(message: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=message)
