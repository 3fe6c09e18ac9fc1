"""Odd bodies: an event with its dealer, customer and id is kept, whatever else is wrong with it."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import zlib
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_server.store.lazy import LazyStore
from tests.conftest import Connect, answer_of, on_both_databases, text_of
from tests.server.events.hooks import (
    KEY,
    ROADIE_KEY,
    SAMPLE,
    SHIPMENT,
    Hooks,
    brief_event,
    event,
    get_deal,
    list_events,
    read_rows,
)
from tests.server.events.test_quarantine import RECORD

pytestmark = pytest.mark.anyio

Place = tuple[str | int, ...]

TYPES = (
    "agent_cancelled_purchase",
    "agent_cancelled_reservation",
    "agent_checked_in_customer",
    "agent_created_note",
    "agent_made_trade_valuation",
    "agent_sent_message",
    "agent_sent_share_details",
    "co_applicant_completed_credit_application",
    "customer_accepted_trade_valuation",
    "customer_cancelled_purchase",
    "customer_checked_in",
    "customer_completed_credit_application",
    "customer_completed_soft_credit_pull",
    "customer_completed_trade",
    "customer_made_trade_valuation",
    "customer_partially_completed_trade",
    "customer_referred",
    "customer_rejected_trade_valuation",
    "customer_requested_help",
    "customer_requested_price",
    "customer_requested_test_drive",
    "customer_requested_vehicle_info",
    "customer_reserved_vehicle",
    "customer_saved_vehicle",
    "customer_started_credit_application",
    "customer_started_purchase",
    "customer_unlocked_pricing",
    "service_made_trade_valuation",
    "service_made_credit_decision",
)
"""The documented types. Each has the sections of the one sample."""

IDENTITY: tuple[Place, ...] = (("event_id",), ("dealer",), ("dealer", "dpid"), ("customer",), ("customer", "id"))

SHIPMENT_IDENTITY: tuple[Place, ...] = (("event",), ("data",), ("data", "id"))

ODD_VALUES = (
    st.sampled_from([None, "", 0, -1, 1.5, 10**30, True, "x" * 1000, "\ufffd\u202e\0", [], {}, [None], {"id": None}])
    | st.text(max_size=20)
    | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)
    | st.dictionaries(st.text(max_size=5) | st.sampled_from([*SAMPLE, "id", "dpid"]), st.text(max_size=5), max_size=3)
)


def places(node: Any, above: Place = ()) -> Iterator[Place]:
    """Yields the place of each value inside `node`, those of objects and lists included."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in children:
        yield (*above, name)
        yield from places(value, (*above, name))


def replaced(document: Any, place: Place, value: Any) -> Any:
    """Returns a copy of `document` with `value` at the place."""
    document = copy.deepcopy(document)
    node = document
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    return document


DECORATION = [place for place in places(event()) if place not in IDENTITY]
SHIPMENT_DECORATION = [place for place in places(SHIPMENT) if place not in SHIPMENT_IDENTITY]


async def both_tools_show(connect: Connect, event_id: str) -> None:
    async with connect() as client:
        listing = await client.call_tool("list_customer_events", {"dealer": "umazda", "detail": "full", "limit": 100})
        deal = await client.call_tool("get_customer", {"dealer": "umazda", "customer_id": 2285882, "detail": "full"})
    assert event_id in [row["event_id"] for row in answer_of(listing)["events"]]
    assert event_id in text_of(listing)
    assert answer_of(deal)["history"]


@settings(max_examples=80)
@given(kind=st.sampled_from(TYPES), place=st.sampled_from(DECORATION), value=ODD_VALUES)
async def test_odd_value_anywhere_but_in_the_ids_loses_no_event(
    hooks: Hooks, store: LazyStore, connect: Connect, kind: str, place: Place, value: Any
) -> None:
    """The tools show the event, and what is odd cannot stop them from showing others."""
    odd = replaced(event("e-odd", event_type=kind), place, value)
    assert (await hooks.send(odd)).status_code == 200
    await both_tools_show(connect, "e-odd")
    await (await store.open()).forget_customer("umazda", "2285882", RECORD)


