"""Completion of what a person types: arguments of prompts, and of resource addresses.

Only what the caller could find out by its tools is proposed, at one dealer of its own. What is not
known, not allowed, or not to be had right now is no proposal, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from mcp_types import CompleteRequestParams, Completion, PromptReference

from roadster_client.models.values import ID_PATTERN, VIN_CHARACTER
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Context, CurrentCaller
from roadster_server.store import StoreError
from roadster_tools import (
    RESOURCES,
    TOOLS,
    AdmittedCall,
    Caller,
    Failure,
    ToolFailure,
    usable_template_ids,
    verdict,
    vins_in_stock,
)

from .prompts import prompts_of
from .resources import may_read

_MOST = 100
"""As the specification has it."""

_READ_CUSTOMERS = ("list_documents", "get_customer")


async def complete(calls: Calls, who: CurrentCaller, ctx: Context, params: CompleteRequestParams) -> Completion:
    """What the caller may mean by the argument's value so far."""
    name, typed = params.argument.name, params.argument.value
    dealer = ((params.context.arguments if params.context else None) or {}).get("dealer")
    found: list[str] = []
    if name in _places(who(), params):
        match name:
            case "dealer":
                found = [own for own in who().dealers if own.startswith(typed)]
            case "vin":
                found = await _vins(calls, who, ctx, dealer, typed.upper())
            case "template_id":
                found = await _template_ids(calls, who, ctx, dealer, typed)
            case "customer_id":
                found = await _customer_ids(calls, who(), dealer, typed)
    return Completion(values=found[:_MOST], has_more=len(found) > _MOST)


def _places(caller: Caller, params: CompleteRequestParams) -> list[str]:
    """The arguments of what is completed; none where the caller may not use it."""
    if isinstance(params.ref, PromptReference):
        prompt = prompts_of(caller).get(params.ref.name)
        return [argument.name for argument in prompt.arguments] if prompt else []
    uri = params.ref.uri
    return next((found.parameters for found in RESOURCES if found.template == uri and may_read(caller, found)), [])


async def _vins(calls: Calls, who: CurrentCaller, ctx: Context, dealer: str | None, typed: str) -> list[str]:
    """Vehicles in stock, as list_inventory finds them."""
    if re.fullmatch(f"{VIN_CHARACTER}{{0,17}}", typed) is None:
        return []
    return await _asked(calls, who, ctx, "list_inventory", vins_in_stock, dealer, typed)


async def _template_ids(calls: Calls, who: CurrentCaller, ctx: Context, dealer: str | None, typed: str) -> list[str]:
    """Templates that are not deleted, as list_templates has them."""
    if re.fullmatch(f"({ID_PATTERN})?", typed) is None:
        return []
    return await _asked(calls, who, ctx, "list_templates", usable_template_ids, dealer, typed)


async def _asked(
    calls: Calls,
    who: CurrentCaller,
    ctx: Context,
    tool: str,
    body: Callable[..., Awaitable[list[str]]],
    dealer: str | None,
    typed: str,
) -> list[str]:
    """What an upstream has. Asking it counts, and is on record, as a use of `tool`."""
    if not verdict(who(), TOOLS[tool]).is_allowed:
        return []

    async def propose(admitted: AdmittedCall) -> list[str]:
        return await admitted.run_as(body, prefix=typed, most=_MOST + 1)

    found = await calls.use(who, ctx, TOOLS[tool], {} if dealer is None else {"dealer": dealer}, propose)
    return [] if isinstance(found, Failure) else found


async def _customer_ids(calls: Calls, caller: Caller, dealer: str | None, typed: str) -> list[str]:
    """Customers that are known here, for who may look at them. It counts too, and asks the store alone."""
    tool = next((TOOLS[name] for name in _READ_CUSTOMERS if verdict(caller, TOOLS[name]).is_allowed), None)
    if tool is None or re.fullmatch("[0-9]{0,16}", typed) is None:
        return []
    try:
        await calls.services.limiter.count_call(caller)
        return await calls.services.gate.ownership(caller, tool, dealer).ids("customer", typed, _MOST + 1)
    except (ToolFailure, StoreError):
        return []
