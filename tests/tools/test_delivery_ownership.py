"""The dealer of a delivery: only its tools find it, and odd answers of Roadie change nothing about that."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx2
import pytest

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.calls.questions.form import yes_to
from roadster_server.store import StoreError, open_store
from roadster_server.store.lazy import OpenStore
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS, Access
from tests.conftest import Connect, World, answer_of, kind_of, on_both_databases, own_delivery, store_of_class, text_of
from tests.tool_examples import DELIVERY, DELIVERY_ID
from tests.tools.deliveries import CALLS, NEW_DELIVERY, OWN_DELIVERY
from tests.tools.umazda import AT_UMAZDA, operations

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("tool", "arguments"), CALLS, ids=[name for name, _ in CALLS])
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_delivery_of_another_dealer_does_not_exist(
    tool: str, arguments: dict[str, Any], level: Access, connect: Connect, world: World
) -> None:
    """The text is the same to the letter, and nothing is sent."""
    access = {"deliveries": level, "create_delivery": Access.WRITE}
    async with connect(access=access) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        foreign = await client.call_tool(tool, {**arguments, "dealer": "hyundaidemo"})
        unknown = await client.call_tool(tool, {**arguments, "delivery_id": 1, "dealer": "hyundaidemo"})
    assert kind_of(foreign) == kind_of(unknown) == "not_found"
    assert text_of(foreign) == text_of(unknown)
    assert await operations(world) == ["create_shipment"]


async def test_delivery_unknown_to_roadie_reads_the_same(connect: Connect, world: World, store_url: str) -> None:
    await own_delivery(store_url)
    async with connect() as client:
        own = await client.call_tool("get_delivery", OWN_DELIVERY)
        foreign = await client.call_tool("get_delivery", {**OWN_DELIVERY, "dealer": "hyundaidemo"})
    assert text_of(own) == text_of(foreign)
    assert await operations(world) == ["get_shipment"]


@on_both_databases
async def test_delivery_keeps_its_dealer_after_a_restart(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
    async with connect() as client:
        assert answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))["state"] == "scheduled"
        assert kind_of(await client.call_tool("get_delivery", {**OWN_DELIVERY, "dealer": "hyundaidemo"})) == "not_found"


async def test_delivery_of_unknown_dealer_sends_nothing(connect: Connect, world: World) -> None:
    class Gone(SqlStore):
        async def belongs(self, *_arguments: Any) -> bool:
            raise StoreError("the disk is gone; look for it")

    async with connect(open_store=store_of_class(Gone)) as client:
        for tool, arguments in CALLS:
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments})) == "unrecorded"
    assert await operations(world) == []


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("tool", "arguments"), [("update_delivery", {"reference_id": "RO-4712"}), ("cancel_delivery", {})]
)
async def test_delivery_lost_during_the_question_is_not_touched(
    tool: str, arguments: dict[str, Any], mode: str, connect: Connect, world: World, store_url: str
) -> None:
    async def ask(_ctx: Any, params: Any) -> Any:
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as store, store:
            store.execute("DELETE FROM roadster_belongings")
        return yes_to(params)

    access = {"deliveries": Access.WRITE, "update_delivery": Access.CONFIRM}
    async with connect(mode=mode, access=access, ask=ask) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        assert kind_of(await client.call_tool(tool, {**OWN_DELIVERY, **arguments})) == "not_found"
    assert {"update_shipment", "cancel_shipment"} & set(await operations(world)) == set()


def forgetful_store(failures: int) -> OpenStore:
    """Returns how to open a store that fails to record a dealer's delivery the first `failures` times."""

    class Forgetful(SqlStore):
        async def add_owned(self, dealer: str, kind: str, id_: str) -> bool:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StoreError("the disk is full; free some space")
            return await super().add_owned(dealer, kind, id_)

    return store_of_class(Forgetful)


AT_ONCE = Timing(ownership_pauses=(0.0, 0.0))


