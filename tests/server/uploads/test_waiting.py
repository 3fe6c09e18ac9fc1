"""A call asks a person for its file, a page takes the file, and the call takes it from there."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult, ElicitCompleteNotification, ElicitResult, InputRequiredResult

from roadster_server.calls.context import Timing
from roadster_server.calls.questions.form import yes_to
from roadster_server.store import open_store
from roadster_server.uploads import waiting
from roadster_server.uploads.waiting import FileDesk, LinkNotGood
from roadster_tools import Access
from roadster_tools.failures import UnusableFile
from tests.conftest import Connect, World, answer_of, kind_of, on_both_databases, text_of
from tests.server.calls.writes import agreeing_person, both_eras, records, sent_writes
from tests.tool_examples import NEW_TEMPLATE, STEVE
from tests.tools.pdf_files import pages_of, plain_pdf
from tests.tools.umazda import AT_UMAZDA

from .desks import desk_at, page_links, secret_in, wanted_by
from .pictures import PLACE, phone_photo, picture

pytestmark = pytest.mark.anyio

CUSTOMER = 1650260
LICENCE = {
    **AT_UMAZDA,
    "customer_id": CUSTOMER,
    "document_type": "license",
    "document_name": "DL Front",
    "file_name": "license.png",
    "relationship": "self",
}
TEMPLATE = {**AT_UMAZDA, **{name: value for name, value in NEW_TEMPLATE.items() if name != "contents"}}
PHOTO = phone_photo()


@pytest.fixture
async def desk(store_url: str) -> AsyncIterator[FileDesk]:
    async with desk_at(store_url) as opened:
        yield opened


@pytest.fixture
async def customer(connect: Connect) -> None:
    async with connect() as client:
        made = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))
    assert made["customer_id"] == CUSTOMER


@on_both_databases
async def test_a_caller_can_ask_for_twenty_files(
    connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    """More would fill the disk, which also holds the audit. A file that a call has taken makes room."""
    async with connect(page_links=page_links(store_url)) as client:
        results = [await client.call_tool("upload_document", LICENCE) for _ in range(21)]
        assert [kind_of(result) for result in results] == ["waiting"] * 20 + ["limited"]
        assert "20 files at a time" in text_of(results[-1])
        secret, handle = wanted_by(results[0])
        await desk.take(secret, [PHOTO])
        assert kind_of(await client.call_tool("upload_document", LICENCE)) == "limited", "a file that waits counts too"
        assert "document_id" in answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
        assert kind_of(await client.call_tool("upload_document", LICENCE)) == "waiting"


@on_both_databases
async def test_a_photo_goes_from_a_page_to_the_binder(
    connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        assert (await desk.look(secret)).about == ""
        early = await client.call_tool("upload_document", {**LICENCE, "upload": handle})
        assert kind_of(early) == "waiting"
        assert "not there yet" in text_of(early)
        file = await desk.take(secret, [PHOTO])
        assert (await desk.look(secret)).about == file.about == "a picture of 200 x 400 pixels"
        document = answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
        again = answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
        other = await client.call_tool("upload_document", {**LICENCE, "upload": handle, "document_name": "DL"})
        binder = answer_of(await client.call_tool("get_document", {**AT_UMAZDA, "customer_id": CUSTOMER, **document}))
    assert again == {**document, "replayed": True}, "its file is for one write, so a repeated call is the same one"
    assert kind_of(other) == "invalid_arguments"
    assert "upload: was used with other arguments" in text_of(other)
    assert "call without upload, and a person gets a new link" in text_of(other)
    (stored,) = (await world.get("state"))["documents"]
    assert (stored["file_name"], stored["size"]) == ("license.jpg", len(file.content))
    assert binder["sha256"] == hashlib.sha256(file.content).hexdigest()
    assert PLACE not in file.content


async def test_a_file_whose_answer_was_lost_is_not_sent_again(
    connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
        await world.fault("upload_document", "lost_answer", times=1)
        results = [await client.call_tool("upload_document", {**LICENCE, "upload": handle}) for _ in range(2)]
    assert [kind_of(result) for result in results] == ["outcome_unknown"] * 2
    assert "An earlier write with this upload lost its answer. It is not sent again." in text_of(results[1])
    assert len((await world.get("state"))["documents"]) == 1


@pytest.mark.parametrize(("fault", "kinds"), [(None, [None, None]), ("lost_answer", ["outcome_unknown"] * 2)])
async def test_a_repeated_answer_about_the_page_sends_the_file_once(
    fault: str | None,
    kinds: list[str | None],
    connect: Connect,
    customer: None,
    desk: FileDesk,
    world: World,
    store_url: str,
) -> None:
    """By protocol 2026-07-28 the client has a state instead of the handle. It may lose an answer, and repeat itself."""
    async with connect(mode="2026-07-28", page_links=page_links(store_url), ask=Opener(desk)) as client:
        question = await client.session.call_tool("upload_document", dict(LICENCE), allow_input_required=True)
        assert isinstance(question, InputRequiredResult)
        ((name, request),) = (question.input_requests or {}).items()
        await desk.take(secret_in(request.params.url), [PHOTO])  # type: ignore[union-attr]
        if fault is not None:
            await world.fault("upload_document", fault, times=1)
        results = []
        for _ in range(2):
            result = await client.session.call_tool(
                "upload_document",
                dict(LICENCE),
                request_state=question.request_state,
                input_responses={name: ElicitResult(action="accept")},
                allow_input_required=True,
            )
            assert isinstance(result, CallToolResult)
            results.append(result)
    assert [kind_of(result) for result in results] == kinds
    assert len((await world.get("state"))["documents"]) == 1
    if fault is None:
        assert answer_of(results[1]) == {**answer_of(results[0]), "replayed": True}


async def test_the_file_is_on_record_between_the_calls(
    connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    """The record of the page and that of the call that took the file have the same hash of the handle."""
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
        answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
    rows = [row.record for row in await records(store_url)][1:]
    steps = [(row.tool, row.phase, row.outcome) for row in rows if row.tool != "create_customer"]
    assert steps == [
        ("upload_document", "ended", "waiting"),
        ("page files", "ended", "done"),
        ("upload_document", "sent", "sent"),
        ("upload_document", "ended", "done"),
    ]
    page, *call = [row for row in rows if "upload" in row.arguments]
    assert {row.arguments["upload"] for row in call} == {page.arguments["upload"]}
    assert {row.arguments["customer_id"] for row in call} == {page.arguments["customer_id"]}
    assert (page.caller, page.principal, page.dealer) == ("tester", "tester", "umazda")


async def test_a_template_is_handed_over_as_a_pdf(
    connect: Connect, desk: FileDesk, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("create_template", TEMPLATE))
        assert (await desk.look(secret)).only_pdf
        with pytest.raises(UnusableFile, match="is no PDF"):
            await desk.take(secret, [PHOTO])
        pdf = plain_pdf(pages_of(1))
        await desk.take(secret, [pdf])
        answer = answer_of(await client.call_tool("create_template", {**TEMPLATE, "upload": handle}))
    assert answer["bytes"] == len(pdf)
    assert await sent_writes(world) == ["create_template"]


async def test_a_template_whose_fields_are_wrong_is_refused_before_anybody_is_asked(
    connect: Connect, store_url: str
) -> None:
    (page,) = NEW_TEMPLATE["form_definition"]["pages"]
    twice = {**TEMPLATE, "form_definition": {"pages": [{"fields": [*page["fields"], *page["fields"]]}]}}
    async with connect(page_links=page_links(store_url)) as client:
        result = await client.call_tool("create_template", twice)
    assert kind_of(result) == "invalid_arguments"


async def test_a_link_takes_one_file(connect: Connect, customer: None, desk: FileDesk, store_url: str) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, _ = wanted_by(await client.call_tool("upload_document", LICENCE))
    await desk.take(secret, [PHOTO])
    with pytest.raises(LinkNotGood):
        await desk.take(secret, [picture("PNG")])
    with pytest.raises(LinkNotGood):
        await desk.begin(secret)


@on_both_databases
async def test_of_two_people_at_one_link_one_hands_over_the_file(
    connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    photos = [picture("PNG", size=size) for size in ((30, 30), (50, 50))]
    outcomes: list[str] = []
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))

        async def hand_over(photo: bytes) -> None:
            try:
                outcomes.append((await desk.take(secret, [photo])).about)
            except LinkNotGood:
                outcomes.append("refused")

        async with anyio.create_task_group() as tasks:
            for photo in photos:
                tasks.start_soon(hand_over, photo)
        answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
        assert sorted(outcomes)[1] == "refused"
    async with open_store(store_url) as store:
        assert [row.record.tool async for row in store.records()].count("page files") == 1
    assert await sent_writes(world) == ["create_customer", "upload_document"]


async def test_a_file_that_is_refused_leaves_the_link_good(
    connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, _ = wanted_by(await client.call_tool("upload_document", LICENCE))
    with pytest.raises(UnusableFile):
        await desk.take(secret, [b"<html>"])
    assert (await desk.take(secret, [PHOTO])).content_type == "image/jpeg"


async def test_a_link_takes_twenty_attempts(connect: Connect, customer: None, desk: FileDesk, store_url: str) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, _ = wanted_by(await client.call_tool("upload_document", LICENCE))
    for _ in range(20):
        await desk.begin(secret)
    with pytest.raises(LinkNotGood):
        await desk.begin(secret)


async def test_a_link_is_over_after_ten_minutes(
    connect: Connect, customer: None, desk: FileDesk, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LINK_LIFETIME", -waiting.LINK_LIFETIME)
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        with pytest.raises(LinkNotGood):
            await desk.look(secret)
        with pytest.raises(LinkNotGood):
            await desk.take(secret, [PHOTO])
        assert kind_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle})) == "invalid_arguments"


@pytest.mark.parametrize("guess", ["", "x", "A" * 32, "handle", "\0", "é" * 32])
async def test_a_guess_is_no_link(guess: str, connect: Connect, customer: None, desk: FileDesk, store_url: str) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        _, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
    for secret in (guess, handle):
        with pytest.raises(LinkNotGood):
            await desk.look(secret)
        with pytest.raises(LinkNotGood):
            await desk.take(secret, [PHOTO])


@pytest.mark.parametrize(
    "changes",
    [
        {"customer_id": CUSTOMER + 1},
        {"document_type": "insurance"},
        {"dealer": "hyundaidemo"},
        {"upload": "A" * 32},
        {"upload": "link"},
    ],
)
async def test_a_file_is_there_for_its_purpose_alone(
    changes: dict[str, Any], connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
        if changes.get("upload") == "link":
            changes = {"upload": secret}
        result = await client.call_tool("upload_document", {**LICENCE, "upload": handle, **changes})
    assert kind_of(result) == "invalid_arguments"
    assert "there is no such file for you" in text_of(result)
    assert await sent_writes(world) == ["create_customer"]


async def test_a_file_is_there_for_its_caller_alone(
    connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
    async with connect(name="another", page_links=page_links(store_url)) as client:
        result = await client.call_tool("upload_document", {**LICENCE, "upload": handle})
    assert kind_of(result) == "invalid_arguments"
    assert await sent_writes(world) == ["create_customer"]


async def test_nobody_is_asked_for_a_file_of_a_customer_who_is_not_the_dealers(
    connect: Connect, customer: None, world: World, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        result = await client.call_tool("upload_document", {**LICENCE, "dealer": "hyundaidemo"})
    assert kind_of(result) == "not_found"
    assert await sent_writes(world) == ["create_customer"]


async def test_nobody_is_asked_for_a_file_that_is_never_sent(connect: Connect, customer: None, store_url: str) -> None:
    async with connect(page_links=page_links(store_url), access={"documents": Access.PREVIEW}) as client:
        result = await client.call_tool("upload_document", LICENCE)
    assert "contents: give contents or path" in text_of(result)


async def test_without_a_page_the_caller_must_have_the_file(connect: Connect, customer: None) -> None:
    async with connect() as client:
        result = await client.call_tool("upload_document", LICENCE)
    assert "contents: give contents or path; for a page" in text_of(result)
    assert "the operator must set http.resource_url" in text_of(result)


async def test_forget_takes_a_file_that_waits(connect: Connect, customer: None, desk: FileDesk, store_url: str) -> None:
    async with connect(page_links=page_links(store_url)) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
        async with open_store(store_url) as store:
            record = [row.record async for row in store.records()][-1]
            assert (await store.forget_customer("umazda", str(CUSTOMER), record)).files == 1
        result = await client.call_tool("upload_document", {**LICENCE, "upload": handle})
    assert kind_of(result) == "invalid_arguments"


class Opener:
    """A person who opens the page, hands over a file there or not, and says yes to everything else."""

    def __init__(self, desk: FileDesk, *, action: str = "accept", hands_over: bool = True) -> None:
        self.desk = desk
        self.action = action
        self.hands_over = hands_over
        self.questions: list[str] = []

    async def __call__(self, _ctx: Any, params: Any) -> ElicitResult:
        self.questions.append(params.mode)
        if params.mode != "url":
            return yes_to(params)
        if self.hands_over:
            await self.desk.take(secret_in(params.url), [PHOTO])
        return ElicitResult(action=self.action)  # type: ignore[arg-type]


@both_eras
@pytest.mark.parametrize("level", [Access.WRITE, Access.CONFIRM])
async def test_a_client_that_opens_pages_needs_one_call(
    level: Access, mode: str, connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    """Also where another question follows: whether to send what the person handed over."""
    person = Opener(desk)
    access = {"documents": level}
    async with connect(mode=mode, page_links=page_links(store_url), ask=person, access=access) as client:
        answer_of(await client.call_tool("upload_document", {**LICENCE, "idempotency_key": "licence-1"}))
        if mode == "legacy" and level is Access.WRITE:
            again = answer_of(await client.call_tool("upload_document", {**LICENCE, "idempotency_key": "licence-1"}))
            assert again["replayed"]
    assert person.questions == (["url"] if level is Access.WRITE else ["url", "form"])
    assert await sent_writes(world) == ["create_customer", "upload_document"]
    (sent,) = [row.record for row in await records(store_url) if row.record.outcome == "sent"][1:]
    assert "upload" in sent.arguments


@pytest.mark.parametrize(("mode", "count"), [("legacy", 1), ("2026-07-28", 0)])
async def test_a_client_of_2025_11_25_learns_that_the_file_is_there(
    mode: str, count: int, connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    """The notification has the id of the question. The later protocol has no such notification."""
    asked: list[str] = []
    completed: list[str] = []

    class Asked(Opener):
        async def __call__(self, ctx: Any, params: Any) -> ElicitResult:
            asked.append(params.elicitation_id)
            return await super().__call__(ctx, params)

    async def on_message(message: Any) -> None:
        if isinstance(message, ElicitCompleteNotification):
            completed.append(message.params.elicitation_id)

    async with connect(mode=mode, page_links=page_links(store_url), ask=Asked(desk), on_message=on_message) as client:
        answer_of(await client.call_tool("upload_document", LICENCE))
    assert len(completed) == count
    assert completed == asked[:count]


@both_eras
async def test_a_person_who_declines_is_asked_no_further(
    mode: str, connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    person = Opener(desk, action="decline", hands_over=False)
    async with connect(mode=mode, page_links=page_links(store_url), ask=person) as client:
        result = await client.call_tool("upload_document", LICENCE)
    assert kind_of(result) == "not_confirmed"
    assert await sent_writes(world) == ["create_customer"]


@both_eras
async def test_a_person_who_opens_the_page_later_finds_it_open(
    mode: str, connect: Connect, customer: None, desk: FileDesk, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host took the yes, and the person did not hand over the file in time for this call."""
    if mode == "legacy":  # the call waits as long as the link is good
        monkeypatch.setattr(waiting, "LINK_LIFETIME", waiting.LINK_LIFETIME / 600)
    person = Opener(desk, hands_over=False)
    timing = Timing(file_seconds=0.05)
    async with connect(mode=mode, page_links=page_links(store_url), ask=person, timing=timing) as client:
        result = await client.call_tool("upload_document", LICENCE)
    assert kind_of(result) == "waiting"


