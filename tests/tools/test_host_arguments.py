"""Arguments that hosts put into every call for themselves are dropped. Every other unknown argument is refused."""

from __future__ import annotations

from typing import Any

import pytest

from roadster_tools import HOST_ARGUMENTS, TOOLS, Tool
from tests.conftest import Connect, World, answer_of, kind_of, own_delivery, text_of
from tests.server.calls.writes import KEY, NEW_CUSTOMER, records, sent_writes
from tests.tool_examples import TOOL_EXAMPLES, every_call
from tests.tools.argument_places import plain_arguments

pytestmark = pytest.mark.anyio

OF_HOSTS: dict[str, Any] = {"wait_for_previous": True, "toolCallId": "call_0BCI", "sessionId": ["s", {"dealer": "x"}]}


def property_names(schema: Any) -> set[str]:
    """Returns the names of the properties in a schema, at every depth."""
    match schema:
        case dict():
            names = set(schema.get("properties", {}))
            return names.union(*map(property_names, schema.values()))
        case list():
            return set().union(*map(property_names, schema))
        case _:
            return set()


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_tool_has_no_argument_of_a_hosts_name(tool: Tool) -> None:
    assert OF_HOSTS.keys() == HOST_ARGUMENTS
    assert not property_names(tool.arguments.model_json_schema()) & HOST_ARGUMENTS


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
def test_arguments_of_hosts_leave_the_tools_own(tool: str) -> None:
    own = every_call("umazda")[tool]
    assert plain_arguments({**OF_HOSTS, **own}, TOOLS[tool].arguments) == plain_arguments(own, TOOLS[tool].arguments)


@pytest.mark.reliability("arguments that a host adds to every call", "dropped; the call is done")
async def test_every_tool_takes_a_call_with_arguments_of_hosts(connect: Connect, store_url: str) -> None:
    await own_delivery(store_url)
    async with connect(personal_data="contact") as client:
        for tool, own in every_call("umazda").items():
            assert kind_of(await client.call_tool(tool, {**own, **OF_HOSTS})) in (None, "not_found"), tool


async def test_write_with_other_arguments_of_hosts_is_the_same_write(
    connect: Connect, world: World, store_url: str
) -> None:
    """n8n numbers each call. Neither the key's hash nor the audit sees the number."""
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "toolCallId": "1"}))
        again = answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "toolCallId": "2"}))
    assert again["replayed"]
    assert await sent_writes(world) == ["create_customer"]
    for row in await records(store_url):
        names = {"dealer", "customer", "idempotency_key"}
        assert row.record.arguments.keys() == names | (
            {"answer.customer_id"} if row.record.outcome == "done" else set()
        )


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({**NEW_CUSTOMER, "toolcallid": "1"}, "toolcallid"),
        ({**NEW_CUSTOMER, "sessionId ": "1"}, "arguments"),
        ({**NEW_CUSTOMER, "session_id": "1"}, "session_id"),
        ({**NEW_CUSTOMER, "customer": {**NEW_CUSTOMER["customer"], "sessionId": "1"}}, "customer.sessionId"),
    ],
)
async def test_other_arguments_are_refused(
    arguments: dict[str, Any], path: str, connect: Connect, world: World
) -> None:
    """Also a host's name inside of an object: hosts put theirs beside the tool's own arguments."""
    async with connect() as client:
        result = await client.call_tool("create_customer", arguments)
    assert kind_of(result) == "invalid_arguments"
    assert path in text_of(result)
    assert await world.requests() == []
