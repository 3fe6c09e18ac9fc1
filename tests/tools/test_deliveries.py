"""Deliveries: whose they are, what is checked before anything is sent, and what is told of them."""

from __future__ import annotations

import copy
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, get_args, get_origin

import httpx2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mcp_types import ElicitResult

from roadster_client.models import deliveries as models
from roadster_client.models.deliveries import Place, parse_phone, parse_time
from roadster_sandbox import DEALERS, SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.store import StoreError, open_store
from roadster_server.store.lazy import OpenStore
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS, Access, InvalidArguments
from roadster_tools.toolsets.deliveries import check_times
from tests.conftest import (
    DELIVERY,
    DELIVERY_ID,
    RECEIVER,
    Connect,
    World,
    answer_of,
    kind_of,
    on_both_databases,
    own_delivery,
    store_of_class,
    text_of,
)

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}
NEW = {**AT_UMAZDA, **DELIVERY}
IT = {**AT_UMAZDA, "delivery_id": DELIVERY_ID}
MINE = [(name, {**arguments, "delivery_id": DELIVERY_ID}) for name, arguments in (
    ("get_delivery", {}),
    ("update_delivery", {"reference_id": "RO-4712"}),
    ("cancel_delivery", {}),
)]  # fmt: skip


async def sent(world: World) -> list[str]:
    return [request["operation"] for request in await world.requests()]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The arguments of a delivery with the value at `path`, or without it for ..."""
    arguments: Any = copy.deepcopy(NEW)
    *steps, last = path.split(".")
    node = arguments
    for step in steps:
        node = node[int(step) if step.isdigit() else step]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return arguments


# --- the way of a delivery --------------------------------------------------------------------------


@pytest.mark.operation("create_shipment", "create_delivery")
@pytest.mark.operation("get_shipment", "get_delivery")
@pytest.mark.operation("update_shipment", "update_delivery")
async def test_a_delivery_is_made_followed_changed_and_told_in_plain_words(connect: Connect, world: World) -> None:
    async with connect(personal_data="contact") as client:
        made = answer_of(await client.call_tool("create_delivery", NEW))
        assert (made["delivery_id"], made["state"], made["meaning"]) == (
            DELIVERY_ID,
            "scheduled",
            "waiting for a driver",
        )
        assert made["reference_id"] == "RO-4711"
        assert made["price"] > 0
        assert made["deliver_until"] == "2099-01-31T18:00:00-08:00"
        later = {"start": "2099-02-01T10:00:00-08:00", "end": "2099-02-01T18:00:00-08:00"}
        moved = answer_of(await client.call_tool("update_delivery", {**IT, "deliver_between": later}))
        assert moved["deliver_from"] == later["start"]
        await world.move_delivery("driver_assigned")
        await world.move_delivery("pickup_confirmed")
        found = answer_of(await client.call_tool("get_delivery", {**IT, "detail": "full"}))
        assert (found["state"], found["meaning"]) == ("en_route", "picked up, and on the way")
        assert found["driver"]["name"]
        assert found["tracking_number"]
        assert found["details"]["items"][0]["description"] == "Four winter tires"
        assert found["details"]["delivery_location"]["contact"] == RECEIVER
        too_late = await client.call_tool("cancel_delivery", IT)
        assert kind_of(too_late) == "upstream"
        assert "cannot be changed any more" in text_of(too_late)
        await world.move_delivery("delivery_attempted")
        await world.move_delivery("return_created")
        assert answer_of(await client.call_tool("get_delivery", IT))["state"] == "returned"


@pytest.mark.operation("cancel_shipment", "cancel_delivery")
async def test_a_delivery_is_canceled_until_it_is_picked_up(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        await world.move_delivery("driver_assigned")
        canceled = answer_of(await client.call_tool("cancel_delivery", IT))
        assert canceled == {"delivery_id": DELIVERY_ID, "canceled": True}
        found = answer_of(await client.call_tool("get_delivery", IT))
        assert found["state"] == "canceled"
        assert "meaning" not in found, "the word says it"


@pytest.mark.parametrize("tool", ["cancel_delivery", "update_delivery"])
async def test_a_delivery_that_is_over_is_told_to_be_in_plain_words(tool: str, connect: Connect, world: World) -> None:
    """No argument is to blame: what is canceled cannot be canceled again, nor changed."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        answer_of(await client.call_tool("cancel_delivery", IT))
        more = {"reference_id": "RO-4712"} if tool == "update_delivery" else {}
        told = text_of(await client.call_tool(tool, {**IT, **more}))
    assert told.startswith(f"{tool} was refused")
    assert "is delivered, canceled or over, and cannot be changed any more" in told
    assert "get_delivery shows where it is" in told
    assert "Correct the arguments" not in told


