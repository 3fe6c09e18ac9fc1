"""Writes: what each level lets through, what a person is shown, done once for a key, and what is on record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult
from pydantic import SecretStr

from roadster_client import OPERATIONS
from roadster_sandbox import BASE_PATHS, SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections import CallerSettings, StoreSettings
from roadster_server.store import AuditRecord, Claim, StoredRecord, StoreError, open_store
from roadster_server.store.sql import SqlStore
from roadster_tools import TOOLS, Access, Caller, verdict
from tests.conftest import (
    ALLOWED,
    Connect,
    World,
    answer_of,
    kind_of,
    on_both_databases,
    own_delivery,
    settings_for,
    store_of_class,
    text_of,
)
from tests.tool_examples import DELIVERY, FILES, RECEIVER, STEVE, TOOL_EXAMPLES, every_call

pytestmark = pytest.mark.anyio


AT_UMAZDA = {"dealer": "umazda"}
WRITES = {name: arguments for name, arguments in every_call("umazda").items() if TOOLS[name].writes}
READS = {name: arguments for name, arguments in every_call("umazda").items() if not TOOLS[name].writes}
NEW_CUSTOMER = WRITES["create_customer"]
DOCUMENT = WRITES["upload_document"]
ASSIGNMENT = WRITES["assign_agent"]
DELETION = WRITES["delete_documents"]
FORMS = WRITES["create_forms"]

both_eras = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


class Person:
    """Answers what is asked, and remembers it."""

    def __init__(self, action: str = "accept", content: dict[str, Any] | None = None) -> None:
        self.questions: list[str] = []
        self._answer = ElicitResult(action=action, content=content)  # type: ignore[arg-type]

    async def __call__(self, _ctx: Any, params: Any) -> ElicitResult:
        self.questions.append(params.message)
        return self._answer


def agreeing() -> Person:
    return Person(content={"confirm": True})


async def records(store_url: str) -> list[StoredRecord]:
    async with open_store(store_url) as store:
        return [stored async for stored in store.records()]


async def sent_writes(world: World) -> list[str]:
    sent = [request["operation"] for request in await world.requests()]
    return [operation for operation in sent if OPERATIONS[operation].writes]


# --- levels ---------------------------------------------------------------------------------------


@both_eras
@pytest.mark.parametrize("level", Access)
async def test_each_level_lets_through_what_it_says(
    level: Access, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """Every tool at every level, by its toolset: listed or not, answered or refused, sent or not."""
    await own_delivery(store_url)
    person = agreeing()
    access = {tool.toolset: level for tool in TOOLS.values()}
    async with connect(mode=mode, access=access, ask=person) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        reads = set(READS) if level >= Access.READ else set()
        writes = set(WRITES) if level >= Access.PREVIEW else set()
        assert listed == reads | writes
        for name, arguments in READS.items():
            # Customer and delivery are not there yet, which only those who may read them are told.
            allowed = "not_found" if {"customer_id", "delivery_id"} & arguments.keys() else None
            assert kind_of(await client.call_tool(name, dict(arguments))) == (allowed if name in reads else "refused")
        for name, arguments in WRITES.items():
            result = await client.call_tool(name, dict(arguments))
            assert kind_of(result) == ("refused" if level < Access.PREVIEW else None), name
    sent = [example.sends for example in TOOL_EXAMPLES.values() if example.sends]
    assert await sent_writes(world) == (sent if level >= Access.CONFIRM else [])
    deleting = sum(TOOLS[name].destructive for name in WRITES)
    assert len(person.questions) == {Access.CONFIRM: len(WRITES), Access.WRITE: deleting}.get(level, 0)


def test_what_deletes_is_confirmed_unless_the_tool_itself_is_named() -> None:
    deletes = TOOLS["delete_documents"]
    by_toolset = verdict(Caller("c", ALLOWED, {"documents": Access.WRITE}), deletes)
    by_name = verdict(Caller("c", ALLOWED, {"documents": Access.WRITE, "delete_documents": Access.WRITE}), deletes)
    assert (by_toolset.level, by_toolset.setting) == (Access.CONFIRM, "callers.c.access.documents")
    assert (by_name.level, by_name.setting) == (Access.WRITE, "callers.c.access.delete_documents")


async def test_what_is_said_of_a_tool_that_deletes_is_what_the_file_says_and_that_it_asks(connect: Connect) -> None:
    """Who reads the setting in the file must find it there as it is told."""
    said = 'callers.tester.access.documents is "write", but a destructive tool wants a confirmation anyway'
    async with connect(access={"documents": Access.WRITE}) as client:
        assert said in text_of(await client.call_tool("delete_documents", dict(DELETION)))
    async with connect(access={"documents": Access.CONFIRM}) as client:
        result = await client.call_tool("delete_documents", dict(DELETION))
        assert 'callers.tester.access.documents is "confirm", and this client cannot ask' in text_of(result)
    async with connect(access={"documents": Access.PREVIEW}) as client:
        preview = answer_of(await client.call_tool("delete_documents", dict(DELETION)))["preview"]
    assert 'callers.tester.access.documents is "preview"' in preview["checks"]


@both_eras
async def test_deletion_with_the_toolset_at_write_asks_and_deletes_only_after_a_yes(
    mode: str, connect: Connect, world: World
) -> None:
    """Nobody to ask, a no, and then a yes; an upload at the same level is never asked about."""
    access = {"documents": Access.WRITE, "create_customer": Access.WRITE}

    async def deletion(person: Person | None) -> CallToolResult:
        async with connect(mode=mode, access=access, ask=person) as client:
            return await client.call_tool("delete_documents", dict(DELETION))

    async with connect(mode=mode, access=access) as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    for person in (None, Person("decline")):
        assert kind_of(await deletion(person)) == "not_confirmed"
    assert len((await world.get("state"))["documents"]) == 1
    yes = agreeing()
    assert answer_of(await deletion(yes)) == {"deleted": [1602287]}
    assert (await world.get("state"))["documents"] == []
    assert yes.questions[0].startswith("Delete documents at University Mazda (umazda)? This deletes and cannot be")
    assert await sent_writes(world) == ["create_customer", "upload_document", "delete_documents"]


# --- preview --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITES)
async def test_a_preview_is_the_request_with_personal_data_masked(
    name: str, connect: Connect, world: World, store_url: str
) -> None:
    await own_delivery(store_url)
    async with connect(access={name: Access.PREVIEW}) as client:
        previewed = await client.call_tool(name, dict(WRITES[name]))
    async with connect(access={name: Access.WRITE, "create_customer": Access.WRITE}) as client:
        assert await sent_writes(world) == []
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        await client.call_tool(name, dict(WRITES[name]))
    sent = (await world.requests())[-1]
    preview = answer_of(previewed)["preview"]
    api = OPERATIONS[sent["operation"]].api
    assert f"{BASE_PATHS[api]}{preview['path']}" == sent["path"]
    assert preview["method"] == sent["method"]
    assert {name: str(value) for name, value in preview.get("query", {}).items()} == sent["query"]
    body = preview.get("body", {})
    assert body.keys() == (sent["body"] or {}).keys()
    if api == "roadster" and name != "create_forms":  # which names no dealer: the order does
        named = (body.get("dpid"), body.get("dealer", {}).get("dpid"))
        assert "umazda" in (*named, preview.get("query", {}).get("dpid"))
    assert "nothing was sent" in text_of(previewed)
    people = (STEVE["first_name"], STEVE["email"], STEVE["phone"], ASSIGNMENT["agent"]["email"], *RECEIVER.values())
    # Which state somebody lives in is told to everybody.
    place = set(leaves(DELIVERY["delivery_location"])) - {DELIVERY["delivery_location"]["address"]["state"]}
    for value in (*people, *place, *FILES):
        assert value not in text_of(previewed)
        assert value not in json.dumps(preview)


async def test_a_caller_who_may_see_contact_data_sees_it_in_a_preview(connect: Connect) -> None:
    async with connect(access={"customers": Access.PREVIEW}, personal_data="contact") as client:
        preview = answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))["preview"]
    assert preview["body"]["customer"] == STEVE


# --- confirmation ---------------------------------------------------------------------------------


@both_eras
async def test_a_person_is_shown_every_value_that_is_sent_and_the_dealer_by_name(
    mode: str, connect: Connect, world: World
) -> None:
    person = agreeing()
    wish = {"deal_type": "lease", "lease_down": 1500, "vehicle": {"make": "Mazda"}}
    async with connect(mode=mode, access={"customers": Access.CONFIRM}, ask=person) as client:
        answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **wish}))
    (question,) = person.questions
    assert question.startswith("Create a customer at University Mazda (umazda)?")
    for value in (*STEVE.values(), "lease", "1500", "Mazda"):
        assert value in question
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.parametrize("name", WRITES)
async def test_no_value_of_any_write_is_left_out_of_the_question(name: str, connect: Connect) -> None:
    """Wherever the request has it: in its path, its query or its body. A file is shown by size and digest."""
    person = agreeing()
    async with connect() as client:
        for before in ("create_customer", "upload_document", "create_delivery"):
            answer_of(await client.call_tool(before, dict(WRITES[before])))
    async with connect(access={name: Access.CONFIRM}, ask=person) as client:
        answer_of(await client.call_tool(name, dict(WRITES[name])))
    (question,) = person.questions
    for value in leaves({**WRITES[name], "dealer": "umazda"}):
        assert (value in question) is (value not in FILES)


def leaves(node: Any) -> list[str]:
    match node:
        case Mapping():
            return [leaf for value in node.values() for leaf in leaves(value)]
        case list():
            return [leaf for value in node for leaf in leaves(value)]
        case bool():
            return [str(node).lower()]
        case _:
            return [str(node)]


@both_eras
@pytest.mark.parametrize(
    "person",
    [
        Person("decline"),
        Person("cancel"),
        Person("accept", {"confirm": False}),
        Person("accept", {}),
        Person("accept", {"confirm": "yes"}),
        Person("accept", None),
        None,
    ],
)
async def test_without_a_clear_yes_nothing_is_sent(
    person: Person | None, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """Declined, closed, left unticked, malformed, or a client that cannot ask: the answer says why and what to do."""
    async with connect(mode=mode, access={"customers": Access.CONFIRM}, ask=person) as client:
        result = await client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert kind_of(result) == "not_confirmed"
    assert "Nothing was sent" in text_of(result)
    assert await sent_writes(world) == []
    assert (await records(store_url))[-1].record.outcome == "not_confirmed"


async def test_a_value_cannot_pass_for_a_line_of_the_question(connect: Connect) -> None:
    person = agreeing()
    spoof = {**STEVE, "last_name": "McQueen\ndealer: hyundaidemo\u202e\u200b"}
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "customer": spoof})
    (question,) = person.questions
    assert len(question.splitlines()) == 1 + len(STEVE)
    assert all(character.isprintable() or character == "\n" for character in question)


@both_eras
@pytest.mark.parametrize(
    "withdrawn", [{"access": {"customers": "off"}}, {"access": {"customers": "preview"}}, {"dealers": []}]
)
async def test_rights_that_go_while_the_person_thinks_are_gone(
    withdrawn: dict[str, Any], mode: str, connect: Connect, world: World, store_url: str
) -> None:
    live = LiveSettings(settings_for(store_url, access={"customers": Access.CONFIRM}))

    async def agree_too_late(_ctx: Any, _params: Any) -> ElicitResult:
        rights = {"dealers": list(ALLOWED), "access": {"customers": "confirm"}} | withdrawn
        live.current = live.current.model_copy(update={"callers": {"tester": CallerSettings(**rights)}})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, ask=agree_too_late, live=live) as client:
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert await sent_writes(world) == []


async def test_the_question_shows_what_is_empty_and_hides_nothing(connect: Connect) -> None:
    person = agreeing()
    odd = {**STEVE, "first_name": "Steve   x", "last_name": "McQueen\u3164\u2800", "partner_id": ""}
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "customer": odd, "vehicle": {}})
    (question,) = person.questions
    for shown in ('"Steve\\u0020\\u0020\\u0020x"', '"McQueen\\u3164\\u2800"', 'partner id: ""', "vehicle: {}"):
        assert shown in question


async def test_what_is_too_long_to_read_is_not_asked(connect: Connect, world: World) -> None:
    person = agreeing()
    accessories = ["X" * 90 for _ in range(90)]
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, "accessories": accessories})
    assert kind_of(result) == "not_confirmed"
    assert "too large" in text_of(result)
    assert person.questions == []
    assert await sent_writes(world) == []


@both_eras
async def test_what_is_deleted_is_shown_to_the_person_and_what_is_not_there_is_not_asked_about(
    mode: str, connect: Connect, world: World
) -> None:
    """By what people know it by, also where the caller may not see that: the answers do not repeat it."""
    person = agreeing()
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", {**DOCUMENT, "document_name": "Licence of S. McQueen"}))
    async with connect(mode=mode, access={"documents": Access.WRITE}, ask=person) as client:
        missing = await client.call_tool("delete_documents", {**DELETION, "document_ids": [1602287, 1]})
        assert person.questions == []
        done = await client.call_tool("delete_documents", dict(DELETION))
    assert kind_of(missing) == "not_found"
    (question,) = person.questions
    shown = 'id 1602287, document type "license", relationship "self", name "Licence of S. McQueen", file name'
    assert question.splitlines()[1] == 'customer id: "1650260"'
    assert question.splitlines()[2].startswith(f'document ids 1: {shown} "license.png"')
    assert answer_of(done) == {"deleted": [1602287]}
    assert "McQueen" not in text_of(done) + text_of(missing)


@both_eras
async def test_a_document_that_changed_while_the_person_thought_is_asked_about_anew(
    mode: str, connect: Connect, world: World
) -> None:
    renamed = False

    class Renames(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await SandboxTransport(world.app).handle_async_request(request)
            if not renamed or request.method != "GET" or not request.url.path.endswith("/documents"):
                return answer
            body = (await answer.aread()).replace(b"DL Front", b"Contract")
            return httpx2.Response(200, stream=httpx2.ByteStream(body))

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        nonlocal renamed
        renamed = True
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    async with connect(mode=mode, access={"documents": Access.WRITE}, ask=ask, upstream=Renames()) as client:
        result = await client.call_tool("delete_documents", dict(DELETION))
        assert kind_of(result) == "not_confirmed"
        assert "to be asked anew" in text_of(result)
        assert len((await world.get("state"))["documents"]) == 1
        answer_of(await client.call_tool("delete_documents", dict(DELETION)))


@both_eras
async def test_what_a_caller_may_see_is_decided_when_the_answer_is_read(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """Contact data that are taken from the caller while the person thinks are masked in the answer."""
    access = {"deliveries": Access.WRITE, "update_delivery": Access.CONFIRM}
    live = LiveSettings(settings_for(store_url, access=access, personal_data="contact"))

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        masked = settings_for(store_url, access=access).callers
        live.current = live.current.model_copy(update={"callers": masked})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, live=live, ask=ask) as client:
        answer_of(await client.call_tool("create_delivery", {**AT_UMAZDA, **DELIVERY}))
        await world.move_delivery("driver_assigned")
        done = answer_of(await client.call_tool("update_delivery", dict(WRITES["update_delivery"])))
    assert done["driver"] == {"name": "***", "phone": "***"}


Repeat = Callable[..., Awaitable[CallToolResult | InputRequiredResult]]


@asynccontextmanager
async def asked(connect: Connect, **caller: Any) -> AsyncIterator[tuple[Repeat, str]]:
    """A client of the stateless era that drives the rounds itself: how to repeat the call, and the sealed state."""
    async with connect(mode="2026-07-28", access={"customers": Access.CONFIRM}, ask=agreeing(), **caller) as client:

        async def repeat(
            state: str | None, action: str | None = "accept", **arguments: Any
        ) -> CallToolResult | InputRequiredResult:
            content = {"confirm": True} if action == "accept" else None
            answer = {"confirm": ElicitResult(action=action, content=content)} if action else None  # type: ignore[arg-type]
            return await client.session.call_tool(
                "create_customer",
                {**NEW_CUSTOMER, **arguments},
                request_state=state,
                input_responses=answer,
                allow_input_required=True,
            )

        first = await repeat(None, None)
        assert isinstance(first, InputRequiredResult)
        assert first.request_state is not None
        for secret in ("Steve", "steve", "umazda"):
            assert secret not in first.request_state
        yield repeat, first.request_state


@on_both_databases
async def test_a_confirmation_is_good_once(connect: Connect, world: World) -> None:
    async with asked(connect) as (repeat, state):
        first, second = [await repeat(state) for _ in range(2)]
    assert isinstance(first, CallToolResult)
    assert isinstance(second, CallToolResult)
    assert answer_of(first)["customer_id"]
    assert kind_of(second) == "not_confirmed"
    assert "used before" in text_of(second)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_two_uses_of_one_confirmation_at_the_same_moment_make_one_write(connect: Connect, world: World) -> None:
    async with asked(connect) as (repeat, state), anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(repeat, state)
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"customer": {**STEVE, "email": "other@example.com"}}, "not the one that was shown"),
        ({"checkout": True}, "not the one that was shown"),
        ({"dealer": "hyundaidemo"}, "another call's"),
    ],
)
async def test_another_write_than_the_one_shown_is_not_sent(
    change: dict[str, Any], why: str, connect: Connect, world: World
) -> None:
    async with asked(connect) as (repeat, state):
        result = await repeat(state, **change)
    assert isinstance(result, CallToolResult)
    assert kind_of(result) == "not_confirmed"
    assert why in text_of(result)
    assert await sent_writes(world) == []


async def test_a_confirmation_for_one_customer_is_none_for_another(connect: Connect, world: World) -> None:
    """Also where the customer's id is in the query."""
    async with connect(mode="2026-07-28", access={"customers": Access.CONFIRM}, ask=agreeing()) as client:
        first = await client.session.call_tool("assign_agent", dict(ASSIGNMENT), allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        result = await client.session.call_tool(
            "assign_agent",
            {**ASSIGNMENT, "customer_id": 1650261},
            request_state=first.request_state,
            input_responses={"confirm": ElicitResult(action="accept", content={"confirm": True})},
            allow_input_required=True,
        )
    assert isinstance(result, CallToolResult)
    assert "not the one that was shown" in text_of(result)
    assert await sent_writes(world) == []


async def test_altered_foreign_and_unanswered_states_send_nothing(connect: Connect, world: World) -> None:
    async with asked(connect) as (repeat, state):
        flipped = state[:20] + ("A" if state[20] != "A" else "B") + state[21:]
        for bad in (flipped, state[:-4], "", "x" * 40, state + "AAAA"):
            result = await repeat(bad)
            assert isinstance(result, CallToolResult)
            assert kind_of(result) == "not_confirmed"
    for action in (None, "decline", "cancel"):
        async with asked(connect) as (repeat, state):
            for given in (action, "accept"):  # any answer uses the question up
                result = await repeat(state, given)
                assert isinstance(result, CallToolResult)
                assert kind_of(result) == "not_confirmed"
    async with asked(connect, name="somebody-else") as (repeat, _):
        stolen = await repeat(state)
        assert isinstance(stolen, CallToolResult)
        assert "another call's" in text_of(stolen)
    assert await sent_writes(world) == []


@on_both_databases
async def test_an_expired_confirmation_sends_nothing(connect: Connect, world: World) -> None:
    async with asked(connect, timing=Timing(confirmation=timedelta(seconds=-1))) as (repeat, state):
        result = await repeat(state)
    assert isinstance(result, CallToolResult)
    assert "expired" in text_of(result)
    assert await sent_writes(world) == []


# --- idempotency ----------------------------------------------------------------------------------


KEY = {"idempotency_key": "order-4711"}


@on_both_databases
async def test_a_repeat_with_the_same_key_is_answered_and_not_sent(connect: Connect, world: World) -> None:
    async with connect() as client:
        first = answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
        again = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
    assert answer_of(again) == {**first, "replayed": True}
    assert text_of(again).startswith("Replay of an earlier answer")
    assert await sent_writes(world) == ["create_customer"]


async def test_genuine_repeats_without_a_key_are_both_sent(connect: Connect, world: World) -> None:
    async with connect() as client:
        for _ in range(2):
            answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
    assert await sent_writes(world) == ["create_customer"] * 2


@on_both_databases
async def test_the_same_key_with_other_arguments_is_refused(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "checkout": True})
    assert kind_of(result) == "invalid_arguments"
    assert "idempotency_key" in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_a_key_belongs_to_its_caller_its_dealer_and_its_tool(connect: Connect, world: World) -> None:
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, "dealer": "hyundaidemo"})
        await client.call_tool("upload_document", {**DOCUMENT, **KEY})
    async with connect(name="somebody-else") as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
    assert await sent_writes(world) == ["create_customer", "create_customer", "upload_document", "create_customer"]


