"""Completion of what a person types: arguments of prompts, and of resource addresses.

Only what the caller could find out by its tools is proposed, at one dealer of its own. What is not
known, not allowed, or not to be had right now is no proposal, never an error.
"""

from __future__ import annotations

import re

from mcp_types import CompleteRequestParams, Completion, PromptReference

from roadster_tools import RESOURCES, TOOLS, Admitted, Caller, Failure, ToolFailure, verdict, vins_in_stock

from .calls import Calls, Context, WhoIsCalling
from .prompts import prompts_of
from .resources import may_read
from .store import StoreError

_MOST = 100
"""As the specification has it."""

_OF_CUSTOMERS = ("customers", "documents")
"""The toolsets whose tools take a customer's id."""


async def complete(calls: Calls, who: WhoIsCalling, ctx: Context, params: CompleteRequestParams) -> Completion:
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
            case "customer_id":
                found = await _customer_ids(calls, who(), dealer, typed)
    return Completion(values=found[:_MOST], has_more=len(found) > _MOST)


def _places(caller: Caller, params: CompleteRequestParams) -> list[str]:
    """The arguments of what is completed; none where the caller may not use it."""
    if isinstance(params.ref, PromptReference):
        prompt = prompts_of(caller).get(params.ref.name)
        return [argument.name for argument in prompt.arguments] if prompt else []
    uri = params.ref.uri
    return next((found.places for found in RESOURCES if found.template == uri and may_read(caller, found)), [])


async def _vins(calls: Calls, who: WhoIsCalling, ctx: Context, dealer: str | None, typed: str) -> list[str]:
    """Vehicles in stock. This asks the upstream, so it counts and is on record as a use of list_inventory."""
    tool = TOOLS["list_inventory"]
    if not verdict(who(), tool).allowed or re.fullmatch("[A-HJ-NPR-Z0-9]{0,17}", typed) is None:
        return []

    async def propose(admitted: Admitted) -> list[str]:
        return await admitted.run_as(vins_in_stock, prefix=typed, most=_MOST + 1)

    found = await calls.use(who, ctx, tool, {} if dealer is None else {"dealer": dealer}, propose)
    return [] if isinstance(found, Failure) else found


async def _customer_ids(calls: Calls, caller: Caller, dealer: str | None, typed: str) -> list[str]:
    """Customers that were made here. It counts too, and asks nobody but the store."""
    tools = [tool for tool in TOOLS.values() if tool.toolset in _OF_CUSTOMERS and verdict(caller, tool).allowed]
    if not tools or re.fullmatch("[0-9]{0,16}", typed) is None:
        return []
    try:
        await calls.limiter.count_call(caller)
        return await calls.gate.belongings(caller, tools[0], dealer).known("customer", typed, _MOST + 1)
    except (ToolFailure, StoreError):
        return []
