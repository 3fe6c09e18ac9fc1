"""Writes that wait for a person on a page: what the assistant is told, and what is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from roadster_server.calls.approvals.desk import DecisionRefused
from roadster_server.calls.context import Timing
from roadster_server.settings.sections.people import ApprovalSettings, PeopleSettings
from roadster_server.store import AuditQuery, open_store
from roadster_tools import TOOLS, Access
from tests.conftest import Connect, World, answer_of, kind_of, text_of

from .approvals import RenamingSandbox, approval_of, approving_settings, change, open_office
from .writes import DELETION, DOCUMENT, KEY, NEW_CUSTOMER, Person, agreeing_person, both_eras, records, sent_writes

pytestmark = pytest.mark.anyio


@both_eras
async def test_a_write_waits_is_approved_and_sent_once(mode: str, world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url), mode=mode) as office:
        first = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
        approval = approval_of(first)
        assert "Nothing was sent yet" in text_of(first)
        assert await office.ask("create_customer", NEW_CUSTOMER) == approval
        assert await sent_writes(world) == []
        assert await office.decide(approval)
        assert await sent_writes(world) == ["create_customer"]
        answer = answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        assert answer["replayed"]
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
        assert (status["status"], status["answer"]["customer_id"]) == ("done", answer["customer_id"])
        assert not await office.decide(approval)
    assert await sent_writes(world) == ["create_customer"]


async def test_a_no_sends_nothing_and_its_reason_is_told(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        assert await office.decide(approval, is_yes=False, reason="She has no licence")
        again = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
        assert not await office.decide(approval)
    assert kind_of(again) == "not_confirmed"
    assert '"She has no licence"' in text_of(again)
    assert status["status"] == "declined"
    assert await sent_writes(world) == []


async def test_another_idempotency_key_is_asked_about_anew(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        first = await office.ask("create_customer", NEW_CUSTOMER)
        assert await office.ask("create_customer", {**NEW_CUSTOMER, **KEY}) != first


async def test_a_write_with_a_key_is_replayed_and_sent_once(world: World, store_url: str) -> None:
    call = {**NEW_CUSTOMER, **KEY}
    async with open_office(world, approving_settings(store_url)) as office:
        assert await office.decide(await office.ask("create_customer", call))
        assert answer_of(await office.client.call_tool("create_customer", call))["replayed"]
        change(office.live, access={"customers": Access.WRITE})
        assert answer_of(await office.client.call_tool("create_customer", call))["replayed"]
    assert await sent_writes(world) == ["create_customer"]


async def test_the_records_of_an_approval_belong_together(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        await office.decide(approval)
    async with open_store(store_url) as store:
        rows = [row.record async for row in store.records(AuditQuery(approval=approval))]
        assert (await store.verify()).first_broken is None
    assert [(row.phase, row.outcome, row.principal) for row in rows] == [
        ("ended", "waiting", "tester"),
        ("decided", "approved", "manager"),
        ("sent", "sent", "tester"),
        ("ended", "done", "tester"),
    ]
    assert {row.tool for row in rows} == {"create_customer"}
    assert rows[1].setting == "roles.manager.approves"


async def test_one_of_two_approvers_at_once_decides(world: World, store_url: str) -> None:
    decisions: list[bool] = []
    settings = approving_settings(store_url)
    async with open_office(world, settings) as one, open_office(world, settings) as other:
        approval = await one.ask("create_customer", NEW_CUSTOMER)

        async def decide(office: Any, *, is_yes: bool) -> None:
            decisions.append(await office.decide(approval, is_yes=is_yes))

        async with anyio.create_task_group() as people:
            for number in range(6):
                people.start_soon(lambda n=number: decide((one, other)[n % 2], is_yes=True))
    assert sorted(decisions) == [False] * 5 + [True]
    assert await sent_writes(world) == ["create_customer"]


async def test_nothing_is_approved_after_its_time(world: World, store_url: str) -> None:
    settings = approving_settings(
        store_url, approvals=ApprovalSettings.model_construct(lifetime=timedelta(), two_person=[])
    )
    async with open_office(world, settings) as office:
        result = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
        approval = (result.meta or {})["roadster-mcp/waiting"]["approval_id"]
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
        assert not await office.decide(approval)
    assert status["status"] == "expired"
    assert await sent_writes(world) == []


@pytest.mark.parametrize(
    "rights",
    [
        {"access": {"customers": Access.READ}},
        {"access": {"customers": Access.PREVIEW}},
        {"access": {"customers": Access.WRITE}},
        {"dealers": ["hyundaidemo"]},
    ],
)
async def test_a_yes_does_not_outlive_the_rights_of_the_requester(
    rights: dict[str, Any], world: World, store_url: str
) -> None:
    """With more rights it is not sent either: the caller may have sent the same write unasked meanwhile."""
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        change(office.live, **rights)
        assert await office.decide(approval)
        stored = await office.calls.services.store.approval(approval)
    assert stored is not None
    assert stored.state == "failed"
    assert await sent_writes(world) == []
    assert (await records(store_url))[-1].record.outcome in ("refused", "not_confirmed")


async def test_a_write_that_the_operator_opened_meanwhile_is_sent_once(world: World, store_url: str) -> None:
    """Also if a person says yes to the first call once it has to wait again."""
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        change(office.live, access={"customers": Access.WRITE})
        answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        change(office.live, access={"customers": Access.CONFIRM})
        assert not await office.decide(approval)
        assert await sent_writes(world) == ["create_customer"]
    decisions = [each.record for each in await records(store_url) if each.record.phase == "decided"]
    assert [(each.outcome, each.approval) for each in decisions] == [("withdrawn", approval)]
    assert [each.record.approval for each in await records(store_url) if each.record.phase == "sent"] == [None]


async def test_a_write_that_was_approved_is_not_sent_again_at_write(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        assert await office.decide(await office.ask("create_customer", NEW_CUSTOMER))
        change(office.live, access={"customers": Access.WRITE})
        assert answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))["replayed"]
        answer_of(await office.client.call_tool("create_customer", {**NEW_CUSTOMER, **KEY}))
    assert await sent_writes(world) == ["create_customer", "create_customer"]


async def test_a_write_that_was_declined_can_be_sent_once_the_tool_is_open(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        assert await office.decide(await office.ask("create_customer", NEW_CUSTOMER), is_yes=False)
        change(office.live, access={"customers": Access.WRITE})
        assert not answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))).get("replayed")
    assert await sent_writes(world) == ["create_customer"]


async def test_who_may_not_approve_cannot_decide(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        for rights in ({"dealers": ["hyundaidemo"]}, {"role": None}):
            change(office.live, "manager", dealers=["umazda"], role="manager")
            change(office.live, "manager", **rights)
            with pytest.raises(DecisionRefused):
                await office.decide(approval)
            assert await office.desk.entry(office.person(), approval) is None
            assert await office.entries() == []
        with pytest.raises(DecisionRefused):
            await office.decide(approval, by="tester")
        with pytest.raises(DecisionRefused):
            await office.decide("0" * 32)
    assert await sent_writes(world) == []


async def test_an_approver_who_loses_the_right_while_the_write_is_looked_up_approves_nothing(
    world: World, store_url: str
) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        await office.calls.services.store.open()
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        callers = iter([office.person(), office.person(), office.person()])
        nobody = office.person("nobody")
        assert await office.desk.decide(lambda: next(callers, nobody), approval, is_yes=True, reason="")
        stored = await office.calls.services.store.approval(approval)
    assert stored is not None
    assert stored.state == "failed"
    assert await sent_writes(world) == []


async def test_two_person_keeps_people_from_approving_their_own(world: World, store_url: str) -> None:
    settings = approving_settings(store_url, role="manager", approvals=ApprovalSettings(two_person=["customers"]))
    async with open_office(world, settings) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        with pytest.raises(DecisionRefused, match="second person"):
            await office.decide(approval, by="tester")
        assert await sent_writes(world) == []
        assert await office.decide(approval, by="manager")
    assert await sent_writes(world) == ["create_customer"]


async def test_a_yes_is_not_for_a_document_that_has_changed(world: World, store_url: str, connect: Connect) -> None:
    upstream = RenamingSandbox(world)
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    async with open_office(world, approving_settings(store_url), upstream=upstream) as office:
        approval = await office.ask("delete_documents", DELETION)
        upstream.has_new_name = True
        assert await office.decide(approval)
        result = await office.client.call_tool("delete_documents", dict(DELETION))
    assert "has changed since it was shown" in text_of(result)
    assert "delete_documents" not in await sent_writes(world)


async def test_a_deletion_that_was_done_is_told_to_the_same_call(
    world: World, store_url: str, connect: Connect
) -> None:
    """The documents are not there any more, so the call cannot be carried out again to find that out."""
    async with connect() as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    async with open_office(world, approving_settings(store_url)) as office:
        await office.decide(await office.ask("delete_documents", DELETION))
        again = answer_of(await office.client.call_tool("delete_documents", dict(DELETION)))
    assert again == {"deleted": [1602287], "replayed": True}


async def test_a_lost_answer_is_unknown_and_not_sent_again(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        await world.fault("create_customer", "lost_answer")
        assert await office.decide(approval)
        await world.clear_faults()
        again = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
    assert kind_of(again) == "outcome_unknown"
    assert text_of(again).count(TOOLS["create_customer"].if_unknown) == 1
    assert status["status"] == "outcome_unknown"
    assert await sent_writes(world) == ["create_customer"]


async def test_a_failed_write_is_told_as_it_failed(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        await world.fault("create_customer", "status", status=429)
        assert await office.decide(approval)
        status = answer_of(await office.client.call_tool("get_approval", {"approval_id": approval}))
        assert kind_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))) == "upstream"
    assert status["status"] == "failed"


async def test_a_caller_sees_no_approval_of_another(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        of_manager = office.calls.services.approvals.of_caller(office.person())
        assert await of_manager.report(approval) is None
        change(office.live, dealers=["hyundaidemo"])
        for id_ in (approval, "0" * 32):
            answer = answer_of(await office.client.call_tool("get_approval", {"approval_id": id_}))
            assert (answer["status"], "tool" in answer) == ("not_found", False)


@both_eras
async def test_hosts_that_ask_by_a_form_go_on_doing_so(mode: str, world: World, store_url: str) -> None:
    person = agreeing_person()
    async with open_office(world, approving_settings(store_url), mode=mode, ask=person) as office:
        answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        assert await office.entries() == []
    assert person.questions[0].startswith("Create a customer at University Mazda (umazda)?")
    assert await sent_writes(world) == ["create_customer"]


@both_eras
async def test_the_page_can_be_the_only_way(mode: str, world: World, store_url: str) -> None:
    """Then no client can say yes in the place of a person."""
    person = agreeing_person()
    settings = approving_settings(store_url, confirm_by=["page"])
    async with open_office(world, settings, mode=mode, ask=person) as office:
        await office.ask("create_customer", NEW_CUSTOMER)
    assert "Open the page" in person.questions[0]
    assert await sent_writes(world) == []


@both_eras
async def test_a_client_that_opens_pages_gets_the_answer_in_its_call(mode: str, world: World, store_url: str) -> None:
    settings = approving_settings(store_url, confirm_by=["page"])
    urls: list[str] = []

    async def open_page(_ctx: Any, params: Any) -> ElicitResult:
        urls.append(params.url)
        tasks.start_soon(office.decide, params.url.rpartition("/")[2])
        return ElicitResult(action="accept")

    async with (
        open_office(world, settings, mode=mode, ask=open_page, timing=Timing(page_seconds=30)) as office,
        anyio.create_task_group() as tasks,
    ):
        answer = answer_of(await office.client.call_tool("create_customer", dict(NEW_CUSTOMER)))
    assert answer["customer_id"]
    assert len(urls) == 1
    assert await sent_writes(world) == ["create_customer"]


@both_eras
async def test_declining_to_open_the_page_withdraws_the_write(mode: str, world: World, store_url: str) -> None:
    settings = approving_settings(store_url, confirm_by=["page"])
    async with open_office(world, settings, mode=mode, ask=Person("decline")) as office:
        result = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
        (entry,) = await office.entries()
        assert (entry.status, entry.is_to_decide) == ("withdrawn", False)
        assert not await office.decide(entry.approval.id)
    assert kind_of(result) == "not_confirmed"
    assert await sent_writes(world) == []


@pytest.mark.parametrize(
    ("options", "changes", "mend"),
    [
        ({}, {"people": PeopleSettings()}, "nobody can sign in to the pages; let the operator set people.local_caller"),
        (
            {"managers": {"approves": ["documents"]}},
            {},
            "may approve it at umazda; let the operator name customers or create_customer in `approves` of a role",
        ),
        (
            {"approvals": ApprovalSettings(two_person=["customers"]), "role": "manager"},
            {"people": PeopleSettings(local_caller="tester")},
            "approvals.two_person wants a second person, and only the one who asks may approve it",
        ),
    ],
)
async def test_each_reason_why_nobody_may_approve_is_told_with_its_mend(
    options: dict[str, Any], changes: dict[str, Any], mend: str, world: World, store_url: str
) -> None:
    settings = approving_settings(store_url, **options).model_copy(update=changes)
    async with open_office(world, settings) as office:
        result = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert kind_of(result) == "not_confirmed"
    assert mend in text_of(result)
    assert '= "write"' not in text_of(result)


async def test_a_loop_does_not_bury_what_people_want_to_decide(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        for number in range(20):
            await office.ask("create_customer", {**NEW_CUSTOMER, "idempotency_key": f"loop-{number:04}"})
        result = await office.client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert kind_of(result) == "not_confirmed"
    assert "20 writes" in text_of(result)


async def test_what_is_stored_is_sealed(world: World, store_url: str) -> None:
    async with open_office(world, approving_settings(store_url)) as office:
        approval = await office.ask("create_customer", NEW_CUSTOMER)
        await office.decide(approval, is_yes=False, reason="McQueen has no licence")
        stored = await office.calls.services.store.approval(approval)
    assert stored is not None
    assert all(b"McQueen" not in part for part in (stored.question, stored.content, stored.reason or b""))


async def test_a_state_of_another_question_is_no_answer(world: World, store_url: str) -> None:
    settings = approving_settings(store_url, confirm_by=["page"])
    async with open_office(world, settings, mode="2026-07-28", ask=Person("decline")) as office:
        question = await office.client.session.call_tool(
            "create_customer", dict(NEW_CUSTOMER), allow_input_required=True
        )
        assert isinstance(question, InputRequiredResult)
        other = await office.client.session.call_tool(
            "create_customer",
            {**NEW_CUSTOMER, **KEY},
            request_state=question.request_state,
            input_responses={"page": ElicitResult(action="decline")},
            allow_input_required=True,
        )
        assert isinstance(other, InputRequiredResult)
        first = await office.client.session.call_tool("create_customer", dict(NEW_CUSTOMER), allow_input_required=True)
        assert isinstance(first, CallToolResult)
        assert kind_of(first) == "waiting"
