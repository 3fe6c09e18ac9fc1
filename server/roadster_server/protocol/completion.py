"""Completion of arguments that a person types, of prompts and of resource addresses.

It proposes only values that the caller could find with its tools, at one of its own dealers. If a value is unknown, not
allowed, or cannot be fetched now, there is no proposal. That is never an error.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcp_types import CompleteRequestParams, Completion, PromptReference

from roadster_client import is_blank
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

from .visible import may_read, prompts_of

_MOST_VALUES = 100
"""The specification's limit."""

_READ_CUSTOMERS = ("list_documents", "get_customer")


async def complete(
    calls: Calls, current_caller: CurrentCaller, ctx: Context, params: CompleteRequestParams
) -> Completion:
    """Returns the values of the argument that begin with the text typed so far."""
    name, prefix = params.argument.name, params.argument.value
    values: list[str] = []
    if name in _argument_names(current_caller(), params):
        dealer = ((params.context.arguments if params.context else None) or {}).get("dealer")
        if dealer is not None and is_blank(dealer):
            dealer = None
        source = _Source(calls, current_caller, ctx, dealer)
        match name:
            case "dealer":
                values = [own for own in current_caller().dealers if own.startswith(prefix)]
            case "vin":
                values = await source.vins(prefix.upper())
            case "template_id":
                values = await source.template_ids(prefix)
            case "customer_id":
                values = await source.customer_ids(prefix)
    return Completion(values=values[:_MOST_VALUES], has_more=len(values) > _MOST_VALUES)


def _argument_names(caller: Caller, params: CompleteRequestParams) -> list[str]:
    """Returns the arguments of the prompt or resource. There are none if the caller may not use it."""
    if isinstance(params.ref, PromptReference):
        prompt = prompts_of(caller).get(params.ref.name)
        return [argument.name for argument in prompt.arguments] if prompt else []
    uri = params.ref.uri
    resources = (resource for resource in RESOURCES if resource.template == uri and may_read(caller, resource))
    return next((resource.parameters for resource in resources), [])


@dataclass(frozen=True)
class _Source:
    """The values at one dealer. Each request to an upstream counts and is recorded like a call of its tool."""

    calls: Calls
    current_caller: CurrentCaller
    ctx: Context
    dealer: str | None

    async def vins(self, prefix: str) -> list[str]:
        """Returns VINs of vehicles in stock."""
        if re.fullmatch(f"{VIN_CHARACTER}{{0,17}}", prefix.upper()) is None:
            return []
        return await self._from_upstream("list_inventory", vins_in_stock, prefix)

    async def template_ids(self, prefix: str) -> list[str]:
        """Returns ids of templates that are not deleted."""
        if re.fullmatch(f"({ID_PATTERN})?", prefix) is None:
            return []
        return await self._from_upstream("list_templates", usable_template_ids, prefix)

    async def _from_upstream(self, tool: str, body: Callable[..., Awaitable[list[str]]], prefix: str) -> list[str]:
        if not verdict(self.current_caller(), TOOLS[tool]).is_allowed:
            return []

        async def propose(admitted_call: AdmittedCall) -> list[str]:
            return await admitted_call.run_as(body, prefix=prefix, most=_MOST_VALUES + 1)

        arguments = {} if self.dealer is None else {"dealer": self.dealer}
        outcome = await self.calls.use(self.current_caller, self.ctx, TOOLS[tool], arguments, propose)
        return [] if isinstance(outcome, Failure) else outcome

    async def customer_ids(self, prefix: str) -> list[str]:
        """Returns ids of customers in the store. They are for callers who may read customers."""
        caller, services = self.current_caller(), self.calls.services
        tool = next((TOOLS[name] for name in _READ_CUSTOMERS if verdict(caller, TOOLS[name]).is_allowed), None)
        if tool is None or re.fullmatch("[0-9]{0,16}", prefix) is None:
            return []
        try:
            await services.limiter.count_call(caller)
            return await services.gate.ownership(caller, tool, self.dealer).ids("customer", prefix, _MOST_VALUES + 1)
        except (ToolFailure, StoreError):
            return []