@on_both_databases
async def test_calls_at_the_same_moment_with_one_key_make_one_write(connect: Connect, world: World) -> None:
    await world.fault("create_customer", "delay", seconds=0.3)
    results: list[CallToolResult] = []

    async def call(client: Client) -> None:
        results.append(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))

    async with connect() as client, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(call, client)
    assert await sent_writes(world) == ["create_customer"]
    assert sorted(answer_of(result).get("replayed", False) for result in results) == [False, *[True] * 5]


@on_both_databases
async def test_what_was_not_sent_or_was_refused_frees_its_key(connect: Connect, world: World) -> None:
    async with connect() as client:
        await world.fault("create_customer", "status", status=429)
        assert kind_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})) == "upstream"
        assert "replayed" not in answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))


@on_both_databases
async def test_a_lost_answer_is_never_repeated_under_its_key_and_names_the_way_to_find_out(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        await world.fault("create_customer", "lost_answer")
        for _ in range(3):
            result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
            assert kind_of(result) == "outcome_unknown"
            assert TOOLS["create_customer"].if_unknown in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_rights_that_go_while_a_call_waits_for_its_key_are_gone(connect: Connect, store_url: str) -> None:
    """The first call with the key is refused by the upstream; the second, which waited, may no longer write."""
    live = LiveSettings(settings_for(store_url))
    sent: list[str] = []

    class Withdraws(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            sent.append(request.method)
            await anyio.sleep(0.3)
            nothing = {"tester": CallerSettings(dealers=["umazda"])}
            live.current = live.current.model_copy(update={"callers": nothing})
            return httpx2.Response(404, stream=httpx2.ByteStream(b""))

    kinds: list[str | None] = []

    async def call(client: Client) -> None:
        kinds.append(kind_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})))

    async with connect(live=live, upstream=Withdraws()) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(call, client)
        tasks.start_soon(call, client)
    assert kinds == ["not_found", "refused"]
    assert sent == ["POST"]


