"""The gate: no call reaches a dealer, tool or row that its caller may not have, and a refused call sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_client import OPERATIONS
from roadster_tools import (
    TOOLS,
    TOOLSETS,
    Access,
    AccessRefused,
    Caller,
    ConfirmWay,
    Gate,
    Services,
    Tool,
    dealer_verdict,
    verdict,
)
from tests.conftest import (
    ALLOWED,
    EVERYTHING,
    FOREIGN,
    Connect,
    World,
    answer_of,
    kind_of,
    text_of,
)
from tests.tool_examples import TOOL_EXAMPLES

pytestmark = pytest.mark.anyio

WITHOUT_UPSTREAM = {"events"}
"""Toolsets that answer from the store and send no request."""

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

DEALER_TOOLS = {name: example for name, example in TOOL_EXAMPLES.items() if TOOLS[name].of_one_dealer}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_gate_refuses_other_dealers_before_any_request(mode: str, connect: Connect, world: World) -> None:
    """However it is written. The refusal repeats neither the name nor anything of the other dealer."""
    async with connect(mode=mode) as client:
        for tool, example in DEALER_TOOLS.items():
            for way, dealer in FOREIGN_DEALERS.items():
                arguments = example.arguments if dealer is MISSING else example.at(dealer)
                result = await client.call_tool(tool, dict(arguments))
                assert kind_of(result) in {"refused", "invalid_arguments"}, (tool, way)
                assert FOREIGN not in text_of(result), (tool, way)
                assert await world.requests() == [], (tool, way)


async def test_gate_lets_the_same_arguments_pass_at_own_dealer(connect: Connect, world: World) -> None:
    """This proves the test above: it refuses these arguments only because of the dealer."""
    async with connect() as client:
        for tool, example in DEALER_TOOLS.items():
            before = len(await world.requests())
            await client.call_tool(tool, example.at("umazda"))
            requests = (await world.requests())[before:]
            assert bool(requests) is (TOOLS[tool].toolset not in WITHOUT_UPSTREAM), tool
            for request in requests:  # Roadie knows no dealers
                dealer = None if OPERATIONS[request["operation"]].api == "roadie" else "umazda"
                assert request["dealer"] == dealer, tool


async def test_gate_fills_in_the_callers_only_dealer(connect: Connect, world: World) -> None:
    async with connect(dealers=["hyundaidemo"]) as client:
        answer = answer_of(await client.call_tool("list_inventory", {"limit": 1}))
    assert answer["vehicles"][0]["make"] == "Hyundai"
    assert {request["dealer"] for request in await world.requests()} == {"hyundaidemo"}


async def test_gate_refuses_everything_without_dealers(connect: Connect, world: World) -> None:
    async with connect(dealers=[]) as client:
        for tool, example in DEALER_TOOLS.items():
            for arguments in (dict(example.arguments), example.at("umazda")):
                assert (await client.call_tool(tool, arguments)).is_error, tool
        assert answer_of(await client.call_tool("list_dealers"))["dealers"] == []
    assert {request["operation"] for request in await world.requests()} <= {"list_dealers"}


@pytest.mark.parametrize("tool", ["get_dealer", "create_forms", "get_delivery", "list_customer_events"])
def test_gate_refuses_a_dealer_that_the_configuration_dropped(tool: str) -> None:
    """A reload may take a dealer's table away while a caller's list, read a moment before, still has it."""
    gate = Gate(
        Services(Mock()),
        lambda _: None,
        dict,
        ownership=Mock(),
        events=Mock(),
        customers=Mock(),
        vehicles=Mock(),
        approvals=Mock(),
        cursor_key=b"k" * 32,
    )
    with pytest.raises(AccessRefused) as refusal:
        gate.admit(Caller("c", ALLOWED, EVERYTHING), TOOLS[tool], "umazda", Mock())
    assert refusal.value.setting == "dealers.umazda"


async def test_gate_lists_only_the_callers_dealers(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("list_dealers")
    assert {dealer["dpid"] for dealer in answer_of(result)["dealers"]} == set(ALLOWED)
    assert FOREIGN not in text_of(result)


async def test_gate_hides_and_refuses_tools_that_are_off(connect: Connect, world: World) -> None:
    others = [name for name, tool in TOOLS.items() if tool.toolset == "inventory" and name != "list_inventory"]
    async with connect(access={"inventory": Access.READ, **dict.fromkeys(others, Access.OFF)}) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_inventory"]
        for tool, example in DEALER_TOOLS.items():
            result = await client.call_tool(tool, example.at("umazda"))
            assert kind_of(result) == (None if tool == "list_inventory" else "refused"), tool
    assert {request["operation"] for request in await world.requests()} == {"list_inventory"}


async def test_gate_does_not_repeat_an_unknown_tools_name(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("drop_all_customers", {})
    assert kind_of(result) == "invalid_arguments"
    assert "drop_all" not in text_of(result)


@pytest.mark.parametrize("level", Access)
@pytest.mark.parametrize("by", ["tool", "toolset"])
def test_verdict_needs_preview_to_write_and_read_to_read(level: Access, by: str) -> None:
    for tool in TOOLS.values():
        key = tool.name if by == "tool" else tool.toolset
        current = verdict(Caller("c", ALLOWED, {key: level}), tool)
        assert current.is_allowed is (level >= (Access.PREVIEW if tool.writes else Access.READ)), tool.name
        assert current.setting == f"callers.c.access.{key}"


def test_verdict_takes_the_tools_setting_before_its_toolsets() -> None:
    for tool in TOOLS.values():
        higher, lower = {tool.toolset: Access.WRITE, tool.name: Access.OFF}, {tool.name: Access.WRITE}
        assert not verdict(Caller("c", ALLOWED, higher), tool).is_allowed, tool.name
        assert verdict(Caller("c", ALLOWED, {tool.toolset: Access.OFF, **lower}), tool).is_allowed, tool.name
        assert not verdict(Caller("c", ALLOWED, {}), tool).is_allowed, tool.name


@given(st.text(), st.lists(st.text(), max_size=4))
def test_dealer_verdict_compares_to_the_letter(dealer: str, dealers: list[str]) -> None:
    assert dealer_verdict(Caller("c", tuple(dealers), EVERYTHING), dealer).is_allowed is (dealer in dealers)


ACCESS = st.dictionaries(st.sampled_from([*TOOLS, *TOOLSETS]), st.sampled_from(Access))
WRITES = [tool for tool in TOOLS.values() if tool.writes]


def _relevant_to(tool: Tool, access: Mapping[str, Access]) -> set[str]:
    """A tool that shows what became of writes goes by the settings of these, until a setting names it."""
    own = {tool.name, tool.toolset}
    if tool.follows_writes and access.keys().isdisjoint(own):
        return {key for write in WRITES for key in (write.name, write.toolset)}
    return own


@given(ACCESS)
def test_verdict_ignores_settings_of_other_tools(access: dict[str, Access]) -> None:
    for tool in TOOLS.values():
        relevant = {key: level for key, level in access.items() if key in _relevant_to(tool, access)}
        assert verdict(Caller("c", (), access), tool) == verdict(Caller("c", (), relevant), tool)


@given(ACCESS, st.sampled_from([("form", "page"), ("page",), ("card",), ("form", "card"), ("form",), ()]))
def test_tool_that_follows_writes_needs_a_write_that_waits_on_a_page_or_a_card(
    access: dict[str, Access], confirm_by: Sequence[ConfirmWay]
) -> None:
    caller = Caller("c", (), access, confirm_by=confirm_by)
    waits = not {"page", "card"}.isdisjoint(confirm_by) and any(
        verdict(caller, write).level == Access.CONFIRM for write in WRITES
    )
    followers = [tool for tool in TOOLS.values() if tool.follows_writes]
    assert followers
    for tool in followers:
        if access.keys().isdisjoint((tool.name, tool.toolset)):
            assert verdict(caller, tool).is_allowed is waits, tool.name


@settings(max_examples=25)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12), lambda inner: st.lists(inner, max_size=3)
    )
)
async def test_gate_reaches_no_foreign_dealer_for_any_value(connect: Connect, world: World, dealer: Any) -> None:
    async with connect() as client:
        await client.call_tool("list_inventory", {"dealer": dealer})
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)


async def test_cursor_works_only_for_its_caller_and_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        cursor = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))["next_cursor"]
        before = len(await world.requests())
        elsewhere = await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "cursor": cursor})
        assert kind_of(elsewhere) == "invalid_arguments"
    async with connect(name="somebody-else") as client:
        stolen = await client.call_tool("list_inventory", {"dealer": "umazda", "cursor": cursor})
        assert kind_of(stolen) == "invalid_arguments"
        for forgery in ("x", cursor[:-2], cursor[::-1], "A" * 400):
            assert (await client.call_tool("list_inventory", {"dealer": "umazda", "cursor": forgery})).is_error
    assert len(await world.requests()) == before


async def test_answer_that_names_another_dealer_is_withheld(connect: Connect, world: World) -> None:
    async with connect() as client:
        for tool in ("create_customer", "upload_document"):  # the customer and the document of the others
            answer_of(await client.call_tool(tool, TOOL_EXAMPLES[tool].at("umazda")))
        for tool, example in DEALER_TOOLS.items():
            if tool in ("list_documents", "list_templates") or TOOLS[tool].toolset in ("deliveries", *WITHOUT_UPSTREAM):
                continue  # an array, which names no dealer, Roadie, which knows none, and what asks nobody
            # What create_forms looks up before is a read.
            await world.fault("create_forms" if tool == "create_forms" else "*", "foreign_dealer")
            result = await client.call_tool(tool, example.at("umazda"))
            assert kind_of(result) == ("outcome_unknown" if TOOLS[tool].writes else "upstream"), tool
            assert FOREIGN not in text_of(result)
