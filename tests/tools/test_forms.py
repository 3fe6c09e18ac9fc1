"""Forms for an order: whose order, whose templates, and what a person confirms."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from roadster_sandbox import DEALERS, SandboxTransport
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.dealers import DealerSettings
from roadster_tools import TOOLS, Access
from tests.conftest import Connect, World, answer_of, kind_of, settings_for, text_of
from tests.tool_examples import NEW_TEMPLATE
from tests.tools.umazda import AT_UMAZDA, links_of, operations

pytestmark = pytest.mark.anyio

UMAZDA, HYUNDAI, TOYOTA = DEALERS
OWN, HYUNDAIS, TOYOTAS, DELETED = "278", "282", "286", "281"
"""The first template of each dealer, and one of umazda's that is deleted."""


LISTED, UNLISTED = (str(order) for order in (UMAZDA.orders[0], UMAZDA.orders[-1]))
FORMS = {**AT_UMAZDA, "order_id": LISTED, "title": "Please sign", "template_ids": [OWN]}


def of_order(world: World, order: Any) -> httpx2.AsyncBaseTransport:
    """Returns the sandbox, but its first template is only for one order."""
    sandbox = SandboxTransport(world.app)

    class OfOrder(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await sandbox.handle_async_request(request)
            if not request.url.path.endswith(("/templates", "/details")):
                return response
            body = json.loads(await response.aread())
            templates = body if isinstance(body, list) else [body]
            changed = [{**each, "order_id": order} if str(each["id"]) == OWN else each for each in templates]
            body = json.dumps(changed[:1] if isinstance(body, list) else changed[0]).encode()
            return httpx2.Response(200, stream=httpx2.ByteStream(body))

    return OfOrder()


@pytest.mark.operation("create_forms", "create_forms")
async def test_create_forms_for_an_order_of_the_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer = answer_of(await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, 279]}))
    assert answer == {
        "order_id": LISTED,
        "title": "Please sign",
        "forms": ["Insurance Acknowledgement", "Privacy Notice"],
    }
    assert (await world.get("state"))["forms"] == [
        {"dpid": "umazda", "order_id": int(LISTED), "title": "Please sign", "template_ids": [278, 279]}
    ]
    last = (await world.requests())[-1]
    assert (last["path"], last["query"]) == (f"/v1/orders/{LISTED}/forms", {})
    assert last["body"] == {"title": "Please sign", "template_ids": [278, 279]}


@pytest.mark.parametrize(
    "wrong", ["", "0", "0278", "-1", "2 78", "a", "278/..", "278&dpid=toyotademo", 0, 2.5, True, []]
)
async def test_create_forms_refuses_what_is_no_id(wrong: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        for tool, arguments in (
            ("get_template", {"template_id": wrong}),
            ("create_forms", {**FORMS, "order_id": wrong}),
            ("create_forms", {**FORMS, "template_ids": [wrong]}),
        ):
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert kind_of(result) == "invalid_arguments"
            assert "toyotademo" not in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize(
    ("dealer", "order"),
    [
        ("umazda", UNLISTED),
        ("umazda", str(HYUNDAI.orders[0])),
        ("umazda", str(TOYOTA.orders[0])),
        ("umazda", "1"),
        ("hyundaidemo", str(HYUNDAI.orders[0])),
        ("hyundaidemo", LISTED),
    ],
)
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_create_forms_refuses_an_order_of_unknown_owner(
    dealer: str, order: str, level: Access, connect: Connect, world: World
) -> None:
    """This includes an order that is the dealer's at Roadster, because nothing here says so."""
    async with connect(access={"forms": level}) as client:
        result = await client.call_tool("create_forms", {**FORMS, "dealer": dealer, "order_id": order})
    assert kind_of(result) == "refused"
    assert f"dealers.{dealer}.orders" in text_of(result)
    assert order not in text_of(result)
    assert await world.requests() == []


async def test_create_forms_for_any_order_leaves_it_to_roadster(connect: Connect, world: World, store_url: str) -> None:
    settings = settings_for(store_url)
    dealers = {**settings.dealers, "umazda": DealerSettings(orders="any")}
    async with connect(change={"dealers": dealers}) as client:
        answer_of(await client.call_tool("create_forms", {**FORMS, "order_id": UNLISTED}))
        assert kind_of(await client.call_tool("create_forms", {**FORMS, "order_id": "1"})) == "not_found"
        # Another dealer's order: umazda's templates are none of that dealer's.
        foreign = {**FORMS, "order_id": str(TOYOTA.orders[0])}
        assert kind_of(await client.call_tool("create_forms", foreign)) == "not_found"
    assert [form["order_id"] for form in (await world.get("state"))["forms"]] == [int(UNLISTED)]


async def test_create_forms_for_an_order_that_an_event_named(connect: Connect, world: World, store_url: str) -> None:
    """An event has named the order, so the store has it as an order of that dealer."""
    live = LiveSettings(settings_for(store_url))
    async with open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls:
        store = calls.services.store
        await store.add_owned("umazda", "order", UNLISTED)
        await store.add_owned("umazda", "customer", str(UMAZDA.orders[-2]))
    dealers = {dpid: DealerSettings() for dpid in live.current.dealers}
    async with connect(change={"dealers": dealers}) as client:
        answer_of(await client.call_tool("create_forms", {**FORMS, "order_id": UNLISTED}))
        for other in (
            {**FORMS, "dealer": "hyundaidemo", "order_id": UNLISTED},
            {**FORMS, "order_id": str(UMAZDA.orders[-2])},
        ):
            assert kind_of(await client.call_tool("create_forms", other)) == "refused"
    assert len((await world.get("state"))["forms"]) == 1


@pytest.mark.parametrize("foreign", [HYUNDAIS, TOYOTAS, "99999"])
@pytest.mark.parametrize("level", [Access.PREVIEW, Access.CONFIRM, Access.WRITE])
async def test_create_forms_finds_no_template_of_another_dealer(
    foreign: str, level: Access, connect: Connect, world: World
) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(access={"forms": level}, ask=ask) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, foreign]})
    assert kind_of(result) == "not_found"
    assert text_of(result) == ("create_forms: not found at this dealer. Check template_ids.1. Nothing was changed.")
    assert questions == []
    assert await operations(world) == ["get_template", "get_template"]
    assert {request["dealer"] for request in await world.requests()} == {"umazda"}