@pytest.mark.parametrize("fault", ["lost_answer", "truncated", "wrong_types", "html", "nan"])
async def test_create_delivery_lost_answer_records_no_dealer(
    fault: str, connect: Connect, world: World, store_url: str
) -> None:
    await world.fault("create_shipment", fault)
    async with connect() as client:
        first = await client.call_tool("create_delivery", {**NEW_DELIVERY, "idempotency_key": "delivery-1"})
        again = await client.call_tool("create_delivery", {**NEW_DELIVERY, "idempotency_key": "delivery-1"})
    assert kind_of(first) == kind_of(again) == "outcome_unknown"
    assert TOOLS["create_delivery"].if_unknown in text_of(first)
    assert await operations(world) == ["create_shipment"]
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == []


@on_both_databases
async def test_create_delivery_unrecorded_is_never_repeated(connect: Connect, world: World, store_url: str) -> None:
    async with connect(timing=AT_ONCE, open_store=forgetful_store(failures=99)) as client:
        result = await client.call_tool("create_delivery", {**NEW_DELIVERY, "idempotency_key": "delivery-1"})
        again = await client.call_tool("create_delivery", {**NEW_DELIVERY, "idempotency_key": "delivery-1"})
        assert kind_of(await client.call_tool("get_delivery", OWN_DELIVERY)) == "not_found"
    assert kind_of(result) == kind_of(again) == "outcome_unknown"
    assert f"delivery {DELIVERY_ID} was made, but it could not be recorded" in text_of(result)
    assert "Nothing was sent" not in text_of(result)
    assert await operations(world) == ["create_shipment"]
    async with open_store(store_url) as store:
        outcomes = [row.record.outcome async for row in store.records()]
    assert outcomes == ["sent", "outcome_unknown", "outcome_unknown", "not_found"]


async def test_create_delivery_store_failure_says_it_was_sent(
    connect: Connect, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_arguments: Any) -> None:
        raise StoreError("the disk is full; free some space")

    monkeypatch.setattr("roadster_server.stored.StoredOwnership.add", fails)
    async with connect() as client:
        result = await client.call_tool("create_delivery", NEW_DELIVERY)
    assert kind_of(result) == "outcome_unknown"
    assert "The write was sent, and not put on record" in text_of(result)
    assert await operations(world) == ["create_shipment"]


async def test_create_delivery_retries_a_store_that_fails(
    connect: Connect,
) -> None:
    async with connect(timing=AT_ONCE, open_store=forgetful_store(failures=2)) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        assert answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))["delivery_id"] == DELIVERY_ID


class Renumbered(httpx2.AsyncBaseTransport):
    """The sandbox, but its shipments come back with the id and reference of another one."""

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


async def test_answer_about_another_delivery_is_withheld(connect: Connect, world: World, store_url: str) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
    async with connect(upstream=Renumbered(world)) as client:
        for tool, arguments in [("create_delivery", dict(DELIVERY)), *CALLS]:
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == ("outcome_unknown" if TOOLS[tool].writes else "upstream"), tool
            assert "another delivery" in text_of(result)
            assert "152041" not in text_of(result)
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == [str(DELIVERY_ID)]


class ChangedAnswers(httpx2.AsyncBaseTransport):
    """The sandbox, but its new shipments come back with some fields replaced."""

    def __init__(self, world: World, **changes: Any) -> None:
        self._inner = SandboxTransport(world.app)
        self._changes = changes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if request.method != "POST":
            return response
        answer = {**json.loads(await response.aread()), **self._changes}
        return httpx2.Response(201, stream=httpx2.ByteStream(json.dumps(answer).encode()))