async def test_each_field_may_be_odd_in_each_way(hooks: Hooks, connect: Connect) -> None:
    """This walks through every field of the sample, which the random choice may miss."""
    values = (None, "", 7, 1.5, "odd \ufffd text", [], [1], {"x": {"y": 1}})
    odd_events = [
        replaced(event(f"e-{number}"), place, value)
        for number, (place, value) in enumerate(itertools.product(DECORATION, values))
    ]
    for start in range(0, len(odd_events), 50):
        async with anyio.create_task_group() as tasks:
            for odd in odd_events[start : start + 50]:
                tasks.start_soon(hooks.deliver, odd)
    ids: set[str] = set()
    arguments: dict[str, Any] = {"dealer": "umazda", "limit": 100}
    async with connect() as client:
        answer_of(await client.call_tool("get_customer", {"dealer": "umazda", "customer_id": 2285882}))
        while "cursor" not in arguments or arguments["cursor"] is not None:
            page = answer_of(await client.call_tool("list_customer_events", arguments))
            ids |= {row["event_id"] for row in page["events"]}
            arguments["cursor"] = page.get("next_cursor")
    assert ids == {odd["event_id"] for odd in odd_events}


@settings(max_examples=60)
@given(place=st.sampled_from(SHIPMENT_DECORATION), value=ODD_VALUES)
async def test_odd_value_loses_no_delivery_event(
    hooks: Hooks, store: LazyStore, connect: Connect, place: Place, value: Any
) -> None:
    await store.add_owned("umazda", "delivery", "5678")
    for _ in range(2):
        await hooks.deliver(replaced(SHIPMENT, place, value), source="roadie", key=ROADIE_KEY)
    ids = [row["event_id"] for row in (await list_events(connect, limit=100))["events"]]
    assert len(ids) == len(set(ids)) >= 1


@pytest.mark.parametrize("place", IDENTITY, ids=lambda place: ".".join(map(str, place)))
async def test_id_that_is_broken_is_400_and_stores_nothing(
    place: Place, hooks: Hooks, store: LazyStore, store_url: str
) -> None:
    for value in (None, "", [], {}, [1], True, 1.5, "x" * 201, "half of \ufffd", 10**400, float("nan")):
        body = json.dumps(replaced(event(), place, value)).encode()
        response = await hooks.send(body)
        assert response.status_code == 400, value
        assert place[0] in response.json()["error"]
    await store.open()
    assert await read_rows(store_url) == []


@pytest.mark.parametrize("place", SHIPMENT_IDENTITY, ids=lambda place: ".".join(map(str, place)))
async def test_id_of_a_delivery_event_that_is_broken_is_400(place: Place, hooks: Hooks) -> None:
    for value in (None, "", [], {}, [1], True, 1.5, "x" * 201):
        assert (await hooks.send(replaced(SHIPMENT, place, value), source="roadie", key=ROADIE_KEY)).status_code == 400


async def test_id_may_be_a_number_or_a_text(hooks: Hooks, connect: Connect) -> None:
    for number, id_ in enumerate((77, "77", 77.0)):
        await hooks.deliver(brief_event(f"e-{number}", number, customer={"id": id_}))
    assert [row["customer_id"] for row in (await list_events(connect, customer_id=77))["events"]] == [77] * 3


@on_both_databases
async def test_odd_id_of_an_order_makes_no_order_known(hooks: Hooks, store: LazyStore, store_url: str) -> None:
    odd_ids = ("007", "-5", "../5", " 5", "5\n", 0, -5, 5.5, True, [5], {"id": 5}, "YC-5", "5" * 40)
    for number, id_ in enumerate(odd_ids):
        await hooks.deliver(brief_event(f"e-{number}", order={"id": id_}))
    assert await (await store.open()).owned_ids("umazda", "order", "", 100) == []
    for number, id_ in enumerate((5, "6", 7.0)):
        await hooks.deliver(brief_event(f"f-{number}", order={"id": id_}))
    assert sorted(await (await store.open()).owned_ids("umazda", "order", "", 100)) == ["5", "6", "7"]


