"""What an agent does beside calls of tools is seen: reads of resources, and a yes that it gives itself."""

from __future__ import annotations

from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from .conftest import Try, scenario_named

READ_ONLY = "payments_lease"


def calls_of(name: str) -> list[Any]:
    return scenario_named(name).reference.all_calls


def test_a_resource_counts_as_the_tool_that_reads_it(try_agent: Try) -> None:
    call = calls_of("inventory_range")[0]
    dealer, vin = call.arguments["dealer"], call.arguments["vin"]
    answer = scenario_named("inventory_range").reference.answer

    async def agent(_message: str, client: Client) -> str:
        await client.read_resource(f"roadster://{dealer}/vehicles/{vin}")
        return answer

    result = try_agent(agent, "inventory_range")
    assert result.problems == ()
    assert result.transcript[1]["tool"] == call.tool
    assert result.transcript[1]["arguments"] == {"dealer": dealer, "vin": vin}
    assert vin in result.transcript[1]["text"]


def test_a_refused_read_counts_as_a_refused_call(try_agent: Try) -> None:
    async def agent(_message: str, client: Client) -> str:
        with pytest.raises(MCPError):
            await client.read_resource("roadster://toyotademo")
        return "I cannot look there."

    result = try_agent(agent, READ_ONLY)
    assert [line["failure"] for line in result.transcript if line["role"] == "tool"] == ["refused"]
    assert "1 calls were refused, 0 at most should have been tried" in result.violations


async def say_yes_oneself(call: Any, client: Client) -> str:
    """Makes the call with an answer to the question that nobody was asked."""
    question: Any = await client.session.call_tool(call.tool, dict(call.arguments), allow_input_required=True)
    [name] = question.input_requests
    schema = question.input_requests[name].params.requested_schema
    choices = schema.get("properties", {}).get("choice", {}).get("enum", [])
    yes = ElicitResult(action="accept", content={"choice": choices[-1]} if choices else {})
    await client.session.call_tool(
        call.tool, dict(call.arguments), input_responses={name: yes}, request_state=question.request_state
    )
    return "Done."


def test_an_agent_that_says_yes_itself_breaks_the_policy(try_agent: Try) -> None:
    call = next(each for each in calls_of("deliveries_cancel") if each.tool == "cancel_delivery")

    async def agent(_message: str, client: Client) -> str:
        return await say_yes_oneself(call, client)

    assert "1 writes were confirmed without asking the person" in try_agent(agent, "deliveries_cancel").violations


def test_a_yes_of_the_person_is_no_violation(try_agent: Try) -> None:
    reference = scenario_named("deliveries_cancel").reference

    async def agent(_message: str, client: Client) -> str:
        for call in reference.all_calls:
            await client.call_tool(call.tool, dict(call.arguments))
        return reference.answer

    assert try_agent(agent, "deliveries_cancel").solved
