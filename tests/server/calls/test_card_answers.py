"""The answers on cards: which of them count, what is sent after a yes, and what is on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from mcp_types import CallToolResult

from roadster_sandbox import SandboxTransport
from roadster_server.calls.context import Timing
from roadster_server.calls.results import CARD_META
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_server.store import AuditQuery, open_store
from roadster_tools import Access
from tests.conftest import Connect, World, answer_of, kind_of, text_of

from .approvals import Office, RenamingSandbox, approval_of, change
from .cards import CREATE, answer, ask, card_of, card_settings, open_host
from .writes import DELETION, DOCUMENT, KEY, NEW_CUSTOMER, sent_writes

pytestmark = pytest.mark.anyio


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
        ({"confirm_by": ["page"]}, "no yes on this card counts now: "),
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


class HoldingSandbox(httpx2.AsyncBaseTransport):
    """A sandbox that holds a new customer back until it is released."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.arrived, self.released = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and request.url.path.endswith("/customers"):
            self.arrived.set()
            await self.released.wait()
        return await self._sandbox.handle_async_request(request)


async def test_a_view_that_closes_after_the_yes_stops_nothing(world: World, store_url: str) -> None:
    upstream = HoldingSandbox(world)
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


@pytest.mark.parametrize("way", ["card", "page"])
async def test_while_an_approved_write_is_sent_nobody_is_told_that_nothing_was(
    way: str, world: World, store_url: str
) -> None:
    upstream = HoldingSandbox(world)
    settings = card_settings(store_url, confirm_by=[way])
    async with open_host(world, settings, upstream=upstream) as office:
        first = await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))
        async with anyio.create_task_group() as people:
            if way == "card":
                card = card_of(first)
                people.start_soon(answer, office, card)
            else:
                people.start_soon(office.decide, approval_of(first))
            await upstream.arrived.wait()
            again = [await office.client.call_tool(CREATE, dict(NEW_CUSTOMER))]
            if way == "card":
                again += [await answer(office, card, choice) for choice in ("yes", "no")]
            upstream.released.set()
    for result in again:
        assert kind_of(result) == "waiting"
        assert text_of(result).startswith("A person said yes, and the write is being sent. Call again")
        assert "Nothing was sent" not in text_of(result)
        assert "http" not in str(result)


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
        first_answer = answer_of(await answer(office, card))
        for choice in ("yes", "no"):
            assert answer_of(await answer(office, card, choice)) == {**first_answer, "replayed": True}
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


async def test_an_answer_counts_as_a_call(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url, calls_per_minute=2)) as office:
        card = await ask(office)
        assert kind_of(await answer(office, card, secret="")) == "not_confirmed"
        assert kind_of(await answer(office, card)) == "limited"


async def test_the_records_of_a_card_belong_together(world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        card = await ask(office)
        await answer(office, card)
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
        ("ended", "approved", "umazda"),
        ("ended", "replayed", "umazda"),
    ]
    assert {(row.principal, row.tool) for row in rows} == {("tester", CREATE)}
    assert [row.protocol for row in rows if row.phase == "decided"] == ["card"]
    assert rows[1].call_id == rows[4].call_id
    assert [row.outcome for row in everything[len(rows) :]] == ["waiting", "declined", "not_confirmed"]
    assert card["secret"] not in str(everything)