async def test_create_forms_refuses_a_deleted_template(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, DELETED]})
        details = answer_of(await client.call_tool("get_template", {**AT_UMAZDA, "template_id": DELETED}))
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.1: this template is deleted" in text_of(result)
    assert details["deleted"] is True
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("order", [UNLISTED, "999999", 999999, ""])
async def test_create_forms_refuses_a_template_of_another_order(order: Any, connect: Connect, world: World) -> None:
    async with connect(upstream=of_order(world, order)) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": ["279", OWN]})
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.1: this template is of another order" in text_of(result)
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("order", [LISTED, int(LISTED), None])
async def test_create_forms_takes_a_template_of_the_same_order(order: Any, connect: Connect, world: World) -> None:
    async with connect(upstream=of_order(world, order)) as client:
        answer = answer_of(await client.call_tool("create_forms", FORMS))
    assert answer["forms"] == ["Insurance Acknowledgement" if order is None else "***"]


async def test_template_of_one_order_is_contact_data(connect: Connect, world: World) -> None:
    arguments = {**AT_UMAZDA, "template_id": OWN}
    uri = f"roadster://umazda/templates/{OWN}/file"
    async with connect(upstream=of_order(world, LISTED)) as client:
        for tool in ("get_template", "get_template_file", "list_templates"):
            result = await client.call_tool(tool, arguments if tool != "list_templates" else AT_UMAZDA)
            assert not result.is_error
            assert links_of(result) == []
            for words in ("Insurance Acknowledgement", "This is for insurance details"):
                assert words not in text_of(result) + json.dumps(result.structured_content), tool
            assert tool != "get_template_file" or "of one order" in answer_of(result)["hint"]
        with pytest.raises(MCPError, match="personal_data"):
            await client.read_resource(uri)
    async with connect(upstream=of_order(world, LISTED), personal_data="contact") as client:
        assert answer_of(await client.call_tool("get_template", arguments))["name"] == "Insurance Acknowledgement"
        assert len(links_of(await client.call_tool("get_template_file", arguments))) == 1
        assert (await client.read_resource(uri)).contents


async def test_create_forms_refuses_a_template_twice(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, "279", int(OWN)]})
    assert kind_of(result) == "invalid_arguments"
    assert "template_ids.2: is there before" in text_of(result)
    assert await operations(world) == []


async def test_create_forms_question_names_order_and_templates(connect: Connect) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="decline")

    async with connect(access={"forms": Access.CONFIRM}, ask=ask) as client:
        result = await client.call_tool("create_forms", {**FORMS, "template_ids": [OWN, "279"]})
    assert kind_of(result) == "not_confirmed"
    (question,) = questions
    assert question == (
        "Create forms for an order at University Mazda (umazda)? This writes to Roadster.\n"
        f'Order ID: "{LISTED}"\n'
        'Title: "Please sign"\n'
        'Template IDs 1: ID 278, name "Insurance Acknowledgement", file name "Insurance Acknowledgement.pdf", '
        'updated at "2025-01-01T00:00:00.000Z", pages 2, fields 7\n'
        'Template IDs 2: ID 279, name "Privacy Notice", file name "Privacy Notice.pdf", '
        'updated at "2025-01-01T00:00:00.000Z", pages 1, fields 2'
    )