async def test_cancelling_asks_a_person_where_only_the_toolset_is_opened(connect: Connect, world: World) -> None:
    async with connect(access={"deliveries": Access.WRITE}) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        assert kind_of(await client.call_tool("cancel_delivery", IT)) == "not_confirmed"
    assert await sent(world) == ["create_shipment", "list_dealers"]


async def test_what_is_sent_to_roadie_is_what_was_asked_for(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(
            await client.call_tool("create_delivery", changed("delivery_location.contact.phone", "+1 (415) 555-0123"))
        )
    (request,) = await world.requests()
    assert request["body"] == {**DELIVERY, "options": {"signature_required": False}}


async def test_the_same_delivery_has_the_same_reference_where_none_is_given(connect: Connect, world: World) -> None:
    """What a person has confirmed must be what is sent, also when the client repeats the call."""

    async def agree(_ctx: Any, _params: Any) -> Any:
        return ElicitResult(action="accept", content={"confirm": True})

    arguments = changed("reference_id", ...)
    async with connect(mode="2026-07-28", access={"deliveries": Access.CONFIRM}, ask=agree) as client:
        made = answer_of(await client.call_tool("create_delivery", arguments))
    assert re.fullmatch(r"umazda-[0-9a-f]{16}", made["reference_id"])
    other = {**arguments, "pickup_after": "2099-01-31T09:30:00-08:00"}
    async with connect() as client:
        assert answer_of(await client.call_tool("create_delivery", other))["reference_id"] != made["reference_id"]


# --- whose it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tool", "arguments"), MINE, ids=[name for name, _ in MINE])
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_another_dealers_delivery_is_one_that_does_not_exist(
    tool: str, arguments: dict[str, Any], level: Access, connect: Connect, world: World
) -> None:
    """To the letter, and with nothing sent."""
    access = {"deliveries": level, "create_delivery": Access.WRITE}
    async with connect(access=access) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        foreign = await client.call_tool(tool, {**arguments, "dealer": "hyundaidemo"})
        unknown = await client.call_tool(tool, {**arguments, "delivery_id": 1, "dealer": "hyundaidemo"})
    assert kind_of(foreign) == kind_of(unknown) == "not_found"
    assert text_of(foreign) == text_of(unknown)
    assert await sent(world) == ["create_shipment"]


async def test_what_roadie_does_not_find_reads_the_same(connect: Connect, world: World, store_url: str) -> None:
    await own_delivery(store_url)
    async with connect() as client:
        gone = await client.call_tool("get_delivery", IT)
        foreign = await client.call_tool("get_delivery", {**IT, "dealer": "hyundaidemo"})
    assert text_of(gone) == text_of(foreign)
    assert await sent(world) == ["get_shipment"]


@on_both_databases
async def test_the_owner_survives_a_restart_of_the_server(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW))
    async with connect() as client:
        assert answer_of(await client.call_tool("get_delivery", IT))["state"] == "scheduled"
        assert kind_of(await client.call_tool("get_delivery", {**IT, "dealer": "hyundaidemo"})) == "not_found"


@pytest.mark.parametrize("fault", ["lost_answer", "truncated", "wrong_types", "html", "nan"])
async def test_a_lost_answer_leaves_the_outcome_open_and_nobody_owns_anything(
    fault: str, connect: Connect, world: World, store_url: str
) -> None:
    await world.fault("create_shipment", fault)
    async with connect() as client:
        lost = await client.call_tool("create_delivery", {**NEW, "idempotency_key": "delivery-1"})
        again = await client.call_tool("create_delivery", {**NEW, "idempotency_key": "delivery-1"})
    assert kind_of(lost) == kind_of(again) == "outcome_unknown"
    assert TOOLS["create_delivery"].if_unknown in text_of(lost)
    assert await sent(world) == ["create_shipment"]
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == []


