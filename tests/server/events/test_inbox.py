"""The inbox that the tools read: lists by search and cursor, and a customer's deal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client

from tests.conftest import Connect, World, answer_of, kind_of, on_both_databases, text_of
from tests.server.events.hooks import (
    CONTACT,
    FINANCIAL,
    IDENTITY,
    SAMPLE,
    Hooks,
    brief_event,
    event,
    get_deal,
    list_events,
)

pytestmark = pytest.mark.anyio


@on_both_databases
async def test_list_is_ordered_by_the_time_of_the_events(hooks: Hooks, connect: Connect) -> None:
    for minute in (3, 1, 5, 2, 4):
        await hooks.deliver(brief_event(f"e-{minute}", minute))
    assert [row["event_id"] for row in (await list_events(connect))["events"]] == ["e-5", "e-4", "e-3", "e-2", "e-1"]


@on_both_databases
async def test_list_is_by_customer_type_and_time(hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(brief_event("e-1", 1))
    await hooks.deliver(brief_event("e-2", 2, kind="customer_started_purchase"))
    await hooks.deliver(brief_event("e-3", 3, customer={"id": "78", "email": "c@example.com", "first_name": "Carlos"}))

    async def answer(**arguments: Any) -> list[str]:
        return [row["event_id"] for row in (await list_events(connect, **arguments))["events"]]

    assert await answer(customer_id=77) == ["e-2", "e-1"]
    assert await answer(customer_id=78) == ["e-3"]
    assert await answer(event_type="customer_started_purchase") == ["e-2"]
    assert await answer(since="2026-03-01T12:02:00Z") == ["e-3", "e-2"]
    assert await answer(since="2026-03-01T12:02:00") == ["e-3", "e-2"]
    assert await answer(until="2026-03-01T13:02:00+01:00") == ["e-1"]
    assert await answer(since="2026-03-01", until="2026-03-01T12:03:00Z", customer_id=77) == ["e-2", "e-1"]


async def test_list_has_ids_that_the_other_tools_accept(hooks: Hooks, connect: Connect) -> None:
    """An id is a number where it can be one, else a text."""
    for number, id_ in enumerate((77, "78", "YC-7", "007", "9" * 16)):
        await hooks.deliver(brief_event(f"e-{number}", number, customer={"id": id_, "first_name": "Steve"}))
    ids = [row["customer_id"] for row in (await list_events(connect))["events"]]
    assert ids == ["9" * 16, "007", "YC-7", 78, 77]
    assert (await get_deal(connect, ids[-1]))["customer_id"] == 77
    assert (await get_deal(connect, "78"))["customer_id"] == 78


async def test_list_of_an_unknown_type_names_the_known_ones(hooks: Hooks, connect: Connect) -> None:
    """These are the types of this dealer's events. The text has them too."""
    await hooks.deliver(brief_event("e-1", kind="customer_started_purchase"))
    await hooks.deliver(brief_event("e-2"))
    await hooks.deliver(brief_event("e-3", kind="agent_sent_message", dealer={"dpid": "hyundaidemo"}))
    async with connect() as client:
        arguments = {"dealer": "umazda", "event_type": "started_purchase"}
        result = await client.call_tool("list_customer_events", arguments)
    assert answer_of(result)["event_types"] == ["customer_saved_vehicle", "customer_started_purchase"]
    assert "event_types: customer_saved_vehicle, customer_started_purchase" in text_of(result)
    assert "event_types" not in await list_events(connect)


async def test_list_that_is_empty_says_what_to_do(connect: Connect) -> None:
    answer = await list_events(connect)
    assert answer["events"] == []
    assert answer["truncated"] is False
    assert "Leave filters out" in answer["hint"]


