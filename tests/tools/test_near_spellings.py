"""The names that a refusal proposes: only dealers and tools that the caller may use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_tools import TOOLS, Caller, dealer_verdict, verdict
from tests.conftest import FOREIGN, Connect, World, kind_of, settings_for, text_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("typed", ["UMAZDA", "Umazda", " umazda", "umazda\n", "u-mazda", "umazad"])
async def test_dealer_that_is_nearly_one_of_the_callers_is_named(typed: str, connect: Connect, world: World) -> None:
    """It is not used, because another dealer may really have this name."""
    async with connect() as client:
        result = await client.call_tool("list_inventory", {"dealer": typed})
    assert kind_of(result) == "refused"
    assert text_of(result).endswith(
        "one of umazda, hyundaidemo. Nothing was sent; if you mean umazda, call again with that spelling; "
        "only the server's operator can allow another."
    )
    assert await world.requests() == []


@pytest.mark.parametrize("typed", [FOREIGN, "nosuchdealer", "*", "51101"])
async def test_dealer_that_is_near_to_none_leads_to_the_operator(typed: str, connect: Connect) -> None:
    async with connect() as client:
        text = text_of(await client.call_tool("list_inventory", {"dealer": typed}))
    assert text.endswith("Nothing was sent; only the server's operator can change this.")


DPIDS = st.text("abcdemo1", min_size=3, max_size=8)


@given(st.sets(DPIDS, min_size=2, max_size=30), st.data())
def test_only_the_callers_dealers_are_named(dpids: set[str], data: st.DataObject) -> None:
    own = data.draw(st.sets(st.sampled_from(sorted(dpids)), min_size=1))
    typed = data.draw(DPIDS).upper() + "X"
    refusal = dealer_verdict(Caller("tester", tuple(sorted(own))), typed)
    names = (refusal.mend or "").removeprefix("if you mean ").partition(", call again")[0].partition(" and ")[0]
    assert {*filter(None, names.split(", "))} <= own


@pytest.mark.parametrize(("typed", "name"), [("get_dealers", "get_dealer"), ("List_Inventory", "list_inventory")])
async def test_unknown_tool_is_answered_with_near_ones(typed: str, name: str, connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool(typed, {})
    assert kind_of(result) == "invalid_arguments"
    assert "name: there is no such tool; one of 28 names; near spellings: " in text_of(result)
    assert name in text_of(result)


@pytest.mark.parametrize("toolset", ["inventory", "customers", "deliveries"])
async def test_unknown_tool_is_answered_with_the_callers_tools_only(toolset: str, connect: Connect) -> None:
    access = {toolset: "read"}
    caller = settings_for("", access=access).caller("tester")
    async with connect(access=access) as client:
        for tool in TOOLS.values():
            text = text_of(await client.call_tool(f"{tool.name}x", {}))
            assert (tool.name in text) is verdict(caller, tool).is_allowed, tool.name


async def test_caller_without_tools_is_offered_none(connect: Connect) -> None:
    async with connect(access={}) as client:
        text = text_of(await client.call_tool("get_dealers", {}))
    assert "there is no such tool; this caller may use none. Nothing was sent" in text


async def test_very_long_name_is_answered_briefly(connect: Connect) -> None:
    async with connect() as client:
        text = text_of(await client.call_tool("x" * 100_000, {}))
    assert len(text) < 300