@on_both_databases
@pytest.mark.parametrize("was_sent", [True, False])
async def test_a_key_that_was_used_under_another_api_key_is_no_reason_to_take_a_new_one(
    was_sent: bool, connect: Connect, world: World, store_url: str
) -> None:
    """Whether its arguments were these, nobody can tell: also where the write was begun and not sent yet."""
    if was_sent:
        async with connect() as client:
            answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
    else:
        named = json.dumps(["tester", "umazda", "create_customer", KEY["idempotency_key"]])
        async with open_store(store_url) as store:
            await store.claim(hashlib.sha256(named.encode()).hexdigest(), "of an older version", now=datetime.now(UTC))
    sent = await world.requests()
    rotated = settings_for(store_url).roadster.model_copy(update={"api_key": SecretStr("the new key")})
    async with connect(change={"roadster": rotated}) as client:
        for more in ({}, {"checkout": True}):
            result = await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY, **more})
            assert kind_of(result) == "outcome_unknown"
            assert "before the server's API key changed" in text_of(result)
            assert "take a new one" not in text_of(result)
            assert TOOLS["create_customer"].if_unknown in text_of(result)
    assert await world.requests() == sent


@on_both_databases
async def test_an_answer_is_not_replayed_to_who_may_see_less_by_now(
    connect: Connect, world: World, store_url: str
) -> None:
    """It is not sent again either; who may see as much gets it, and one without personal data everybody gets."""
    live = LiveSettings(settings_for(store_url, personal_data="contact"))

    def lower(personal_data: str) -> None:
        callers = settings_for(store_url, personal_data=personal_data).callers
        live.current = live.current.model_copy(update={"callers": callers})

    async with connect(live=live) as client:
        answer_of(await client.call_tool("create_delivery", {**AT_UMAZDA, **DELIVERY}))
        await world.move_delivery("driver_assigned")
        change = {**WRITES["update_delivery"], **KEY}
        first = answer_of(await client.call_tool("update_delivery", change))
        lower("masked")
        refused = await client.call_tool("update_delivery", change)
        masked = answer_of(await client.call_tool("update_delivery", {**change, "idempotency_key": "order-4712"}))
        lower("contact")
        again = answer_of(await client.call_tool("update_delivery", change))
        less = answer_of(await client.call_tool("update_delivery", {**change, "idempotency_key": "order-4712"}))
    assert kind_of(refused) == "outcome_unknown"
    assert text_of(refused).startswith("The write was done, but callers.tester.personal_data")
    assert "not sent again" in text_of(refused)
    assert first["driver"]["name"] not in text_of(refused)
    assert refused.structured_content is None
    assert masked["driver"]["name"] == "***"
    assert again == {**first, "replayed": True}
    assert less == {**masked, "replayed": True}
    assert await sent_writes(world) == ["create_shipment", "update_shipment", "update_shipment"]