# --- times ----------------------------------------------------------------------------------------


@on_both_databases
async def test_event_without_a_readable_time_is_kept_at_its_receipt_and_says_so(
    hooks: Hooks, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes last in time, because nobody knows better. The log has no value of it."""
    await hooks.deliver(brief_event("e-own"))
    for number, when in enumerate(("0001-01-01T00:00:00+14:00", "yesterday", "2026-13-01", None, [])):
        await hooks.deliver(brief_event(f"e-{number}", event_time=when))
    late = [record for record in caplog.records if "without a readable time" in record.getMessage()]
    assert len(late) == 5
    assert "yesterday" not in caplog.text
    async with connect() as client:
        listing = await client.call_tool("list_customer_events", {"dealer": "umazda"})
    rows = answer_of(listing)["events"]
    assert [row.get("time_of_receipt") for row in rows] == [True] * 5 + [None]
    assert rows[-1]["event_id"] == "e-own"
    assert text_of(listing).count("(received)") == 5
    history = (await get_deal(connect, 77))["history"]
    assert [step.get("time_of_receipt") for step in history] == [True] * 5 + [None]


async def test_time_as_ruby_writes_it_is_the_events_own(hooks: Hooks, connect: Connect) -> None:
    await hooks.deliver(brief_event("e-1", event_time="2026-03-01 09:00:00 -0800"))
    (row,) = (await list_events(connect))["events"]
    assert row["time"] == "2026-03-01T17:00:00Z"
    assert "time_of_receipt" not in row


async def test_delivery_events_without_a_time_are_told_apart(hooks: Hooks, store: LazyStore, connect: Connect) -> None:
    """A repeat is stored once. A second attempt at the same shipment is another event."""
    await store.add_owned("umazda", "delivery", "5678")
    for sent_at in ("10:00", "10:00", "11:00"):
        attempt = {"event": "shipment.delivery_attempted", "sent_at": sent_at, "data": {"id": 5678}}
        await hooks.deliver(attempt, source="roadie", key=ROADIE_KEY)
    rows = (await list_events(connect))["events"]
    assert [row["time_of_receipt"] for row in rows] == [True, True]


# --- the text of the body -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xef\xbb\xbf" + json.dumps(brief_event("e-1", message={"body": "See you"})).encode(), "See you"),
        (json.dumps(brief_event("e-1", message={"body": "See you \ud83d"})).encode(), "See you \ufffd"),
        (json.dumps(brief_event("e-1", message={"body": "@"})).encode().replace(b"@", b"Jos\xe9"), "Jos\ufffd"),
        (json.dumps(brief_event("e-1", rate=float("nan"), other=float("-inf"))).encode(), None),
        (json.dumps(brief_event("e-1", rate="@")).encode().replace(b'"@"', b"1e999"), None),
        (json.dumps(brief_event("e-1", rate="@")).encode().replace(b'"@"', b"9" * 4000), None),
        (json.dumps(brief_event("e-1")).encode().replace(b"{", b'{"event_id": "e-0", ', 1), None),
        (b"\n " + json.dumps(brief_event("e-1"), indent=2).encode() + b"\r\n", None),
    ],
    ids=["mark", "half an emoji", "Latin-1", "NaN", "1e999", "4000 digits", "twice the same name", "indented"],
)
async def test_json_that_is_not_quite_json_is_kept(
    body: bytes, message: str | None, hooks: Hooks, connect: Connect, store_url: str
) -> None:
    await hooks.deliver(body)
    (row,) = (await list_events(connect))["events"]
    assert row["event_id"] == "e-1"
    assert row.get("message") == message
    ((stored,),) = await read_rows(store_url, "body")
    assert json.loads(stored, parse_constant=pytest.fail)["event_id"] == "e-1"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", None])
async def test_content_type_does_not_matter(content_type: str | None, hooks: Hooks) -> None:
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Content-Type": content_type} if content_type else {})
    await hooks.deliver(event(), headers=headers)


async def test_list_of_one_event_is_400(hooks: Hooks) -> None:
    assert (await hooks.send([event()])).status_code == 400


# --- compression ----------------------------------------------------------------------------------


async def compressed(hooks: Hooks, body: bytes, encoding: str = "gzip") -> Any:
    return await hooks.send(body, headers={"Authorization": f"Bearer {KEY}", "Content-Encoding": encoding})


async def test_body_in_gzip_is_read(hooks: Hooks, connect: Connect) -> None:
    texts = [json.dumps(brief_event(f"e-{number}")).encode() for number in range(1, 5)]
    for encoding, body in (
        ("gzip", gzip.compress(texts[0])),
        ("X-GZip", gzip.compress(texts[1])),
        ("gzip", gzip.compress(texts[2][:9]) + gzip.compress(texts[2][9:])),
        ("identity", texts[3]),
    ):
        assert (await compressed(hooks, body, encoding)).status_code == 200
    assert {row["event_id"] for row in (await list_events(connect))["events"]} == {"e-1", "e-2", "e-3", "e-4"}


async def test_body_in_gzip_that_grows_too_large_is_413(hooks: Hooks) -> None:
    """A bomb is inflated only up to the limit, also one in many parts."""
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    many = gzip.compress(b" " * 600_000) * 2
    for body in (bomb, many, gzip.compress(b" " * (1024 * 1024 + 1)), b" " * (1024 * 1024 + 1)):
        assert (await compressed(hooks, body)).status_code == 413
    assert (await compressed(hooks, gzip.compress(json.dumps(event()).encode() + b" " * 1_000_000))).status_code == 200


async def test_body_that_is_not_whole_gzip_is_400(hooks: Hooks) -> None:
    whole = gzip.compress(json.dumps(event()).encode())
    for body in (json.dumps(event()).encode(), whole[:-4], whole[:50], whole + b"x", b"", zlib.compress(b"{}")):
        assert (await compressed(hooks, body)).status_code == 400


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_body_in_utf_16_is_400_and_says_so(encoding: str, hooks: Hooks) -> None:
    body = "\ufeff".encode(encoding)[-2:] + json.dumps(event()).encode(
        "utf-16-le" if encoding == "utf-16" else encoding
    )
    response = await hooks.send(body)
    assert (response.status_code, response.json()) == (400, {"error": "the body is UTF-16, and JSON must be UTF-8"})


async def test_body_in_gzip_has_a_few_parts(hooks: Hooks) -> None:
    """50,000 empty parts fit into the limit, and each costs a copy of those that follow."""
    whole, empty = gzip.compress(json.dumps(event()).encode()), gzip.compress(b"")
    assert (await compressed(hooks, empty * 15 + whole)).status_code == 200
    assert (await compressed(hooks, empty * 16 + whole)).status_code == 400
    assert (await compressed(hooks, empty * (1024 * 1024 // len(empty)))).status_code == 400


async def test_body_of_too_many_values_is_413_and_says_so(hooks: Hooks) -> None:
    values = {"notes": [0] * 99_000, "note": "," * 120_000}
    assert (await hooks.send(event(**values))).status_code == 200
    response = await hooks.send(event("e-2", notes=[0] * 100_000))
    assert (response.status_code, response.json()) == (413, {"error": "the body has more than 100,000 values"})


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "*"])
async def test_body_in_another_encoding_is_415_and_names_what_is_read(encoding: str, hooks: Hooks) -> None:
    response = await compressed(hooks, b"{}", encoding)
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip"