@on_both_databases
async def test_cursor_leads_through_everything_once(hooks: Hooks, connect: Connect) -> None:
    """Many of the events happened in the same second."""
    for number in range(13):
        await hooks.deliver(brief_event(f"e-{number:02}", number // 5))
    ids: list[str] = []
    cursor: dict[str, Any] = {}
    async with connect() as client:
        for _ in range(5):
            page = answer_of(await client.call_tool("list_customer_events", {"dealer": "umazda", "limit": 3, **cursor}))
            ids += [row["event_id"] for row in page["events"]]
            assert page["truncated"] is ("next_cursor" in page)
            cursor = {"cursor": page.get("next_cursor")}
    assert sorted(ids) == [f"e-{number:02}" for number in range(13)]
    assert ids[0][:3] == "e-1"
    assert not page["truncated"]


async def test_cursor_is_of_its_search_its_dealer_and_its_caller(hooks: Hooks, connect: Connect) -> None:
    for number in range(3):
        await hooks.deliver(brief_event(f"e-{number}", number))
    cursor = (await list_events(connect, limit=1))["next_cursor"]

    async def kind(client: Client, tool: str = "list_customer_events", **arguments: Any) -> str | None:
        return kind_of(await client.call_tool(tool, {"dealer": "umazda", "cursor": cursor, **arguments}))

    async with connect() as client:
        assert await kind(client) is None
        assert await kind(client, customer_id=77) == "invalid_arguments"
        assert await kind(client, dealer="hyundaidemo") == "invalid_arguments"
        assert await kind(client, tool="list_inventory") == "invalid_arguments"
        assert await kind(client, cursor=cursor[:-2]) == "invalid_arguments"
        of_stock = answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))["next_cursor"]
        assert await kind(client, cursor=of_stock) == "invalid_arguments"
    async with connect(name="somebody-else") as client:
        assert await kind(client) == "invalid_arguments"


async def test_list_needs_since_before_until(connect: Connect) -> None:
    async with connect() as client:
        for window in (
            {"since": "2026-03-02", "until": "2026-03-01"},
            {"since": "soon"},
            {"until": "2026-02-30T00:00:00Z"},
        ):
            result = await client.call_tool("list_customer_events", {"dealer": "umazda", **window})
            assert kind_of(result) == "invalid_arguments"
            assert "soon" not in text_of(result)


async def test_deal_is_the_newest_of_each_part(hooks: Hooks, connect: Connect) -> None:
    """They come out of order, so the time of the event decides what is newest."""
    early = {"vehicle": {"vin": "4T1C11AK0LU322811", "make": "Toyota", "trim": "LE"}, "order": {"id": 5, "plans": []}}
    late = {"vehicle": {"make": "Mazda"}, "credit_decision": {"status": "approved", "rate": 4.7, "term": 72}}
    await hooks.deliver(brief_event("e-3", 3, kind="service_made_credit_decision", **late))
    await hooks.deliver(brief_event("e-1", 1, kind="customer_started_purchase", **early))
    await hooks.deliver(brief_event("e-2", 2, kind="agent_sent_message", message={"body": "Call me"}))
    answer = await get_deal(connect, 77)
    assert answer["as_of"] == "2026-03-01T12:03:00Z"
    assert answer["vehicle"] == {"make": "Mazda"}, "a vehicle is never mixed from two events"
    assert answer["order"]["id"] == "5"
    assert answer["part_times"]["order"] == "2026-03-01T12:01:00Z"
    assert answer["credit_decision"] == {"status": "approved", "rate_percent": 4.7, "term": 72}
    assert [step["event_type"] for step in answer["history"]] == [
        "service_made_credit_decision",
        "agent_sent_message",
        "customer_started_purchase",
    ]
    assert answer["older"] is False


async def test_deal_has_nothing_that_is_empty(hooks: Hooks, connect: Connect) -> None:
    """It has no empty lists, no missing ids, and no times that repeat `as_of`."""
    await hooks.deliver(brief_event("e-1", order={"id": 5, "plans": [], "accessories": []}))
    assert await get_deal(connect, 77) == {
        "customer_id": 77,
        "as_of": "2026-03-01T12:00:00Z",
        "customer": {"first_name": "***", "email": "***"},
        "order": {"id": "5"},
        "history": [{"time": "2026-03-01T12:00:00Z", "event_type": "customer_saved_vehicle"}],
        "older": False,
    }


