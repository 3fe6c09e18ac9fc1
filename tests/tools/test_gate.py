"""No call reaches a dealer, a tool or a row that its caller may not have; what is refused sends nothing."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadster_client import OPERATIONS
from roadster_tools import (
    TOOLS,
    TOOLSETS,
    Access,
    AccessRefused,
    Caller,
    Gate,
    Services,
    Tool,
    dealer_verdict,
    verdict,
)
from tests.conftest import (
    ALLOWED,
    CARLOS_UUID,
    DELIVERY,
    DELIVERY_ID,
    EVERYTHING,
    FOREIGN,
    LICENCE_PNG,
    NEW_TEMPLATE,
    STEVE,
    Connect,
    World,
    answer_of,
    kind_of,
    own_delivery,
    text_of,
)

pytestmark = pytest.mark.anyio

SOME_VIN = "3MVDMBBM0SM472067"  # in stock at umazda in the world of the default seed
ARGUMENTS: dict[str, dict[str, Any]] = {
    "get_dealer": {},
    "list_inventory": {},
    "get_vehicle": {"vin": SOME_VIN},
    "quote_payments": {"vin": SOME_VIN},
    "list_protection_plans": {"vin": SOME_VIN, "deal_type": "cash"},
    "create_customer": {"customer": STEVE},
    "assign_agent": {"customer_id": 1650260, "agent": {"id": "ID9876"}},
    "submit_trade_valuation": {"email": STEVE["email"], "vin": SOME_VIN, "value": 9000},
    "build_deep_link": {"vin": SOME_VIN},
    "list_documents": {"customer_id": 1650260},
    "upload_document": {
        "customer_id": 1650260,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license.png",
        "relationship": "self",
        "contents": LICENCE_PNG,
    },
    "get_document": {"customer_id": 1650260, "document_id": 1602287},
    "delete_documents": {"customer_id": 1650260, "document_ids": [1602287]},
    "list_templates": {},
    "get_template": {"template_id": "278"},
    "get_template_file": {"template_id": "278"},
    "create_template": NEW_TEMPLATE,
    "create_forms": {"order_id": "367101", "title": "Please sign", "template_ids": ["278"]},
    "create_delivery": dict(DELIVERY),
    "get_delivery": {"delivery_id": DELIVERY_ID},
    "update_delivery": {"delivery_id": DELIVERY_ID, "reference_id": "RO-4712"},
    "cancel_delivery": {"delivery_id": DELIVERY_ID},
    "get_crm_customer": {"customer_uuid": CARLOS_UUID},
    "list_customer_events": {},
    "get_customer": {"customer_id": 1650260},
}
"""Valid arguments but for the dealer, so that only the dealer can be what a refusal is about."""

WITHOUT_UPSTREAM = {"events"}
"""Toolsets that answer from what was received, and ask nobody."""

MISSING = object()
FOREIGN_DEALERS: dict[str, Any] = {
    "another dealer's dpid": FOREIGN,
    "another dealer's partner id": "12345",
    "its own partner id": "51101",
    "unknown": "nosuchdealer",
    "upper case": "UMAZDA",
    "capitalised": "Umazda",
    "space before": " umazda",
    "space after": "umazda ",
    "newline after": "umazda\n",
    "nul after": "umazda\0",
    "zero-width space": "umazda\u200b",
    "zero-width joiner within": "uma\u200dzda",
    "right-to-left mark": "\u200fumazda",
    "full-width": "ｕｍａｚｄａ",
    "cyrillic a": "um\u0430zda",
    "combining": "umazda\u0301",
    "list": ["umazda"],
    "list of two": ["umazda", FOREIGN],
    "object": {"dpid": "umazda"},
    "object by partner id": {"partner_id": "12345"},
    "number": 12345,
    "true": True,
    "empty": "",
    "null": None,
    "path": "umazda/../toyotademo",
    "query": "umazda&dpid=toyotademo",
    "missing": MISSING,
}

dealer_tools = pytest.mark.parametrize("tool", [tool.name for tool in TOOLS.values() if tool.of_one_dealer])


def test_every_tool_of_a_dealer_is_tried() -> None:
    assert ARGUMENTS.keys() == {tool.name for tool in TOOLS.values() if tool.of_one_dealer}


@dealer_tools
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_dealer_outside_the_list_is_refused_before_any_request(
    tool: str, mode: str, connect: Connect, world: World
) -> None:
    """Whatever way it is written; the refusal repeats neither the name nor anything of the other dealer."""
    async with connect(mode=mode) as client:
        for way, dealer in FOREIGN_DEALERS.items():
            arguments = ARGUMENTS[tool] if dealer is MISSING else {**ARGUMENTS[tool], "dealer": dealer}
            result = await client.call_tool(tool, arguments)
            assert kind_of(result) in {"refused", "invalid_arguments"}, way
            assert FOREIGN not in text_of(result), way
    assert await world.requests() == []


@dealer_tools
async def test_the_same_arguments_pass_at_an_allowed_dealer(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    """The counterpart: what the test above refuses is refused for the dealer alone."""
    await own_delivery(store_url)
    async with connect() as client:
        await client.call_tool(tool, {**ARGUMENTS[tool], "dealer": "umazda"})
    sent = await world.requests()
    assert bool(sent) is (TOOLS[tool].toolset not in WITHOUT_UPSTREAM)
    for request in sent:  # Roadie knows no dealers
        assert request["dealer"] == (None if OPERATIONS[request["operation"]].api == "roadie" else "umazda")


async def test_a_caller_with_one_dealer_may_leave_it_out(connect: Connect, world: World) -> None:
    async with connect(dealers=["hyundaidemo"]) as client:
        found = answer_of(await client.call_tool("list_inventory", {"limit": 1}))
    assert found["vehicles"][0]["make"] == "Hyundai"
    assert {request["dealer"] for request in await world.requests()} == {"hyundaidemo"}


async def test_an_empty_list_allows_nothing(connect: Connect, world: World) -> None:
    async with connect(dealers=[]) as client:
        for tool, arguments in ARGUMENTS.items():
            for dealer in ({}, {"dealer": "umazda"}):
                assert (await client.call_tool(tool, {**arguments, **dealer})).is_error
        assert answer_of(await client.call_tool("list_dealers"))["dealers"] == []
    assert {request["operation"] for request in await world.requests()} <= {"list_dealers"}


@pytest.mark.parametrize("tool", ["get_dealer", "create_forms", "get_delivery", "list_customer_events"])
def test_gate_refuses_a_dealer_that_the_configuration_dropped(tool: str) -> None:
    """A reload may take a dealer's table away while a caller's list, read a moment before, still has it."""
    gate = Gate(Services(Mock()), lambda _: None, ownership=Mock(), events=Mock(), cursor_key=b"k" * 32)
    with pytest.raises(AccessRefused) as refusal:
        gate.admit(Caller("c", ALLOWED, EVERYTHING), TOOLS[tool], "umazda", Mock())
    assert refusal.value.setting == "dealers.umazda"


async def test_list_dealers_shows_the_callers_dealers_alone(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_dealers")
    assert {dealer["dpid"] for dealer in answer_of(result)["dealers"]} == set(ALLOWED)
    assert FOREIGN not in text_of(result)


async def test_what_is_off_is_neither_listed_nor_callable(connect: Connect, world: World) -> None:
    async with connect(access={"inventory": Access.READ, "get_vehicle": Access.OFF}) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_inventory"]
        for tool, arguments in ARGUMENTS.items():
            result = await client.call_tool(tool, {**arguments, "dealer": "umazda"})
            assert kind_of(result) == (None if tool == "list_inventory" else "refused")
    assert {request["operation"] for request in await world.requests()} == {"list_inventory"}


async def test_an_unknown_tool_is_an_error_that_does_not_repeat_its_name(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("drop_all_customers", {})
    assert kind_of(result) == "invalid_arguments"
    assert "drop_all" not in text_of(result)


@pytest.mark.parametrize("level", Access)
@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("by", ["tool", "toolset"])
def test_a_write_needs_preview_and_a_read_needs_read(level: Access, name: str, by: str) -> None:
    tool = TOOLS[name]
    key = name if by == "tool" else tool.toolset
    found = verdict(Caller("c", ALLOWED, {key: level}), tool)
    assert found.is_allowed is (level >= (Access.PREVIEW if tool.writes else Access.READ))
    assert found.setting == f"callers.c.access.{key}"


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_the_tools_own_setting_wins_over_its_toolsets(tool: Tool) -> None:
    assert not verdict(Caller("c", ALLOWED, {tool.toolset: Access.WRITE, tool.name: Access.OFF}), tool).is_allowed
    assert verdict(Caller("c", ALLOWED, {tool.toolset: Access.OFF, tool.name: Access.WRITE}), tool).is_allowed
    assert not verdict(Caller("c", ALLOWED, {}), tool).is_allowed


@given(st.text(), st.lists(st.text(), max_size=4))
def test_a_dealer_is_allowed_only_where_it_is_listed_to_the_letter(dealer: str, listed: list[str]) -> None:
    assert dealer_verdict(Caller("c", tuple(listed), EVERYTHING), dealer).is_allowed is (dealer in listed)


@given(st.dictionaries(st.sampled_from([*TOOLS, *TOOLSETS]), st.sampled_from(Access)))
def test_a_setting_that_names_neither_tool_nor_toolset_changes_nothing(access: dict[str, Access]) -> None:
    for tool in TOOLS.values():
        relevant = {key: level for key, level in access.items() if key in {tool.name, tool.toolset}}
        assert verdict(Caller("c", (), access), tool) == verdict(Caller("c", (), relevant), tool)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12), lambda inner: st.lists(inner, max_size=3)
    )
)
async def test_no_value_of_dealer_reaches_a_foreign_one(connect: Connect, world: World, dealer: Any) -> None:
    async with connect() as client:
        await client.call_tool("list_inventory", {"dealer": dealer})
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)


async def test_a_cursor_is_bound_to_its_caller_and_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        cursor = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))["next_cursor"]
        sent = len(await world.requests())
        elsewhere = await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "cursor": cursor})
        assert kind_of(elsewhere) == "invalid_arguments"
    async with connect(name="somebody-else") as client:
        stolen = await client.call_tool("list_inventory", {"dealer": "umazda", "cursor": cursor})
        assert kind_of(stolen) == "invalid_arguments"
        for forged in ("", "x", cursor[:-2], cursor[::-1], "A" * 400):
            assert (await client.call_tool("list_inventory", {"dealer": "umazda", "cursor": forged})).is_error
    assert len(await world.requests()) == sent


async def test_an_answer_that_names_another_dealer_is_withheld(connect: Connect, world: World) -> None:
    async with connect() as client:
        for tool in ("create_customer", "upload_document"):  # the customer and the document of the others
            answer_of(await client.call_tool(tool, {**ARGUMENTS[tool], "dealer": "umazda"}))
        for tool, arguments in ARGUMENTS.items():  # in its order: what deletes comes last
            if tool in ("list_documents", "list_templates") or TOOLS[tool].toolset in ("deliveries", *WITHOUT_UPSTREAM):
                continue  # an array, which names no dealer, Roadie, which knows none, and what asks nobody
            # What create_forms looks up before is a read.
            await world.fault("create_forms" if tool == "create_forms" else "*", "foreign_dealer")
            result = await client.call_tool(tool, {**arguments, "dealer": "umazda"})
            assert kind_of(result) == ("outcome_unknown" if TOOLS[tool].writes else "upstream"), tool
            assert FOREIGN not in text_of(result)
