"""The arguments of tools are checked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from roadster_tools import TOOLS
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import STEVE
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("tool", "arguments", "argument"),
    [
        ("assign_agent", {"customer_id": 1, "agent": {}}, "agent"),
        ("assign_agent", {"customer_id": 1, "agent": {"id": ""}}, "agent"),
        ("assign_agent", {"customer_id": 1, "agent": {"email": "natalie"}}, "agent.email"),
        ("assign_agent", {"customer_id": 1, "agent": {"id": "x", "name": "N"}}, "agent.name"),
        ("assign_agent", {"customer_id": 1}, "agent"),
        ("assign_agent", {"agent": {"id": "x"}}, "customer_id"),
        ("submit_trade_valuation", {"vin": "4T1C11AK0LU322811", "value": 1}, "email"),
        ("submit_trade_valuation", {"email": "steve", "vin": "4T1C11AK0LU322811", "value": 1}, "email"),
        ("submit_trade_valuation", {"email": "s@example.com", "value": 1}, "vin"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C", "value": 1}, "vin"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811"}, "value"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811", "value": -1}, "value"),
        ("submit_trade_valuation", {"email": "s@example.com", "vin": "4T1C11AK0LU322811", "value": 9.5}, "value"),
        ("list_protection_plans", {"vin": "3MVDMBBM0SM472067"}, "deal_type"),
        ("list_protection_plans", {"vin": "3MVDMBBM0SM472067", "deal_type": "rent"}, "deal_type"),
        ("get_document", {"customer_id": 1}, "document_id"),
        ("get_document", {"customer_id": 1, "document_id": "../1"}, "document_id"),
        ("delete_documents", {"customer_id": 1}, "document_ids"),
        ("delete_documents", {"customer_id": 1, "document_ids": []}, "document_ids"),
        ("delete_documents", {"customer_id": 1, "document_ids": [0]}, "document_ids.0"),
        ("delete_documents", {"customer_id": 1, "document_ids": [*range(1, 52)]}, "document_ids"),
    ],
)
async def test_arguments_that_cannot_work_are_named(
    tool: str, arguments: dict[str, Any], argument: str, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
    assert kind_of(result) == "invalid_arguments"
    assert f"{argument}:" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize("tool", TOOLS)
async def test_arguments_that_a_tool_lacks_are_refused(tool: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, {"dealer": "umazda", "overrule": True})
    assert kind_of(result) == "invalid_arguments"
    assert "overrule" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize("arguments", [{"plans": [0] * 100_000}, {"x" * 100_000: 1}, {str(n): n for n in range(5000)}])
async def test_arguments_of_any_size_get_a_short_error(arguments: dict[str, Any], connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", **arguments})
    assert kind_of(result) == "invalid_arguments"
    assert len(text_of(result)) < 2000


async def test_arguments_of_a_refused_caller_are_not_checked(connect: Connect) -> None:
    async with connect(access={}) as client:
        assert kind_of(await client.call_tool("quote_payments", {"plans": [0] * 100_000})) == "refused"


@pytest.mark.parametrize("amount", ["inf", "-inf", "nan", "1e999"])
async def test_arguments_must_be_finite_numbers(amount: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        creation = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE, "lease_down": amount})
        quote = await client.call_tool(
            "quote_payments", {**AT_UMAZDA, "vin": "3MVDMBBM0SM472067", "customer_cash": amount}
        )
    assert kind_of(creation) == kind_of(quote) == "invalid_arguments"
    assert await world.requests() == []


@pytest.mark.parametrize("wrong", [True, "2.0", "02", "+2", "2 2", "２", "1" * 17, 3.5, 0, -1, 10**40, [1]])
async def test_arguments_ids_are_whole_numbers(wrong: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        for arguments in ({"customer_id": wrong, "document_ids": [1]}, {"customer_id": 1, "document_ids": [wrong]}):
            result = await client.call_tool("delete_documents", {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments"
    assert await world.requests() == []


async def test_arguments_ids_may_be_text(connect: Connect, world: World) -> None:
    """Other systems write ids as text, and people paste blanks around them. The request is the same."""
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        for id_ in (customer, str(customer), f" {customer}\u00a0"):
            answer_of(await client.call_tool("list_documents", {**AT_UMAZDA, "customer_id": id_}))
    first, second, third = ({**request, "n": None} for request in (await world.requests())[-3:])
    assert first == second == third


async def test_arguments_cursor_works_only_for_its_own_list(connect: Connect, world: World) -> None:
    """A cursor of another tool or another dealer, and an invented one, are refused before anything is sent."""
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        templates = answer_of(await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 1}))["next_cursor"]
        vehicles = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1}))["next_cursor"]
        before = len(await world.requests())
        for tool, arguments in (
            ("list_templates", {"cursor": vehicles}),
            ("list_templates", {"cursor": "made-up"}),
            ("list_templates", {"cursor": templates, "dealer": "hyundaidemo"}),
            ("list_inventory", {"cursor": templates}),
            ("list_documents", {"cursor": templates, "customer_id": customer}),
        ):
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments", tool
            assert "cursor:" in text_of(result)
    assert len(await world.requests()) == before