class Holds(httpx2.AsyncBaseTransport):
    """The sandbox, which answers once it is let go."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.let_go = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self.let_go.wait()
        return await self._sandbox.handle_async_request(request)


@on_both_databases
async def test_many_repeats_at_once_neither_poll_the_store_nor_wait_without_end(connect: Connect, world: World) -> None:
    """Of 60 calls with one key one is sent, some wait for it in line, and the others are told to come back."""
    looks: list[str] = []

    class Counts(SqlStore):
        async def claim(self, scope: str, arguments: str, *, now: datetime) -> Any:
            looks.append(scope)
            return await super().claim(scope, arguments, now=now)

    upstream = Holds(world)
    results: list[CallToolResult] = []
    most_waiting = 16

    async def call(client: Client) -> None:
        results.append(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
        if len(results) == 60 - 1 - most_waiting:
            assert len(looks) == 1
            upstream.let_go.set()

    with anyio.fail_after(20):
        async with (
            connect(upstream=upstream, open_store=store_of_class(Counts)) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(60):
                tasks.start_soon(call, client)
    busy = [result for result in results if kind_of(result) == "limited"]
    assert len(busy) == 60 - 1 - most_waiting
    assert "Limit reached: idempotency_key allows 16 calls" in text_of(busy[0])
    done = [answer_of(result) for result in results if result not in busy]
    assert sorted(answer.get("replayed", False) for answer in done) == [False] + [True] * most_waiting
    assert len(looks) == 1 + most_waiting
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.parametrize("key", ["", "short", "with space", "x" * 129, "ünïcödé-key", 7, ["a"]])
async def test_an_unusable_key_is_refused(key: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, "idempotency_key": key})
    assert kind_of(result) == "invalid_arguments"
    assert await sent_writes(world) == []


# --- audit ----------------------------------------------------------------------------------------


@on_both_databases
async def test_each_call_and_each_refusal_is_on_record_and_a_write_also_before_it_is_sent(
    connect: Connect, store_url: str
) -> None:
    async with connect() as client:
        await client.call_tool("list_inventory", dict(AT_UMAZDA))
        await client.call_tool("list_inventory", {"dealer": "toyotademo"})
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        await client.call_tool("no_such_tool", {})
    found = [stored.record for stored in await records(store_url)]
    assert [(record.tool, record.phase, record.outcome, record.verdict) for record in found] == [
        ("list_inventory", "ended", "done", "allowed"),
        ("list_inventory", "ended", "refused", "refused"),
        ("create_customer", "sent", "sent", "allowed"),
        ("create_customer", "ended", "done", "allowed"),
        ("unknown", "ended", "invalid_arguments", "allowed"),
    ]
    read, refused, sent, ended, _ = found
    assert read.setting == "callers.tester.access.inventory"
    assert refused.setting == "callers.tester.dealers"
    assert sent.call_id == ended.call_id
    assert ended.upstream_request_id is not None
    assert ended.dealer == "umazda"
    assert ended.arguments.keys() == {"dealer", "customer"}
    assert {record.caller for record in found} == {"tester"}
    assert {record.client for record in found} == {"mcp"}


async def test_no_value_is_on_record_only_keyed_hashes(connect: Connect, store_url: str, tmp_path: Path) -> None:
    """Nor in the store's file, where the answers are kept for replay."""
    async with connect() as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY})
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "Steve McQueen": 1})
    kept = json.dumps([repr(stored) for stored in await records(store_url)])
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("store.db"))
    for value in (*STEVE.values(), KEY["idempotency_key"]):
        assert value not in kept
        assert value.encode() not in raw
        assert hashlib.sha256(value.encode()).hexdigest()[:32] not in kept