def forgetful_store(failures: int) -> OpenStore:
    """Opens a store that fails to keep what belongs to a dealer, the first `failures` times."""

    class Forgetful(SqlStore):
        async def add_owned(self, dealer: str, kind: str, id_: str) -> bool:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StoreError("the disk is full; free some space")
            return await super().add_owned(dealer, kind, id_)

    return store_of_class(Forgetful)


AT_ONCE = Timing(ownership_pauses=(0.0, 0.0))


@on_both_databases
async def test_a_delivery_that_could_not_be_recorded_is_told_as_made_and_never_made_again(
    connect: Connect, world: World, store_url: str
) -> None:
    async with connect(timing=AT_ONCE, open_store=forgetful_store(failures=99)) as client:
        result = await client.call_tool("create_delivery", {**NEW, "idempotency_key": "delivery-1"})
        again = await client.call_tool("create_delivery", {**NEW, "idempotency_key": "delivery-1"})
        assert kind_of(await client.call_tool("get_delivery", IT)) == "not_found"
    assert kind_of(result) == kind_of(again) == "outcome_unknown"
    assert f"delivery {DELIVERY_ID} was made, but it could not be recorded" in text_of(result)
    assert "Nothing was sent" not in text_of(result)
    assert await sent(world) == ["create_shipment"]
    async with open_store(store_url) as store:
        outcomes = [stored.record.outcome async for stored in store.records()]
    assert outcomes == ["sent", "outcome_unknown", "outcome_unknown", "not_found"]


async def test_no_failure_of_the_store_after_sending_reads_as_if_nothing_was_sent(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_arguments: Any) -> None:
        raise StoreError("the disk is full; free some space")

    monkeypatch.setattr("roadster_server.stored.StoredOwnership.add", fails)
    async with connect() as client:
        result = await client.call_tool("create_delivery", NEW)
    assert kind_of(result) == "outcome_unknown"
    assert "The write was sent, and not put on record" in text_of(result)
    assert await sent(world) == ["create_shipment"]


async def test_a_store_that_fails_for_a_moment_is_asked_again(
    connect: Connect,
) -> None:
    async with connect(timing=AT_ONCE, open_store=forgetful_store(failures=2)) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        assert answer_of(await client.call_tool("get_delivery", IT))["delivery_id"] == DELIVERY_ID


async def test_a_store_that_cannot_say_whose_it_is_sends_nothing(connect: Connect, world: World) -> None:
    class Gone(SqlStore):
        async def belongs(self, *_arguments: Any) -> bool:
            raise StoreError("the disk is gone; look for it")

    async with connect(open_store=store_of_class(Gone)) as client:
        for tool, arguments in MINE:
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments})) == "unrecorded"
    assert await sent(world) == []


class Renumbered(httpx2.AsyncBaseTransport):
    """The sandbox, whose shipments come back with another's id and reference."""

    def __init__(self, world: World) -> None:
        self._inner = SandboxTransport(world.app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        content = await response.aread()
        if "/shipments" in request.url.path:
            content = content.replace(b'"id":152040', b'"id":152041').replace(b"RO-4711", b"RO-9999")
        if request.method == "DELETE":
            content = b'{"id":152041,"state":"canceled"}'
        return httpx2.Response(200, headers={"content-type": "application/json"}, stream=httpx2.ByteStream(content))


async def test_an_answer_about_another_delivery_is_withheld_and_recorded_for_nobody(
    connect: Connect, world: World, store_url: str
) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW))
    async with connect(upstream=Renumbered(world)) as client:
        for tool, arguments in [("create_delivery", dict(DELIVERY)), *MINE]:
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == ("outcome_unknown" if TOOLS[tool].writes else "upstream"), tool
            assert "another delivery" in text_of(result)
            assert "152041" not in text_of(result)
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == [str(DELIVERY_ID)]


class Said(httpx2.AsyncBaseTransport):
    """The sandbox, whose new shipments come back with some fields changed."""

    def __init__(self, world: World, **changed: Any) -> None:
        self._inner = SandboxTransport(world.app)
        self._changed = changed

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if request.method != "POST":
            return response
        answer = {**json.loads(await response.aread()), **self._changed}
        return httpx2.Response(201, stream=httpx2.ByteStream(json.dumps(answer).encode()))