@on_both_databases
async def test_delivery_stays_with_its_first_dealer(connect: Connect, world: World) -> None:
    """Roadie answers a second dealer with the same id. That dealer sees nothing and can do nothing with it."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", {**NEW_DELIVERY, "dealer": "hyundaidemo"}))
    async with connect(upstream=ChangedAnswers(world, id=DELIVERY_ID)) as client:
        result = await client.call_tool("create_delivery", NEW_DELIVERY)
        assert kind_of(result) == "outcome_unknown"
        assert "is about another delivery and was withheld" in text_of(result)
        assert str(DELIVERY_ID) not in text_of(result)
        for tool, arguments in CALLS:
            assert kind_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments})) == "not_found"
        assert answer_of(await client.call_tool("get_delivery", {**OWN_DELIVERY, "dealer": "hyundaidemo"}))[
            "delivery_id"
        ]


@pytest.mark.parametrize(
    ("odd", "says_left_out"),
    [
        ({"price": "to be told"}, True),
        ({"created_at": "yesterday"}, True),
        ({"driver": "Natalie Wood"}, True),
        ({"items": None}, True),
        ({"deliver_between": {"start": "2099-01-31T10:00:00-08:00"}}, False),
        ({"id": str(DELIVERY_ID), "options": []}, True),
    ],
    ids=str,
)
async def test_create_delivery_is_done_although_a_field_is_odd(
    odd: dict[str, Any], says_left_out: bool, connect: Connect, world: World
) -> None:
    async with connect(upstream=ChangedAnswers(world, **odd)) as client:
        answer = answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        assert answer["delivery_id"] == DELIVERY_ID
        assert answer["state"] == "scheduled"
        assert ("left_out" in answer) is says_left_out
        assert answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))["state"] == "scheduled"
        assert answer_of(await client.call_tool("cancel_delivery", OWN_DELIVERY))["canceled"]
    assert await operations(world) == ["create_shipment", "get_shipment", "cancel_shipment"]


async def test_create_delivery_shortens_long_texts(connect: Connect, world: World) -> None:
    """Each text is cut, and a social security number in it is masked before the cut could split it."""
    long = "x" * 490 + " 123-45-6789" + "x" * 250_000
    driver = {"name": long, "phone": long}
    odd = {"state": long, "tracking_number": long, "driver": driver}
    async with connect(upstream=ChangedAnswers(world, **odd), personal_data="contact") as client:
        result = await client.call_tool("create_delivery", NEW_DELIVERY)
    delivery = answer_of(result)
    assert delivery["delivery_id"] == DELIVERY_ID
    for text in (delivery["state"], delivery["tracking_number"], *delivery["driver"].values()):
        assert len(text) == 500
        assert "123-45" not in text


@pytest.mark.parametrize(
    "odd", [None, 0, -7, 1.5, True, "", "7/../8", "١٢", "7\u200b", "7" * 17, 10**40, [7], {"id": 7}], ids=str
)
async def test_create_delivery_without_an_id_records_no_dealer(
    odd: Any, connect: Connect, world: World, store_url: str
) -> None:
    async with connect(upstream=ChangedAnswers(world, id=odd)) as client:
        result = await client.call_tool("create_delivery", NEW_DELIVERY)
    assert kind_of(result) == "outcome_unknown"
    assert "does not say which delivery was made" in text_of(result)
    async with open_store(store_url) as store:
        assert await store.owned_ids("umazda", "delivery", "", 10) == []


async def test_create_delivery_takes_a_numeric_reference_back(connect: Connect, world: World) -> None:
    async with connect(upstream=ChangedAnswers(world, reference_id=4711)) as client:
        answer_of(await client.call_tool("create_delivery", {**NEW_DELIVERY, "reference_id": "4711"}))


@pytest.mark.parametrize("spelling", [float(DELIVERY_ID), f"{DELIVERY_ID}.0", f" {DELIVERY_ID}", f"0{DELIVERY_ID}"])
async def test_delivery_belongs_to_its_dealer_in_every_spelling_of_its_id(
    spelling: Any, connect: Connect, world: World
) -> None:
    """Roadie's document shows numbers, so each of these is the same number."""
    async with connect(upstream=ChangedAnswers(world, id=spelling)) as client:
        assert answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))["delivery_id"] == DELIVERY_ID
        assert answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))["delivery_id"] == DELIVERY_ID