@on_both_databases
async def test_the_chain_verifies(connect: Connect, store_url: str) -> None:
    async with connect() as client:
        for _ in range(5):
            await client.call_tool("list_dealers")
    async with open_store(store_url) as store:
        found = await store.verify()
    assert (found.count, found.first_broken) == (5, None)


class FullDisk(SqlStore):
    """A store that opens, and can add nothing to the audit."""

    async def append(self, record: AuditRecord) -> None:
        raise StoreError("the disk is full; free some space")

    async def record_sent(self, record: AuditRecord, claim: Claim | None) -> None:
        await self.append(record)


async def test_a_write_that_cannot_be_put_on_record_is_not_sent(connect: Connect, world: World) -> None:
    async with connect(open_store=store_of_class(FullDisk)) as client:
        result = await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        assert kind_of(await client.call_tool("list_inventory", dict(AT_UMAZDA))) is None
    assert kind_of(result) == "unrecorded"
    assert "disk is full" in text_of(result)
    assert await sent_writes(world) == []


async def test_a_read_is_refused_too_where_the_configuration_says_so(connect: Connect, store_url: str) -> None:
    strict = StoreSettings(url=SecretStr(store_url), refuse_unrecorded_reads=True)
    async with connect(change={"store": strict}, open_store=store_of_class(FullDisk)) as client:
        result = await client.call_tool("list_inventory", dict(AT_UMAZDA))
    assert kind_of(result) == "unrecorded"
    assert result.structured_content is None