@on_both_databases
async def test_a_delivery_has_one_dealer_the_first_whatever_roadie_answers_another(
    connect: Connect, world: World
) -> None:
    """The second is told that the outcome is unknown, is shown nothing, and can do nothing with it."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", {**NEW, "dealer": "hyundaidemo"}))
    async with connect(upstream=Said(world, id=DELIVERY_ID)) as client:
        claimed = await client.call_tool("create_delivery", NEW)
        assert kind_of(claimed) == "outcome_unknown"
        assert "is about another delivery and was withheld" in text_of(claimed)
        assert str(DELIVERY_ID) not in text_of(claimed)
        for tool, arguments in MINE:
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments})) == "not_found"
        assert answer_of(await client.call_tool("get_delivery", {**IT, "dealer": "hyundaidemo"}))["delivery_id"]


@pytest.mark.parametrize(
    "odd",
    [
        {"price": "to be told"},
        {"created_at": "yesterday"},
        {"driver": "Natalie Wood"},
        {"items": None},
        {"deliver_between": {"start": "2099-01-31T10:00:00-08:00"}},
        {"id": str(DELIVERY_ID), "options": []},
    ],
    ids=str,
)
async def test_a_delivery_whose_answer_has_an_odd_field_is_the_dealers_all_the_same(
    odd: dict[str, Any], connect: Connect, world: World
) -> None:
    async with connect(upstream=Said(world, **odd)) as client:
        made = await client.call_tool("create_delivery", NEW)
        assert kind_of(made) == "outcome_unknown"
        assert f"delivery {DELIVERY_ID} was made for this dealer" in text_of(made)
        assert "get_delivery shows a delivery that is named" in text_of(made)
        assert answer_of(await client.call_tool("get_delivery", IT))["state"] == "scheduled"
        assert answer_of(await client.call_tool("cancel_delivery", IT))["canceled"]
    assert await sent(world) == ["create_shipment", "get_shipment", "cancel_shipment"]


async def test_a_text_of_any_length_does_not_cost_the_answer_that_names_the_delivery(
    connect: Connect, world: World
) -> None:
    """Each is cut, and a social security number is masked before it could be parted."""
    long = "x" * 490 + " 123-45-6789" + "x" * 250_000
    driver = {"name": long, "phone": long}
    odd = {"state": long, "tracking_number": long, "driver": driver}
    async with connect(upstream=Said(world, **odd), personal_data="contact") as client:
        result = await client.call_tool("create_delivery", NEW)
    made = answer_of(result)
    assert made["delivery_id"] == DELIVERY_ID
    for text in (made["state"], made["tracking_number"], *made["driver"].values()):
        assert len(text) == 500
        assert "123-45" not in text


@pytest.mark.parametrize(
    "odd", [None, 0, -7, 1.5, True, "", "7/../8", "١٢", " 7", "7" * 17, 10**40, [7], {"id": 7}], ids=str
)
async def test_what_is_no_id_of_a_delivery_is_nobodys(odd: Any, connect: Connect, world: World, store_url: str) -> None:
    async with connect(upstream=Said(world, id=odd)) as client:
        result = await client.call_tool("create_delivery", NEW)
    assert kind_of(result) == "outcome_unknown"
    assert "does not say which delivery was made" in text_of(result)
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == []


async def test_a_reference_that_comes_back_as_a_number_is_still_ours(connect: Connect, world: World) -> None:
    async with connect(upstream=Said(world, reference_id=4711)) as client:
        answer_of(await client.call_tool("create_delivery", {**NEW, "reference_id": "4711"}))


# --- without Roadie ---------------------------------------------------------------------------------


async def test_without_its_section_the_tools_are_neither_listed_nor_callable(connect: Connect, world: World) -> None:
    async with connect(change={"roadie": None}) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        for tool, arguments in [("create_delivery", dict(DELIVERY)), *MINE]:
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert tool not in listed
            assert kind_of(result) == "refused"
            assert "[roadie] is not set" in text_of(result)
    assert await sent(world) == []


# --- where it is picked up --------------------------------------------------------------------------


async def test_without_a_pickup_location_it_is_picked_up_at_the_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", changed("pickup_location", ...)))
    asked, made = await world.requests()
    assert (asked["operation"], asked["dealer"]) == ("get_dealer", "umazda")
    assert made["body"]["pickup_location"] == {
        "address": {
            "name": "University Mazda",
            "street1": "4701 Roosevelt Way NE",
            "city": "Seattle",
            "state": "WA",
            "zip": "98105",
        },
        "contact": {"name": "University Mazda", "phone": "2065550142"},
    }


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        (dict.fromkeys(("address", "city", "state", "zip_code", "phone")), "address, city, state, zip_code, phone"),
        ({"state": "Washington", "phone": "206-555-0142 ext. 3"}, "state, phone"),
        ({"address": " "}, "address"),
    ],
)
async def test_what_roadster_lacks_of_the_dealer_is_named(
    lacking: dict[str, Any], named: str, connect: Connect
) -> None:
    dealer = {**DEALERS[0].to_listing(), **lacking}

    class Lacking(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            assert request.url.path == "/v1/dealers/umazda"
            return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(dealer).encode()))

    async with connect(upstream=Lacking()) as client:
        result = await client.call_tool("create_delivery", changed("pickup_location", ...))
    assert kind_of(result) == "invalid_arguments"
    assert f"pickup_location: is needed: Roadster has no usable {named} of this dealer" in text_of(result)


# --- limits -----------------------------------------------------------------------------------------

LIMITS: list[tuple[str, Any, Any]] = [
    ("items.0.description", "x" * 201, "x" * 200),
    ("items.0.description", " ", "x"),
    ("items.0.reference_id", "x" * 101, "x" * 100),
    ("items.0.value", 0, 0.01),
    ("items.0.length", -1, 1),
    ("items.0.width", 0, 1),
    ("items.0.height", 0, 1),
    ("items.0.weight", 0, 0.5),
    ("items.0.quantity", 0, 1),
    ("items.0.quantity", 1.5, 2),
    ("items.0.value", ..., 1),
    ("reference_id", "x" * 101, "x" * 100),
    ("reference_id", "", "x"),
    *(
        (f"{place}.address.{part}", "x" * 201, "x" * 200)
        for place in ("pickup_location", "delivery_location")
        for part in ("name", "street1", "street2", "city")
    ),
    ("delivery_location.address.street1", ..., "1 Main Street"),
    ("delivery_location.address.state", "Washington", "wa"),
    ("delivery_location.address.state", "1A", "OR"),
    ("delivery_location.address.zip", "98402-12345", "98402-1234"),
    ("delivery_location.contact.name", "x" * 201, "x" * 200),
    ("delivery_location.contact.phone", "415-555-012", "415-555-0123"),
    ("delivery_location.contact.phone", "+44 20 7946 0958", "+1 415 555 0123"),
    ("delivery_location.notes", "x" * 301, "x" * 300),
    ("pickup_after", "2099-01-31T09:00:00", "2099-01-31T09:00-08:00"),
    ("deliver_between.start", "2099-02-30T09:00:00Z", "2099-01-31T17:00Z"),
]


@pytest.mark.parametrize(
    ("path", "wrong", "right"), LIMITS, ids=[f"{path} {n}" for n, (path, _, _) in enumerate(LIMITS)]
)
async def test_each_limit_is_checked_before_sending_and_named_by_its_path(
    path: str, wrong: Any, right: Any, connect: Connect, world: World
) -> None:
    async with connect() as client:
        result = await client.call_tool("create_delivery", changed(path, wrong))
        assert kind_of(result) == "invalid_arguments"
        assert f" {path}: " in text_of(result)
        assert await sent(world) == []
        answer_of(await client.call_tool("create_delivery", changed(path, right)))


async def test_a_field_that_nobody_documents_is_refused(connect: Connect, world: World) -> None:
    async with connect() as client:
        for path in ("items.0.color", "delivery_location.door", "delivery_location.address.country", "express"):
            result = await client.call_tool("create_delivery", changed(path, "x"))
            assert f"{path.split('.')[-1]}: no such argument" in text_of(result)
    assert await sent(world) == []


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        ("2099-01-31T18:00:00Z", "2099-01-31T10:00:00Z", "deliver_between: end is not after start"),
        ("2099-01-31T18:00:00Z", "2099-01-31T10:00:00-08:00", "deliver_between: end is not after start"),
        ("2018-01-31T10:00:00Z", "2018-01-31T18:00:00Z", "deliver_between.end: is in the past"),
        ("2099-01-30T10:00:00Z", "2099-01-31T17:00:00Z", "deliver_between.end: is not after pickup_after"),
    ],
)
async def test_a_window_is_in_order_not_over_and_ends_after_the_pickup(
    start: str, end: str, problem: str, connect: Connect, world: World, store_url: str
) -> None:
    await own_delivery(store_url)
    times = {"pickup_after": DELIVERY["pickup_after"], "deliver_between": {"start": start, "end": end}}
    async with connect() as client:
        for tool, arguments in (("create_delivery", NEW), ("update_delivery", IT)):
            result = await client.call_tool(tool, {**arguments, **times})
            assert kind_of(result) == "invalid_arguments", problem
            assert problem in text_of(result)
    assert await sent(world) == []


async def test_an_update_needs_something_to_change(connect: Connect, world: World, store_url: str) -> None:
    await own_delivery(store_url)
    async with connect() as client:
        result = await client.call_tool("update_delivery", {**IT, "items": None})
    assert kind_of(result) == "invalid_arguments"
    assert "give what shall change" in text_of(result)
    assert await sent(world) == []


async def test_a_refusal_of_roadie_is_told_with_its_parameter(connect: Connect, world: World) -> None:
    async with connect() as client:
        unknown = await client.call_tool("create_delivery", changed("delivery_location.address.zip", "00000"))
        unreachable = await client.call_tool("create_delivery", changed("delivery_location.address.state", "HI"))
    assert "delivery_location.address names an address that Roadie does not find" in text_of(unknown)
    assert "delivery_location leaves no route between the two places" in text_of(unreachable)
    assert kind_of(unknown) == kind_of(unreachable) == "upstream"
    assert (await world.get("state"))["shipments"] == []


def window(start: datetime, end: datetime) -> models.TimeWindow:
    return models.TimeWindow(start=start, end=end)


times = st.datetimes(timezones=st.timezones() | st.just(UTC))


@given(pickup=times, start=times, end=times, now=times)
def test_a_window_is_accepted_exactly_where_it_ends_after_now_and_after_the_pickup(
    pickup: datetime, start: datetime, end: datetime, now: datetime
) -> None:
    assume(start < end)
    try:
        check_times(pickup, window(start, end), now=now)
    except InvalidArguments:
        assert end <= max(now, pickup)
    else:
        assert end > max(now, pickup)


def test_a_window_that_has_begun_is_good_until_its_end() -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    hour = timedelta(hours=1)
    check_times(now - hour, window(now - hour, now + hour), now=now)
    with pytest.raises(InvalidArguments, match="in the past"):
        check_times(now - hour, window(now - hour, now), now=now)


# --- phones and times -------------------------------------------------------------------------------

digits = st.text("0123456789", min_size=10, max_size=10)


@given(
    digits, st.lists(st.sampled_from(" ().-/\xa0"), min_size=11, max_size=11), st.sampled_from(["", "1", "+1", "+1 "])
)
@example("1111111111", [""] * 11, "")
def test_a_phone_is_its_ten_digits_however_it_is_punctuated(number: str, marks: list[str], prefix: str) -> None:
    written = prefix + "".join(mark + digit for mark, digit in zip(marks, number, strict=False)) + marks[-1]
    assert parse_phone(written) == number


@given(st.text())
@example("+4155556666")
@example("٤١٥٥٥٥٦٦٦٦")
@example("4155556666x3")
@example("14155556666\n")
def test_a_phone_is_ten_ascii_digits_or_refused(written: str) -> None:
    try:
        number = parse_phone(written)
    except ValueError:
        return
    assert re.fullmatch("[0-9]{10}", number)
    assert re.sub("[^0-9]", "", written) in (number, f"1{number}")
    assert not re.search(r"[^0-9 ().\-/+\xa0]", written)


def test_a_foreign_number_of_ten_digits_is_not_an_american_one() -> None:
    for written in ("+4155556666", "x4155556666", "415555666", "24155556666", "4155556666 ext 1", ""):
        with pytest.raises(ValueError, match="ten digits"):
            parse_phone(written)


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
def test_a_time_is_read_with_and_without_its_seconds(time: datetime) -> None:
    assert parse_time(time.isoformat()) == time
    if time.utcoffset() == timedelta(0):
        assert parse_time(time.isoformat().replace("+00:00", "z")) == time
    assert parse_time(time.isoformat(timespec="minutes")) == time.replace(second=0, microsecond=0)


@given(
    st.text() | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?([+-]\d\d:\d\d|Z)?\Z") | st.none() | st.integers()
)
@example("2018-01-14")
@example("2018-01-14 19:20:00Z")
@example("2018-01-14T19:20:00")
@example("2018-01-14T24:00:00Z")
@example("2018-01-14T19:20:60Z")
@example("2018-01-14T19:20:00+24:00")
@example("0000-01-14T19:20:00Z")
@example("20180114T192000Z")
@example("2018-W02-7T19:20:00Z")
def test_what_is_read_as_a_time_has_an_offset_and_all_else_is_refused(written: Any) -> None:
    try:
        time = parse_time(written)
    except ValueError:
        return
    assert time.tzinfo is not None
    assert written[10] in "Tt"


def test_roadies_own_times_without_seconds_are_read() -> None:
    assert parse_time("2018-01-14T19:20+01:00") == datetime(2018, 1, 14, 18, 20, tzinfo=UTC)


# --- personal data ----------------------------------------------------------------------------------


async def test_people_and_addresses_are_masked_unless_the_caller_may_see_them(connect: Connect, world: World) -> None:
    """Driver, contacts, addresses and notes; what remains is enough to say where the delivery is."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        await world.move_delivery("driver_assigned")
        masked = await client.call_tool("get_delivery", {**IT, "detail": "full"})
    async with connect(personal_data="contact") as client:
        shown = text_of(await client.call_tool("get_delivery", {**IT, "detail": "full"}))
    driver = (await world.get("state"))["shipments"][0]["driver"]
    people = [*RECEIVER.values(), *driver.values(), "456 Central Avenue", "98402", "The bell is broken", "Natalie Wood"]
    for value in people:
        assert value in shown
        assert value not in text_of(masked)
        assert value not in str(masked.structured_content)
    assert answer_of(masked)["driver"] == {"name": "***", "phone": "***"}
    assert answer_of(masked)["state"] == "assigned"


