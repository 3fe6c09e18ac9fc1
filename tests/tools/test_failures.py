"""The texts of failures: they name the tool and the argument, and nothing of the upstream's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, World, kind_of, text_of
from tests.tool_examples import SOME_VIN
from tests.tools.umazda import AT_UMAZDA, FixedAnswer

pytestmark = pytest.mark.anyio

LOOKUPS: list[tuple[str, dict[str, Any], str]] = [
    ("get_vehicle", {"vin": SOME_VIN}, "Check vin."),
    ("get_document", {"customer_id": 5, "document_id": 7}, "Check customer_id and document_id."),
    ("list_documents", {"customer_id": 5}, "Check customer_id."),
    ("get_template", {"template_id": "999"}, "Check template_id."),
    ("get_template_file", {"template_id": "999"}, "Check template_id."),
    ("get_delivery", {"delivery_id": 5}, "Check delivery_id."),
    ("cancel_delivery", {"delivery_id": 5}, "Check delivery_id. Nothing was changed."),
    ("get_crm_customer", {"customer_uuid": "c0000000-0000-4000-8a00-000000000009"}, "Check customer_uuid."),
    (
        "get_dealer",
        {},
        (
            "Probably Roadster has not provisioned the dealer for this API key; list_dealers shows those that it has. "
            "The server's operator must ask Roadster for it, or correct its dpid or base_url in the configuration."
        ),
    ),
]


@pytest.mark.parametrize(("tool", "arguments", "advice"), LOOKUPS, ids=[row[0] for row in LOOKUPS])
async def test_failure_not_found_names_tool_and_argument(
    tool: str, arguments: dict[str, Any], advice: str, connect: Connect, world: World
) -> None:
    """A caller knows its tool and its arguments, and not the operations of an upstream."""
    async with connect() as client:
        if tool in {"get_vehicle", "get_dealer", "list_documents"}:
            await world.fault(tool, "status", status=404)
        result = await client.call_tool(tool, {"dealer": "umazda", **arguments})
    assert kind_of(result) == "not_found"
    assert text_of(result).startswith(f"{tool}: ")
    assert text_of(result).endswith(f"at this dealer. {advice}")


async def test_failure_names_the_tool_not_the_operation(connect: Connect, world: World) -> None:
    async with connect() as client:
        for status in (400, 401, 404, 429, 500):
            await world.fault("*", "status", status=status, times=3, retry_after=None)
            for tool, arguments in {
                "list_protection_plans": {"vin": SOME_VIN, "deal_type": "cash"},
                "assign_agent": {"customer_id": 5, "agent": {"id": "ID9876"}},
            }.items():
                text = text_of(await client.call_tool(tool, {"dealer": "umazda", **arguments}))
                assert tool in text
                assert "list_plans" not in text
                assert "update_customer" not in text


async def test_failure_for_an_answer_too_large_for_a_model(connect: Connect) -> None:
    body = b'{"vehicle_info": {"make": "' + b"x" * 1_000_000 + b'"}}'
    async with connect(upstream=FixedAnswer(body)) as client:
        result = await client.call_tool("get_vehicle", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067"})
    assert kind_of(result) == "upstream"
    assert len(text_of(result)) < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"dealer": "toyotademo", "vehicles": []}',
        b'{"dealership": {"partner_id": 12345}, "vehicles": []}',
        b'{"meta": [{"dpid": "toyotademo"}], "vehicles": []}',
    ],
)
async def test_failure_for_an_answer_that_names_another_dealer(body: bytes, connect: Connect) -> None:
    async with connect(upstream=FixedAnswer(body)) as client:
        result = await client.call_tool("list_inventory", dict(AT_UMAZDA))
    assert kind_of(result) == "upstream"
    assert "another dealer" in text_of(result)


@pytest.mark.parametrize(
    ("tool", "arguments", "problem"),
    [
        ("search_customers", {}, "give exactly one of email, phone and name"),
        ("update_delivery", {"delivery_id": 5}, "give what shall change, besides delivery_id"),
        ("list_dealers", {f"x{number}": 1 for number in range(101)}, "there are more than 100"),
    ],
)
async def test_problem_of_all_arguments_together_names_them_once(
    tool: str, arguments: dict[str, Any], problem: str, connect: Connect
) -> None:
    at_dealer = {} if tool in ("list_dealers", "get_approval") else AT_UMAZDA
    async with connect() as client:
        text = text_of(await client.call_tool(tool, {**at_dealer, **arguments}))
    assert text == f"Invalid arguments: {problem}. Nothing was sent; correct them and call again."