class ForgetsResults(SqlStore):
    """A store that fails once a write was done."""

    async def finish(self, claim: Claim, result: bytes) -> None:
        raise StoreError("the disk is full; free some space")


async def test_a_write_that_was_done_is_answered_though_its_key_cannot_be_kept(connect: Connect, world: World) -> None:
    async with connect(open_store=store_of_class(ForgetsResults)) as client:
        answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
    assert await sent_writes(world) == ["create_customer"]


# --- limits ---------------------------------------------------------------------------------------


async def test_calls_a_minute_are_limited_with_the_time_to_wait(connect: Connect, world: World) -> None:
    async with connect(calls_per_minute=3) as client:
        kinds = [kind_of(await client.call_tool("list_dealers")) for _ in range(3)]
        over = await client.call_tool("list_dealers")
    assert kinds == [None] * 3
    assert kind_of(over) == "limited"
    assert "callers.tester.calls_per_minute allows 3 calls a minute" in text_of(over)
    assert "seconds" in text_of(over)
    assert len(await world.requests()) == 3


async def test_writes_an_hour_are_limited_and_reads_go_on(connect: Connect, world: World) -> None:
    async with connect(writes_per_hour=1) as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        assert kind_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "limited"
        assert kind_of(await client.call_tool("list_dealers")) is None
    assert await sent_writes(world) == ["create_customer"]


