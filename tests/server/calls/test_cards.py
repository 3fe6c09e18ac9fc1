"""The card on which a write waits: who gets it, what it shows, and what the assistant is told."""

from __future__ import annotations

import json
import re

import pytest
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from roadster_server.calls.approvals.desk import DecisionRefused
from roadster_server.calls.results import CARD_META, FAILURE_META
from roadster_server.settings.sections.people import ApprovalSettings
from tests.conftest import PROJECT, World, answer_of, kind_of, text_of

from .approvals import change, open_office
from .cards import CREATE, answer, ask, card_of, card_settings, open_host
from .writes import KEY, NEW_CUSTOMER, WRITES, agreeing_person, both_eras, leaves, sent_writes

pytestmark = pytest.mark.anyio

TEMPLATE_FIELD = (
    'x 96, y 555, name "vehicleYear_1", type "vehicleYear", width 40, height 12, signee "__customer__", font size 8, '
    'form label "Year", agent filled required false'
)


@both_eras
async def test_a_write_waits_on_a_card_and_is_sent_once_after_the_yes(mode: str, world: World, store_url: str) -> None:
    async with open_host(world, card_settings(store_url), mode=mode) as office:
        card = await ask(office)
        assert await sent_writes(world) == []
        first_answer = answer_of(await answer(office, card))
        assert await sent_writes(world) == [CREATE]
        again = answer_of(await office.client.call_tool(CREATE, dict(NEW_CUSTOMER)))
    assert "replayed" not in first_answer
    assert again == {**first_answer, "replayed": True}
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


@pytest.mark.parametrize(
    ("tool", "label", "value"),
    [
        (CREATE, "Customer: first name", '"Steve"'),
        (CREATE, "Customer: partner ID", '"238612817"'),
        ("assign_agent", "Customer ID", "1650260"),
        ("submit_trade_valuation", "VIN", '"4T1C11AK0LU322811"'),
        ("create_template", "Dealer", '"umazda"'),
        ("create_template", "Form data: form definition: pages 1: fields 1", TEMPLATE_FIELD),
    ],
)
async def test_the_card_names_each_field_in_plain_words(
    tool: str, label: str, value: str, world: World, store_url: str
) -> None:
    async with open_host(world, card_settings(store_url)) as office:
        fields = (await ask(office, tool, WRITES[tool]))["fields"]
    labels = [name for name, _value in fields]
    assert len({*labels}) == len(labels)
    assert not any(re.search(r"[._]|^[a-z]", name) for name in labels)
    assert [label, value] in fields


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
        first_answer = answer_of(await answer(office, card_of(waits)))
        done = answer_of(await office.client.call_tool("get_approval", wish))
        others = answer_of(await other.client.call_tool("get_approval", wish))
    assert (done["status"], done["answer"]) == ("done", {**first_answer, "replayed": True})
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