async def test_deal_of_the_sample_shows_what_it_should(hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(event())
    answer = await get_deal(connect, 2285882)
    assert answer["vehicle"]["model"] == "Camry"
    assert answer["order"]["financing"]["purchase_price"] == 23827
    assert [plan["title"] for plan in answer["order"]["plans"]] == ["Delivery", "Vehicle Service Contract"]
    assert answer["credit_decision"]["approved_amount"] == 42295
    assert answer["agent"]["id"] == "94366"
    assert answer["our_ids"]["customer_id"] == "YCid6453"
    assert answer["as_of"] == "2020-07-18T20:29:02Z"


async def test_messages_stay_in_the_list_after_later_events(hooks: Hooks, connect: Connect) -> None:
    for number in range(3):
        await hooks.deliver(
            brief_event(f"m-{number}", number, kind="agent_sent_message", message={"body": f"No {number}"})
        )
    await hooks.deliver(brief_event("e-9", 9))
    answer = await list_events(connect, customer_id=77, event_type="agent_sent_message")
    assert [row["message"] for row in answer["events"]] == ["No 2", "No 1", "No 0"]


@pytest.mark.parametrize("detail", ["brief", "full"])
async def test_personal_data_are_masked_as_for_every_tool(detail: str, hooks: Hooks, connect: Connect) -> None:
    """This holds for fields and for texts. Identity data are masked for everybody."""
    text = "Carlos, write to customer@example.com or call (415) 555-0123, yours Judy"
    await hooks.deliver(event(message={**SAMPLE["message"], "body": text}))
    for caller, masked_values in (({}, (*CONTACT, *FINANCIAL, "555-0123")), ({"personal_data": "contact"}, ())):
        text = json.dumps(
            [
                await list_events(connect, caller, detail=detail),
                await get_deal(connect, 2285882, detail=detail, **caller),
            ]
        )
        for value in (*masked_values, *IDENTITY):
            assert value not in text, value
        assert ("customer@example.com" in text) is (not masked_values)
        assert ("or call" in text) is True


async def test_full_detail_is_every_documented_field_and_no_other(hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(event(unknown={"secret": "hidden here"}))
    (row,) = (await list_events(connect, {"personal_data": "contact"}, detail="full"))["events"]
    assert row["event"]["credit_applicant"]["jobs"][0]["income"] == "4100"
    assert row["event"]["message"]["from"] == "Judy Agent"
    assert "hidden here" not in json.dumps(row)


async def test_customer_without_events_is_not_found(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("get_customer", {"dealer": "umazda", "customer_id": 4711})
    assert kind_of(result) == "not_found"
    assert "list_customer_events" in text_of(result)
    assert await world.requests() == []


async def test_inbox_needs_the_toolset(connect: Connect, hooks: Hooks) -> None:
    await hooks.deliver(event())
    async with connect(access={}) as client:
        for tool, arguments in (("list_customer_events", {}), ("get_customer", {"customer_id": 2285882})):
            assert kind_of(await client.call_tool(tool, {"dealer": "umazda", **arguments})) == "refused"


async def test_page_of_long_events_ends_where_16_000_characters_are_full(hooks: Hooks, connect: Connect) -> None:
    """The cursor goes on with the next event: nothing is lost, and each value that is left out counts once."""
    for number in range(48):
        await hooks.deliver(event(f"e-{number:02}", event_time=f"2026-03-01T12:{number:02}:00Z", agent=["odd"]))
    cursor: dict[str, str] = {}
    ids: list[str] = []
    left_out = 0
    while True:
        answer = await list_events(connect, {"personal_data": "contact"}, detail="full", limit=100, **cursor)
        assert 0 < len(answer["events"]) < 48
        assert all("event" in row for row in answer["events"])
        assert answer["truncated"] is ("detail brief shows more" in answer.get("hint", ""))
        assert len(json.dumps(answer["events"][:-1])) < 2 * 16_000
        ids += [row["event_id"] for row in answer["events"]]
        left_out += answer["left_out"]["fields"]
        if not answer["truncated"]:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert ids == [f"e-{number:02}" for number in reversed(range(48))]
    assert left_out == 48


async def test_event_that_is_longer_than_an_answer_hides_no_other(hooks: Hooks, connect: Connect) -> None:
    plans = [{"title": "t" * 200} for _ in range(1_000)]
    for number in range(3):
        more = {"order": {"id": 5, "plans": plans}} if number == 1 else {}
        await hooks.deliver(brief_event(f"e-{number}", number, **more))
    answer = await list_events(connect, detail="full")
    assert [row["event_id"] for row in answer["events"]] == ["e-2", "e-1", "e-0"]
    assert [row.get("event_too_long") for row in answer["events"]] == [None, True, None]
    assert ["event" in row for row in answer["events"]] == [True, False, True]


async def test_history_of_a_deal_ends_where_16_000_characters_are_full(hooks: Hooks, connect: Connect) -> None:
    """The parts of the deal come first, and take their room."""
    decision = {"stipulations": "s" * 4_000, "comments": "c" * 4_000}
    for number in range(60):
        await hooks.deliver(brief_event(f"e-{number:02}", number, credit_decision=decision))
    answer = await get_deal(connect, 77, detail="full", dealer_figures=True)
    assert 0 < len(answer["history"]) < 60
    assert answer["older"] is True
    assert 16_000 <= len(json.dumps(answer, separators=(",", ":"))) < 16_000 + 1_000
    assert len((await get_deal(connect, 77))["history"]) == 20
