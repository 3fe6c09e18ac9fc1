"""Confirmations: what a person is shown, and which answers let a write be sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.calls.questions.form import yes_to
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_tools import Access
from tests.conftest import ALLOWED, Connect, World, answer_of, kind_of, on_both_databases, settings_for, text_of
from tests.tool_examples import DELIVERY, FILES, STEVE

from .writes import (
    ASSIGNMENT,
    AT_UMAZDA,
    DELETION,
    DOCUMENT,
    NEW_CUSTOMER,
    WRITES,
    Person,
    agreeing_person,
    both_eras,
    leaves,
    records,
    sent_writes,
)

pytestmark = pytest.mark.anyio


@both_eras
async def test_question_shows_each_value_and_the_name_of_the_dealer(mode: str, connect: Connect, world: World) -> None:
    person = agreeing_person()
    wish = {"deal_type": "lease", "lease_down": 1500, "vehicle": {"make": "Mazda"}}
    async with connect(mode=mode, access={"customers": Access.CONFIRM}, ask=person) as client:
        answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **wish}))
    (question,) = person.questions
    assert question.startswith("Create a customer at University Mazda (umazda)?")
    for value in (*STEVE.values(), "lease", "1500", "Mazda"):
        assert value in question
    assert await sent_writes(world) == ["create_customer"]


@pytest.mark.parametrize("name", WRITES)
async def test_question_of_each_write_shows_each_value(name: str, connect: Connect) -> None:
    """The values of path, query and body are in the question. A file is shown by size and digest."""
    person = agreeing_person()
    async with connect() as client:
        for name_before in ("create_customer", "upload_document", "create_delivery"):
            answer_of(await client.call_tool(name_before, dict(WRITES[name_before])))
    async with connect(access={name: Access.CONFIRM}, ask=person) as client:
        answer_of(await client.call_tool(name, dict(WRITES[name])))
    (question,) = person.questions
    for value in leaves({**WRITES[name], "dealer": "umazda"}):
        assert (value in question) is (value not in FILES)


@both_eras
@pytest.mark.parametrize(
    "person",
    [
        Person("decline"),
        Person("cancel"),
        Person("accept", {"confirm": False}),
        Person("accept", {"confirm": "yes"}),
        None,
    ],
)
async def test_confirmation_without_a_clear_yes_sends_nothing(
    person: Person | None, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """The answer is a no, or the client cannot ask."""
    async with connect(mode=mode, access={"customers": Access.CONFIRM}, ask=person) as client:
        result = await client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert kind_of(result) == "not_confirmed"
    assert "Nothing was sent" in text_of(result)
    assert await sent_writes(world) == []
    assert (await records(store_url))[-1].record.outcome == "not_confirmed"


async def test_question_value_cannot_look_like_a_line(connect: Connect) -> None:
    person = agreeing_person()
    spoof = {**STEVE, "last_name": "McQueen\ndealer: hyundaidemo\u202e\u200b"}
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "customer": spoof})
    (question,) = person.questions
    assert len(question.splitlines()) == 1 + len(STEVE)
    assert all(character.isprintable() or character == "\n" for character in question)


@both_eras
@pytest.mark.parametrize(
    "change", [{"access": {"customers": "off"}}, {"access": {"customers": "preview"}}, {"dealers": []}]
)
async def test_confirmation_does_not_outlive_the_rights_of_the_caller(
    change: dict[str, Any], mode: str, connect: Connect, world: World, store_url: str
) -> None:
    live = LiveSettings(settings_for(store_url, access={"customers": Access.CONFIRM}))

    async def agree_too_late(_ctx: Any, _params: Any) -> ElicitResult:
        rights = {"dealers": list(ALLOWED), "access": {"customers": "confirm"}} | change
        live.current = live.current.model_copy(update={"callers": {"tester": CallerSettings(**rights)}})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, ask=agree_too_late, live=live) as client:
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert await sent_writes(world) == []


async def test_question_shows_invisible_characters(connect: Connect) -> None:
    person = agreeing_person()
    odd = {**STEVE, "first_name": "Steve   x", "last_name": "Mc\u3164\u2800Queen"}
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        await client.call_tool("create_customer", {**NEW_CUSTOMER, "customer": odd})
    (question,) = person.questions
    for text in ('"Steve\\u0020\\u0020\\u0020x"', '"Mc\\u3164\\u2800Queen"'):
        assert text in question


async def test_question_too_long_to_read_is_not_asked(connect: Connect, world: World) -> None:
    person = agreeing_person()
    accessories = ["X" * 90 for _ in range(90)]
    async with connect(access={"customers": Access.CONFIRM}, ask=person) as client:
        result = await client.call_tool("create_customer", {**NEW_CUSTOMER, "accessories": accessories})
    assert kind_of(result) == "not_confirmed"
    assert "too large" in text_of(result)
    assert person.questions == []
    assert await sent_writes(world) == []


@both_eras
async def test_question_of_a_deletion_describes_the_documents(mode: str, connect: Connect, world: World) -> None:
    """The person sees names of documents, even if the caller may not. A missing document is refused unasked."""
    person = agreeing_person()
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", {**DOCUMENT, "document_name": "Licence of S. McQueen"}))
    async with connect(mode=mode, access={"documents": Access.WRITE}, ask=person) as client:
        missing = await client.call_tool("delete_documents", {**DELETION, "document_ids": [1602287, 1]})
        assert person.questions == []
        deletion = await client.call_tool("delete_documents", dict(DELETION))
    assert kind_of(missing) == "not_found"
    (question,) = person.questions
    document = 'ID 1602287, document type "license", relationship "self", name "Licence of S. McQueen", file name'
    assert question.splitlines()[1] == 'Customer ID: "1650260"'
    assert question.splitlines()[2].startswith(f'Document IDs 1: {document} "license.png"')
    assert answer_of(deletion) == {"deleted": [1602287]}
    assert "McQueen" not in text_of(deletion) + text_of(missing)


@both_eras
async def test_confirmation_of_a_changed_document_is_asked_anew(mode: str, connect: Connect, world: World) -> None:
    has_new_name = False

    class RenamingSandbox(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await SandboxTransport(world.app).handle_async_request(request)
            if not has_new_name or request.method != "GET" or not request.url.path.endswith("/documents"):
                return answer
            body = (await answer.aread()).replace(b"DL Front", b"Contract")
            return httpx2.Response(200, stream=httpx2.ByteStream(body))

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        nonlocal has_new_name
        has_new_name = True
        return yes_to(params)

    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    async with connect(mode=mode, access={"documents": Access.WRITE}, ask=ask, upstream=RenamingSandbox()) as client:
        result = await client.call_tool("delete_documents", dict(DELETION))
        assert kind_of(result) == "not_confirmed"
        assert "to be asked anew" in text_of(result)
        assert len((await world.get("state"))["documents"]) == 1
        answer_of(await client.call_tool("delete_documents", dict(DELETION)))


@both_eras
async def test_answer_is_masked_by_the_rights_after_the_confirmation(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """The caller loses the right to contact data before the person answers, so the answer masks them."""
    access = {"deliveries": Access.WRITE, "update_delivery": Access.CONFIRM}
    live = LiveSettings(settings_for(store_url, access=access, personal_data="contact"))

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        callers = settings_for(store_url, access=access).callers
        live.current = live.current.model_copy(update={"callers": callers})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, live=live, ask=ask) as client:
        answer_of(await client.call_tool("create_delivery", {**AT_UMAZDA, **DELIVERY}))
        await world.move_delivery("driver_assigned")
        answer = answer_of(await client.call_tool("update_delivery", dict(WRITES["update_delivery"])))
    assert answer["driver"] == {"name": "***", "phone": "***"}


Repeat = Callable[..., Awaitable[CallToolResult | InputRequiredResult]]


@asynccontextmanager
async def asked_client(connect: Connect, **caller: Any) -> AsyncIterator[tuple[Repeat, str]]:
    """Asks for a confirmation by protocol 2026-07-28. Yields a function that repeats the call, and the sealed state."""
    async with connect(
        mode="2026-07-28", access={"customers": Access.CONFIRM}, ask=agreeing_person(), **caller
    ) as client:

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
async def test_confirmation_is_valid_once(connect: Connect, world: World) -> None:
    async with asked_client(connect) as (repeat, state):
        first, second = [await repeat(state) for _ in range(2)]
    assert isinstance(first, CallToolResult)
    assert isinstance(second, CallToolResult)
    assert answer_of(first)["customer_id"]
    assert kind_of(second) == "not_confirmed"
    assert "used before" in text_of(second)
    assert await sent_writes(world) == ["create_customer"]


@on_both_databases
async def test_confirmation_used_at_once_makes_one_write(connect: Connect, world: World) -> None:
    async with asked_client(connect) as (repeat, state), anyio.create_task_group() as tasks:
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
async def test_confirmation_of_another_write_sends_nothing(
    change: dict[str, Any], why: str, connect: Connect, world: World
) -> None:
    async with asked_client(connect) as (repeat, state):
        result = await repeat(state, **change)
    assert isinstance(result, CallToolResult)
    assert kind_of(result) == "not_confirmed"
    assert why in text_of(result)
    assert await sent_writes(world) == []


async def test_confirmation_for_another_customer_sends_nothing(connect: Connect, world: World) -> None:
    """The id of this customer is in the query."""
    async with connect(mode="2026-07-28", access={"customers": Access.CONFIRM}, ask=agreeing_person()) as client:
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


async def test_confirmation_altered_foreign_or_declined_sends_nothing(connect: Connect, world: World) -> None:
    async with asked_client(connect) as (repeat, state):
        altered_state = state[:20] + ("A" if state[20] != "A" else "B") + state[21:]
        for bad_state in (altered_state, state[:-4], "", "x" * 40, state + "AAAA"):
            result = await repeat(bad_state)
            assert isinstance(result, CallToolResult)
            assert kind_of(result) == "not_confirmed"
    for action in (None, "decline", "cancel"):
        async with asked_client(connect) as (repeat, state):
            for answer in (action, "accept"):  # any answer uses the state up
                result = await repeat(state, answer)
                assert isinstance(result, CallToolResult)
                assert kind_of(result) == "not_confirmed"
    async with asked_client(connect, name="somebody-else") as (repeat, _):
        result = await repeat(state)
        assert isinstance(result, CallToolResult)
        assert "another call's" in text_of(result)
    assert await sent_writes(world) == []


@on_both_databases
async def test_confirmation_expired_sends_nothing(connect: Connect, world: World) -> None:
    async with asked_client(connect, timing=Timing(confirmation=timedelta(seconds=-1))) as (repeat, state):
        result = await repeat(state)
    assert isinstance(result, CallToolResult)
    assert "expired" in text_of(result)
    assert await sent_writes(world) == []


@pytest.mark.reliability(
    "a clock that is set back while a question waits", "no question may be answered for longer than its time"
)
async def test_confirmation_of_the_future_sends_nothing(connect: Connect, world: World) -> None:
    """So looks one that was asked before the clock was set back."""
    async with (
        asked_client(connect, timing=Timing(confirmation=timedelta(hours=1))) as (_, state),
        asked_client(connect) as (repeat, _),
    ):
        result = await repeat(state)
    assert isinstance(result, CallToolResult)
    assert "expired" in text_of(result)
    assert await sent_writes(world) == []