async def test_one_callers_limit_is_not_anothers(world: World, store_url: str) -> None:
    """Both at one server, which counts for each alone."""
    both = {
        name: CallerSettings(dealers=["umazda"], access={"dealers": "read"}, calls_per_minute=limit)
        for name, limit in (("busy", 1), ("calm", 50))
    }
    live = LiveSettings(settings_for(store_url).model_copy(update={"callers": both}))
    calling = "busy"
    async with (
        open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls,
        Client(build_server(calls, lambda: live.current.caller(calling))) as client,
    ):
        assert [kind_of(await client.call_tool("list_dealers")) for _ in range(3)] == [None, "limited", "limited"]
        calling = "calm"
        assert [kind_of(await client.call_tool("list_dealers")) for _ in range(3)] == [None] * 3


# --- one caller cannot change what another may do ---------------------------------------------------


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TOOLS, "no_such_tool"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "dealer": st.sampled_from(["umazda", "hyundaidemo", "toyotademo"]),
                    "vin": st.just("3MVDMBBM0SM472067"),
                    "customer": st.just(STEVE),
                    "idempotency_key": st.just("shared-key"),
                    "limit": st.integers(-1, 3),
                },
            ),
        ),
        max_size=6,
    )
)
async def test_no_calls_of_one_caller_change_what_another_may_do(
    connect: Connect, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    """B's tools, verdicts and refusals are the same before and after anything that A does in the same store."""
    rights = {"dealers": ["hyundaidemo"], "access": {"inventory": Access.READ, "customers": Access.PREVIEW}}

    async def what_b_may(client: Client) -> list[Any]:
        return [
            [tool.name for tool in (await client.list_tools()).tools],
            kind_of(await client.call_tool("list_inventory", {"limit": 1})),
            kind_of(await client.call_tool("list_inventory", dict(AT_UMAZDA))),
            kind_of(await client.call_tool("quote_payments", {"vin": "3MVDMBBM0SM472067"})),
            answer_of(await client.call_tool("create_customer", {"customer": STEVE, **KEY})),
        ]

    async with connect(name="b", **rights) as b, connect(name="a") as a:
        before = await what_b_may(b)
        for tool, arguments in calls:
            await a.call_tool(tool, arguments)
        assert await what_b_may(b) == before