@both_eras
async def test_a_client_that_did_not_open_the_page_gets_the_link_in_the_answer(
    mode: str, connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    person = Opener(desk, action="cancel", hands_over=False)
    async with connect(mode=mode, page_links=page_links(store_url), ask=person) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
        await desk.take(secret, [PHOTO])
        answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
    assert person.questions == ["url"]


async def test_a_client_that_only_shows_forms_gets_the_link_in_the_answer(
    connect: Connect, customer: None, desk: FileDesk, store_url: str
) -> None:
    async with connect(page_links=page_links(store_url), ask=None) as client:
        secret, _ = wanted_by(await client.call_tool("upload_document", LICENCE))
    assert (await desk.look(secret)).customer == str(CUSTOMER)


async def test_a_confirmed_file_is_the_one_that_was_shown(
    connect: Connect, customer: None, desk: FileDesk, world: World, store_url: str
) -> None:
    person = agreeing_person()
    access = {"documents": Access.CONFIRM}
    async with connect(page_links=page_links(store_url), access=access) as client:
        secret, handle = wanted_by(await client.call_tool("upload_document", LICENCE))
    file = await desk.take(secret, [PHOTO])
    async with connect(page_links=page_links(store_url), access=access, ask=person) as client:
        answer_of(await client.call_tool("upload_document", {**LICENCE, "upload": handle}))
    (question,) = person.questions
    assert '"license.jpg"' in question
    assert str(len(file.content)) in question.replace(",", "")
