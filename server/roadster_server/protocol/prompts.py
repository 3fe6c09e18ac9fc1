"""The prompts of the protocol, for one caller."""

from __future__ import annotations

from collections.abc import Mapping

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from roadster_client import is_blank, is_visible
from roadster_prompts import Choices, PromptText
from roadster_tools import Caller, dealer_choices, name_choices

from .visible import asked_arguments, prompts_of


def mcp_prompt(prompt: PromptText, caller: Caller) -> Prompt:
    """Returns the prompt for `prompts/list`."""
    return Prompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            PromptArgument(
                name=argument.name,
                description=argument.description,
                required=argument.required,
            )
            for argument in asked_arguments(prompt, caller)
        ],
    )


def fill_prompt(name: str, arguments: Mapping[str, str], caller: Caller) -> GetPromptResult:
    """Returns the text of the prompt with its arguments. Raises MCPError."""
    prompts = prompts_of(caller)
    if name not in prompts:
        own = name_choices([*prompts], name) if prompts else "this caller may use none"
        raise _invalid(f"there is no such prompt; {own}")
    prompt = prompts[name]
    # Hosts send what a person did not fill in as a blank text.
    names = {argument.name for argument in prompt.arguments}
    filled = {key: value for key, value in arguments.items() if key not in names or not is_blank(value)}
    defaults = {"dealer": caller.dealers[0]} if len(caller.dealers) == 1 else {}
    try:
        choices = {"dealer": Choices(caller.dealer_set, lambda typed: dealer_choices(caller, typed))}
        text = prompt.render({**defaults, **filled}, choices, is_visible)
    except ValueError as error:
        raise _invalid(str(error)) from None
    return GetPromptResult(
        description=prompt.description,
        messages=[PromptMessage(role="user", content=TextContent(type="text", text=text))],
    )


def _invalid(message: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=message)