def test_every_text_of_a_place_and_of_a_driver_is_contact_data() -> None:
    for model in (Place, models.PlaceAddress, models.PlaceContact, models.Driver):
        for name, field in model.model_fields.items():
            text = [part for part in get_args(field.annotation) if get_origin(part) is Annotated]
            assert name in ("address", "contact", "state") or "contact" in text[0].__metadata__, (model, name)


async def test_a_preview_shows_where_the_dealer_is_and_not_where_the_customer_is(connect: Connect) -> None:
    """To a caller who may not see contact data. A place that was given is masked, also where it is the dealer's."""
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        by_default = answer_of(await client.call_tool("create_delivery", changed("pickup_location", ...)))
        own = by_default["preview"]["body"]["pickup_location"]
        given = answer_of(await client.call_tool("create_delivery", {**NEW, "pickup_location": own}))
    assert (own["address"]["street1"], own["contact"]["phone"]) == ("4701 Roosevelt Way NE", "2065550142")
    masked = {"name": "***", "street1": "***", "city": "***", "state": "WA", "zip": "***"}
    assert given["preview"]["body"]["pickup_location"]["address"] == masked
    for shown in (by_default, given):
        to = shown["preview"]["body"]["delivery_location"]
        assert to["contact"] == {"name": "***", "phone": "***"}
        assert {name for name, value in to["address"].items() if value != "***"} == {"state"}


