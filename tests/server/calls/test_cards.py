"""Writes that wait for a person's yes on a card: what the assistant is told, what the view gets, and what is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import CallToolResult

from roadster_sandbox import SandboxTransport
from roadster_server.calls.approvals.desk import DecisionRefused
from roadster_server.calls.context import Timing
from roadster_server.calls.results import CARD_META, FAILURE_META
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import AuditQuery, open_store
from roadster_tools import Access
from tests.conftest import PROJECT, Connect, World, answer_of, kind_of, text_of

from .approvals import Office, RenamingSandbox, approving_settings, change, open_office
from .writes import DELETION, DOCUMENT, KEY, NEW_CUSTOMER, agreeing_person, both_eras, leaves, sent_writes

pytestmark = pytest.mark.anyio

SHOWS_VIEWS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
CREATE = "create_customer"


def card_settings(store_url: str, **options: Any) -> Settings:
    return approving_settings(store_url, **{"confirm_by": ["card"], **options})


@asynccontextmanager
async def open_host(world: World, settings: Settings, **options: Any) -> AsyncIterator[Office]:
    """A server, and a client of it whose host shows views."""
    async with open_office(world, settings, **{"extensions": [SHOWS_VIEWS], **options}) as office:
        yield office


def card_of(result: CallToolResult) -> dict[str, Any]:
    """Returns what the view gets of a call that waits."""
    assert kind_of(result) == "waiting", result
    return dict((result.meta or {})[CARD_META])


async def ask(office: Office, tool: str = CREATE, arguments: Mapping[str, Any] = NEW_CUSTOMER) -> dict[str, Any]:
    return card_of(await office.client.call_tool(tool, dict(arguments)))


async def answer(office: Office, card: Mapping[str, Any], choice: str = "yes", **changes: Any) -> CallToolResult:
    """Answers as the view does."""
    values = {"approval_id": card["approval_id"], "secret": card["secret"], "answer": choice, **changes}
    return await office.client.call_tool(str(card["tool"]), {}, meta={CARD_META: values})  # type: ignore[typeddict-unknown-key]


@both_eras
async def test_a_write_waits_on_a_card_and_is_sent_once_after_the_yes(mode: str, world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url), mode=mode) as office:
        card = await ask(office)
        assert await sent_writes(world) == []
        made = answer_of(await answer(office, card))
        assert await sent_writes(world) == [CREATE]
        again = answer_of(await office.client.call_tool(CREATE, dict(NEW_CUSTOMER)))
    assert "replayed" not in made
    assert again == {**made, "replayed": True}
    assert await sent_writes(world) == [CREATE]


async def test_the_card_shows_each_value_that_is_sent(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        await answer(office, card)
    (request,) = [request for request in await world.requests() if request["operation"] == CREATE]
    values = [json.loads(value) for _name, value in card["fields"]]
    assert set(leaves(request["body"])) - {"umazda"} <= {str(value) for value in values}
    assert card["heading"].startswith("Create a customer at ")
    assert card["deed"] is None


async def test_the_secret_stands_in_meta_only_and_a_repeated_call_waits_for_the_same_card(
    world: World, store_url: str
) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        first = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        second = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
    card = card_of(first)
    assert card_of(second) == card
    for result in (first, second):
        assert "card" in text_of(result)
        assert "Nothing was sent yet" in text_of(result)
        rest = result.model_dump(exclude={"meta": {CARD_META}})
        assert card["secret"] not in json.dumps(rest, default=str)
    assert await sent_writes(world) == []


async def test_the_page_for_hosts_names_each_key_of_a_card(world: World, store_url: str) -> None:
    page = (PROJECT / "docs/use/views.md").read_text()
    async with open_host(world, card_settings(store_url)) as office:
        waits = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        refusal = await answer(office, card_of(waits), "no")
    for result in (waits, refusal):
        keys = {key for key in result.meta or {} if key.startswith("roadster-mcp/")}
        assert {FAILURE_META, CARD_META} <= keys
        for key in [*keys, *(result.meta or {})[CARD_META]]:
            assert f"`{key}`" in page, key
    assert f'"{EXTENSION_ID}": {{"mimeTypes": ["{APP_MIME_TYPE}"]}}' in page


async def test_a_no_sends_nothing_and_is_told(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        refusal = await answer(office, card, "no")
        again = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        late = await answer(office, card)
    for result in (refusal, again):
        assert kind_of(result) == "not_confirmed"
        assert "a person declined this write on the card" in text_of(result)
    assert (refusal.meta or {})[CARD_META] == {"state": "declined"}
    assert "a person declined this write on the card" in text_of(late)
    assert await sent_writes(world) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "0" * 64},
        {"secret": "é"},
        {"secret": None},
        {"approval_id": "0" * 32},
        {"answer": "maybe"},
        {"answer": True},
        {"more": 1},
    ],
)
async def test_an_altered_answer_is_refused_and_the_card_still_waits(
    changes: dict[str, Any], world: World, store_url: str
) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        refusal = await answer(office, card, **changes)
        assert (kind_of(refusal), await sent_writes(world)) == ("not_confirmed", [])
        assert "not readable, or not that of a card of this caller and this tool" in text_of(refusal)
        assert await ask(office) == card
        answer_of(await answer(office, card))


@pytest.mark.parametrize("value", [7, "yes", [], {}, {"secret": "x"}])
async def test_an_answer_of_another_shape_is_refused(value: Any, world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        refusal = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER), meta={CARD_META: value})  # type: ignore[typeddict-unknown-key]
    assert (kind_of(refusal), await sent_writes(world)) == ("not_confirmed", [])


async def test_a_secret_is_good_for_its_own_card_tool_and_caller(world: World, store_url: str) -> None:
    settings = card_settings(store_url)
    callers = {**settings.callers, "other": settings.callers["tester"]}
    settings = settings.model_copy(update={"callers": callers})
    async with open_host(world, settings) as office, open_host(world, settings, caller="other") as other:
        card, second = await ask(office), await ask(office, CREATE, {**NEW_CUSTOMER, **KEY})
        assert card["secret"] != second["secret"]
        for host, values in (
            (office, {**card, "secret": second["secret"]}),
            (office, {**card, "tool": "submit_trade_valuation"}),
            (other, card),
        ):
            assert "not that of a card of this caller" in text_of(await answer(host, values))
        unknown = await answer(office, {**card, "tool": "no_such_tool"})
        assert kind_of(unknown) == "invalid_arguments"
    assert await sent_writes(world) == []


async def test_one_of_many_answers_at_once_counts(world: World, store_url: str) -> None:
    results: list[CallToolResult] = []
    settings = card_settings(store_url)
    async with open_host(world, settings) as one, open_host(world, settings) as other:
        card = await ask(one)

        async def say_yes(host: Office) -> None:
            results.append(await answer(host, card))

        async with anyio.create_task_group() as views:
            for number in range(6):
                views.start_soon(say_yes, (one, other)[number % 2])
    answers = [answer_of(result) for result in results if not result.is_error]
    assert len([each for each in answers if "replayed" not in each]) == 1
    assert {kind_of(result) for result in results if result.is_error} <= {"waiting"}
    assert await sent_writes(world) == [CREATE]


async def test_nothing_is_sent_after_the_time_of_the_card(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url), timing=Timing(confirmation=timedelta())) as office:
        card = await ask(office)
        assert "has expired" in text_of(await answer(office, card))
        assert await ask(office) != card
    assert await sent_writes(world) == []


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ({"access": {"customers": Access.READ}}, 'gives "read"'),
        ({"access": {"customers": Access.PREVIEW}}, 'is "preview"'),
        ({"access": {"customers": Access.WRITE}}, 'is "write"'),
        ({"dealers": ["hyundaidemo"]}, "does not name this dealer"),
        ({"confirm_by": ["page"]}, 'does not name "card"'),
    ],
)
async def test_a_yes_does_not_outlive_the_rights_of_the_caller(
    rights: dict[str, Any], words: str, world: World, store_url: str
) -> None:
    """The refused yes decides nothing, so a no counts after it."""
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        change(office.live, **rights)
        assert words in text_of(await answer(office, card))
        assert "declined this write on the card" in text_of(await answer(office, card, "no"))
    assert await sent_writes(world) == []


@pytest.mark.parametrize(
    ("rights", "approvals"), [({"confirm_by": ["form"]}, []), ({}, ["customers"])], ids=["no card", "two people"]
)
async def test_a_call_whose_card_takes_no_yes_any_more_says_so(
    rights: dict[str, Any], approvals: list[str], world: World, store_url: str
) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        await ask(office)
        change(office.live, **rights)
        two_people = ApprovalSettings(two_person=approvals)
        office.live.current = office.live.current.model_copy(update={"approvals": two_people})
        again = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        assert (kind_of(again), CARD_META in (again.meta or {})) == ("not_confirmed", False)
        assert "takes no yes any more" in text_of(again)


async def test_a_view_that_closes_after_the_yes_stops_nothing(world: World, store_url: str) -> None:
    class HoldingSandbox(httpx2.AsyncBaseTransport):
        """A sandbox that holds the write back until the view is gone."""

        arrived, released = anyio.Event(), anyio.Event()

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST" and request.url.path.endswith("/customers"):
                self.arrived.set()
                await self.released.wait()
            return await SandboxTransport(world.app).handle_async_request(request)

    upstream = HoldingSandbox()
    async with open_host(world, card_settings(store_url), upstream=upstream) as office:
        card = await ask(office)
        async with anyio.create_task_group() as view:
            view.start_soon(answer, office, card)
            await upstream.arrived.wait()
            view.cancel_scope.cancel()
            upstream.released.set()
        with anyio.fail_after(30):
            while kind_of(result := await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))) == "waiting":
                await anyio.sleep(0.05)
        assert answer_of(result)["replayed"] is True
    assert await sent_writes(world) == [CREATE]


async def test_each_answer_is_announced_to_those_who_follow_the_approval(world: World, store_url: str) -> None:
    announced: list[str] = []
    async with open_host(world, card_settings(store_url)) as office:
        office.calls.services.approvals.on_change(announced.append)
        card = await ask(office)
        await answer(office, card, "no")
    assert announced == [card["approval_id"]]


async def test_a_late_answer_tells_what_became_of_the_write(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        made = answer_of(await answer(office, card))
        for choice in ("yes", "no"):
            assert answer_of(await answer(office, card, choice)) == {**made, "replayed": True}
        change(office.live, dealers=["hyundaidemo"])
        assert kind_of(await answer(office, card)) == "refused"
    assert await sent_writes(world) == [CREATE]


async def test_rights_that_go_while_the_write_is_looked_up_stop_it(
    world: World, store_url: str, connect: Connect
) -> None:
    class InterveningSandbox(httpx2.AsyncBaseTransport):
        """A sandbox that does something at the next look at documents."""

        def __init__(self) -> None:
            self.intervene: Callable[[], None] = lambda: None

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET" and request.url.path.endswith("/documents"):
                self.intervene()
            return await SandboxTransport(world.app).handle_async_request(request)

    await _documents(connect)
    upstream = InterveningSandbox()
    async with open_host(world, card_settings(store_url), upstream=upstream) as office:
        card = await ask(office, "delete_documents", DELETION)
        upstream.intervene = lambda: change(office.live, confirm_by=["page"])
        refusal = await answer(office, card, deed=card["deed"])
        stored = await office.calls.services.store.approval(card["approval_id"])
    assert 'does not name "card"' in text_of(refusal)
    assert stored is not None
    assert stored.state == "failed"
    assert "delete_documents" not in await sent_writes(world)


async def _documents(connect: Connect) -> None:
    """Makes the document that `DELETION` names."""
    async with connect() as client:
        answer_of(await client.call_tool(CREATE, dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))


async def test_a_yes_is_not_for_a_document_that_has_changed(world: World, store_url: str, connect: Connect) -> None:
    await _documents(connect)
    upstream = RenamingSandbox(world)
    async with open_host(world, card_settings(store_url), upstream=upstream) as office:
        card = await ask(office, "delete_documents", DELETION)
        upstream.has_new_name = True
        refusal = await answer(office, card, deed=card["deed"])
    assert "has changed since it was shown" in text_of(refusal)
    assert "delete_documents" not in await sent_writes(world)


async def test_a_deletion_needs_the_tick_besides_the_yes(world: World, store_url: str, connect: Connect) -> None:
    await _documents(connect)
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office, "delete_documents", DELETION)
        assert card["deed"] == "delete documents"
        for changes in ({}, {"deed": "keep"}):
            assert "without the tick" in text_of(await answer(office, card, **changes))
        assert "delete_documents" not in await sent_writes(world)
        answer_of(await answer(office, card, deed="delete documents"))
    assert (await sent_writes(world))[-1] == "delete_documents"


async def test_a_host_without_views_gets_no_card(world: World, store_url: str) -> None:
    async with open_office(world, card_settings(store_url)) as office:
        refusal = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        assert kind_of(refusal) == "not_confirmed"
        assert "has not said that its host shows views" in text_of(refusal)
    settings = card_settings(store_url)
    async with open_host(world, settings) as shows, open_office(world, settings) as plain:
        card = await ask(shows)
        waits = await plain.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        assert (kind_of(waits), CARD_META in (waits.meta or {})) == ("waiting", False)
        assert "has not said" in text_of(await answer(plain, card))
    assert await sent_writes(world) == []


async def test_the_ways_are_taken_in_their_order(world: World, store_url: str) -> None:
    person = agreeing_person()
    async with open_host(world, card_settings(store_url, confirm_by=["form", "card"]), ask=person) as office:
        answer_of(await office.client.call_tool(CREATE, dict(NEW_CUSTOMER)))
    assert len(person.questions) == 1
    async with open_host(world, card_settings(store_url, confirm_by=["card", "form"]), ask=person) as office:
        await ask(office, CREATE, {**NEW_CUSTOMER, **KEY})
    assert len(person.questions) == 1
    async with open_office(world, card_settings(store_url, confirm_by=["card", "page"])) as office:
        waits = await office.client.call_tool(CREATE, {**NEW_CUSTOMER, "idempotency_key": "order-4712"})
        assert "/people/approvals/" in text_of(waits)


async def test_no_card_for_tools_that_want_two_people(world: World, store_url: str) -> None:
    two_people = ApprovalSettings(two_person=["customers"])
    async with open_host(world, card_settings(store_url, approvals=two_people)) as office:
        refusal = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
    assert kind_of(refusal) == "not_confirmed"
    assert "approvals.two_person names it" in text_of(refusal)


async def test_a_card_is_on_no_page(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url, confirm_by=["card", "page"])) as office:
        card = await ask(office)
        assert await office.entries() == []
        assert await office.desk.count_waiting(office.person()) == 0
        assert await office.desk.entry(office.person(), card["approval_id"]) is None
        with pytest.raises(DecisionRefused):
            await office.decide(card["approval_id"])
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": card["approval_id"]}))
        assert (status["status"], "card" in status["message"], "url" in status) == ("waiting", True, False)
        await answer(office, card, "no")
        assert await office.entries() == []


async def test_who_is_asked_by_a_card_reads_what_became_of_it_and_nobody_else_does(
    world: World, store_url: str
) -> None:
    settings = card_settings(store_url)
    callers = {**settings.callers, "other": settings.callers["tester"]}
    settings = settings.model_copy(update={"callers": callers})
    async with open_host(world, settings) as office, open_host(world, settings, caller="other") as other:
        waits = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        wish = {"approval_id": (waits.meta or {})["roadster-mcp/waiting"]["approval_id"]}
        assert answer_of(await office.client.call_tool("get_approval", wish))["status"] == "waiting"
        made = answer_of(await answer(office, card_of(waits)))
        done = answer_of(await office.client.call_tool("get_approval", wish))
        others = answer_of(await other.client.call_tool("get_approval", wish))
    assert (done["status"], done["answer"]) == ("done", {**made, "replayed": True})
    assert others["status"] == "not_found"


async def test_an_approval_of_a_page_has_no_card(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url, confirm_by=["page"])) as office:
        waits = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        assert CARD_META not in (waits.meta or {})
        approval = await office.calls.services.store.approval((waits.meta or {})["roadster-mcp/waiting"]["approval_id"])
        assert approval is not None
        secret = office.calls.services.approvals.cards._secret(approval)
        change(office.live, confirm_by=["card"])
        values = {"approval_id": approval.id, "secret": secret, "tool": CREATE}
        assert "not that of a card" in text_of(await answer(office, values))


async def test_an_answer_counts_as_a_call(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url, calls_per_minute=2)) as office:
        card = await ask(office)
        assert kind_of(await answer(office, card, secret="")) == "not_confirmed"
        assert kind_of(await answer(office, card)) == "limited"


async def test_the_records_of_a_card_belong_together(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        await answer(office, card)
        await answer(office, await ask(office, CREATE, {**NEW_CUSTOMER, **KEY}), "no")
    async with open_store(store_url) as store:
        rows = [row.record async for row in store.records(AuditQuery(approval=card["approval_id"]))]
        everything = [row.record async for row in store.records()]
        assert (await store.verify()).first_broken is None
    assert [(row.phase, row.outcome, row.dealer) for row in rows] == [
        ("ended", "waiting", "umazda"),
        ("decided", "approved", "umazda"),
        ("sent", "sent", "umazda"),
        ("ended", "done", "umazda"),
        ("ended", "replayed", "umazda"),
    ]
    assert {(row.principal, row.tool) for row in rows} == {("tester", CREATE)}
    assert [row.protocol for row in rows if row.phase == "decided"] == ["card"]
    assert rows[1].call_id == rows[4].call_id
    assert [row.outcome for row in everything[len(rows) :]] == ["waiting", "declined", "not_confirmed"]
    assert card["secret"] not in str(everything)