class Edits(httpx2.AsyncBaseTransport):
    """The sandbox, but its template reads differently after `is_edited` is set."""

    def __init__(self, world: World, was: bytes, becomes: bytes) -> None:
        self._sandbox = SandboxTransport(world.app)
        self._change = (was, becomes)
        self.is_edited = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        if not self.is_edited or not request.url.path.endswith("/templates/details"):
            return answer
        return httpx2.Response(200, stream=httpx2.ByteStream((await answer.aread()).replace(*self._change)))


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"Insurance Acknowledgement", b"Power of Attorney"),
        (b'"updated_at":"2025', b'"updated_at":"2026'),
        (b'"order_id":null', f'"order_id":"{LISTED}"'.encode()),
    ],
)
async def test_create_forms_asks_anew_after_a_template_changed(
    was: bytes, becomes: bytes, mode: str, connect: Connect, world: World
) -> None:
    """The ids are the same, but the customer would sign another text than the person read."""
    upstream = Edits(world, was, becomes)
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        upstream.is_edited = True
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, access={"forms": Access.CONFIRM}, ask=ask, upstream=upstream) as client:
        first = await client.call_tool("create_forms", FORMS)
        assert (await world.get("state"))["forms"] == []
        answer_of(await client.call_tool("create_forms", FORMS))
    assert kind_of(first) == "not_confirmed"
    assert "to be asked anew" in text_of(first)
    assert len(set(questions)) == 2


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"is_deleted":false', b'"is_deleted":true'),
        (b'"order_id":null', f'"order_id":"{UNLISTED}"'.encode()),
    ],
    ids=["deleted", "of another order"],
)
async def test_create_forms_fails_for_a_template_gone_meanwhile(
    was: bytes, becomes: bytes, mode: str, connect: Connect, world: World
) -> None:
    """The template is deleted, or only for another order by now, and the yes was not for that."""
    upstream = Edits(world, was, becomes)

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        upstream.is_edited = True
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, access={"forms": Access.CONFIRM}, ask=ask, upstream=upstream) as client:
        result = await client.call_tool("create_forms", FORMS)
    assert kind_of(result) in ("not_found", "invalid_arguments")
    assert (await world.get("state"))["forms"] == []


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_create_forms_fails_for_an_order_gone_meanwhile(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    live = LiveSettings(settings_for(store_url, access={"forms": Access.CONFIRM}))

    async def ask(_ctx: Any, _params: Any) -> ElicitResult:
        without = {dpid: DealerSettings() for dpid in live.current.dealers}
        live.current = live.current.model_copy(update={"dealers": without})
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(mode=mode, live=live, ask=ask) as client:
        result = await client.call_tool("create_forms", FORMS)
    assert kind_of(result) == "refused"
    assert "dealers.umazda.orders" in text_of(result)
    assert (await world.get("state"))["forms"] == []


async def test_create_forms_follows_a_reload_of_the_orders(connect: Connect, world: World, store_url: str) -> None:
    live = LiveSettings(settings_for(store_url))
    async with connect(live=live) as client:
        answer_of(await client.call_tool("create_forms", FORMS))
        live.current = live.current.model_copy(
            update={"dealers": {dpid: DealerSettings() for dpid in live.current.dealers}}
        )
        assert kind_of(await client.call_tool("create_forms", FORMS)) == "refused"
    assert len((await world.get("state"))["forms"]) == 1


@pytest.mark.parametrize("tool", ["create_template", "create_forms"])
async def test_lost_answer_is_unknown_and_not_repeated(tool: str, connect: Connect, world: World) -> None:
    arguments = {"create_template": {**AT_UMAZDA, **NEW_TEMPLATE}, "create_forms": FORMS}[tool]
    await world.fault(tool, "lost_answer")
    async with connect() as client:
        for _ in range(2):
            result = await client.call_tool(tool, {**arguments, "idempotency_key": "forms-4711"})
            assert kind_of(result) == "outcome_unknown"
            assert TOOLS[tool].if_unknown in text_of(result)
    assert (await operations(world)).count(tool) == 1


async def test_replay_of_a_write_has_no_links(connect: Connect) -> None:
    """The store keeps only text and structured content for a replay, so no write may have links."""
    async with connect() as client:
        for tool, arguments in (("create_template", {**AT_UMAZDA, **NEW_TEMPLATE}), ("create_forms", FORMS)):
            first, again = [
                await client.call_tool(tool, {**arguments, "idempotency_key": "forms-4711"}) for _ in range(2)
            ]
            assert links_of(first) == links_of(again) == []
            assert answer_of(again) == {**answer_of(first), "replayed": True}