async def test_an_unknown_state_is_passed_on_as_it_is(connect: Connect, world: World) -> None:
    class Renamed(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await SandboxTransport(world.app).handle_async_request(request)
            content = (await response.aread()).replace(b'"scheduled"', b'"on_hold"')
            return httpx2.Response(200, stream=httpx2.ByteStream(content))

    async with connect(upstream=Renamed()) as client:
        made = answer_of(await client.call_tool("create_delivery", NEW))
    assert made["state"] == "on_hold"
    assert "meaning" not in made


async def test_the_question_says_that_it_goes_to_roadie(connect: Connect) -> None:
    questions = []

    async def decline(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="decline")

    async with connect(access={"deliveries": Access.CONFIRM}, ask=decline) as client:
        await client.call_tool("create_delivery", NEW)
    assert questions[0].startswith("Create a delivery at University Mazda (umazda)? This writes to Roadie.")


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_person_who_is_asked_to_cancel_is_shown_which_delivery(
    mode: str, connect: Connect, world: World
) -> None:
    """By what people know it by, also where the caller's personal data are masked: the preview shows none of it."""
    questions: list[str] = []

    async def agree(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, access={"deliveries": Access.WRITE}, ask=agree) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        preview = answer_of(await client.call_tool("cancel_delivery", IT))["preview"]
    async with connect(mode=mode, access={"deliveries": Access.WRITE}, ask=agree) as client:
        answer_of(await client.call_tool("cancel_delivery", IT))
    assert questions[0].splitlines() == [
        "Cancel a delivery at University Mazda (umazda)? This deletes and cannot be undone.",
        f'delivery id: "{DELIVERY_ID}"',
        'reference id: "RO-4711"',
        'state: "scheduled"',
        'items 1: description "Four winter tires", quantity 1',
        'pickup location.address.name: "The tire shop"',
        'pickup location.address.street1: "12 Main Street"',
        'pickup location.address.city: "Seattle"',
        'pickup location.address.state: "WA"',
        'pickup location.address.zip: "98105"',
        'pickup location.contact.name: "Natalie Wood"',
        'pickup location.contact.phone: "2065550100"',
        'delivery location.address.street1: "456 Central Avenue"',
        'delivery location.address.street2: "Floor 2"',
        'delivery location.address.city: "Tacoma"',
        'delivery location.address.state: "WA"',
        'delivery location.address.zip: "98402"',
        'delivery location.contact.name: "Carlos Silva"',
        'delivery location.contact.phone: "4155550123"',
        'pickup after: "2099-01-31T09:00:00-08:00"',
        'deliver between.start: "2099-01-31T10:00:00-08:00"',
        'deliver between.end: "2099-01-31T18:00:00-08:00"',
    ]
    assert preview.keys() == {"method", "path", "checks"}
    assert (await sent(world)).count("cancel_shipment") == 1


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_person_who_is_asked_about_a_change_is_shown_what_is_there_now(mode: str, connect: Connect) -> None:
    """Beside what it becomes; an assistant that may see a preview alone sees none of it."""
    questions: list[str] = []

    async def agree(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    change = {**IT, "reference_id": "RO-4712"}
    async with connect(access={"deliveries": Access.WRITE}) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        assert answer_of(await client.call_tool("update_delivery", change))["preview"]["body"] == {
            "reference_id": "RO-4712"
        }
    async with connect(mode=mode, access={"deliveries": Access.CONFIRM}, ask=agree) as client:
        assert answer_of(await client.call_tool("update_delivery", change))["reference_id"] == "RO-4712"
    (question,) = questions
    first, *lines = question.splitlines()
    assert first == "Update a delivery at University Mazda (umazda)? This writes to Roadie."
    assert lines[:5] == [
        f'delivery id: "{DELIVERY_ID}"',
        'reference id: "RO-4712"',
        'now.reference id: "RO-4711"',
        'now.state: "scheduled"',
        'now.items 1: description "Four winter tires", quantity 1',
    ]
    assert 'now.delivery location.contact.name: "Carlos Silva"' in lines


async def test_a_delivery_of_many_items_is_told_by_the_first(connect: Connect) -> None:
    """Else nobody could confirm that it is cancelled."""
    questions: list[str] = []

    async def decline(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="decline")

    many = {**NEW, "items": [{**NEW["items"][0], "description": f"{'x' * 190} {n}"} for n in range(100)]}
    async with connect(access={"deliveries": Access.WRITE}, ask=decline) as client:
        answer_of(await client.call_tool("create_delivery", many))
        assert kind_of(await client.call_tool("cancel_delivery", IT)) == "not_confirmed"
    (question,) = questions
    assert question.count("\nitems ") == 10
    assert "more items: 90" in question


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("tool", "arguments"), [("update_delivery", {"reference_id": "RO-4712"}), ("cancel_delivery", {})]
)
async def test_a_delivery_that_is_the_dealers_no_more_when_the_person_says_yes_is_not_touched(
    tool: str, arguments: dict[str, Any], mode: str, connect: Connect, world: World, store_url: str
) -> None:
    async def ask(_ctx: Any, _params: Any) -> Any:
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as store, store:
            store.execute("DELETE FROM roadster_belongings")
        return ElicitResult(action="accept", content={"confirm": True})

    access = {"deliveries": Access.WRITE, "update_delivery": Access.CONFIRM}
    async with connect(mode=mode, access=access, ask=ask) as client:
        answer_of(await client.call_tool("create_delivery", NEW))
        assert kind_of(await client.call_tool(tool, {**IT, **arguments})) == "not_found"
    assert {"update_shipment", "cancel_shipment"} & set(await sent(world)) == set()
