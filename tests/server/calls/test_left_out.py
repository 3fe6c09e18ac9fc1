"""One odd field of an upstream's answer hides nothing else from a caller, who learns that it was left out."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from roadster_client import OPERATIONS
from roadster_client.upstream.upstream import EXCHANGE
from roadster_server.calls.results import text_of
from roadster_tools import TOOLS
from tests.conftest import FOREIGN, Answering, Connect, World, answer_of, kind_of, own_delivery, response
from tests.odd_answers import ODD, Place, lenient_places, path_of, places, with_value
from tests.tool_examples import SOME_VIN, STEVE, TOOL_EXAMPLES
from tests.tools.canaries import CONTACT, IDENTITY_CANARIES, everything, leaks, plant

pytestmark = pytest.mark.anyio

LOCAL = {"list_customer_events", "get_customer", "search_customers", "get_approval"}
"""Tools that read only the store."""

CALLS = {
    name: {
        **example.arguments,
        **({} if name in ("list_dealers", "get_approval") else {"dealer": "umazda"}),
        **({} if example.budget.full is None else {"detail": "full"}),
    }
    for name, example in TOOL_EXAMPLES.items()
    if name not in LOCAL
}
CALLS["create_forms"]["template_ids"] = ["278"]


class Planting(httpx2.AsyncBaseTransport):
    """The sandbox with canaries in its answers, which `answers` keeps by tool and operation."""

    def __init__(self, world: World) -> None:
        self._sandbox = Answering(world, lambda _request: None)
        self.tool = ""
        self.answers: dict[str, dict[str, Any]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        operation = operation_of(request)
        answer = await self._sandbox.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        if answer.status_code != httpx2.codes.OK or not content:
            return httpx2.Response(answer.status_code, stream=httpx2.ByteStream(content))
        planted = plant(json.loads(content), operation)
        self.answers.setdefault(self.tool, {})[operation] = planted
        return response(planted)


class Given(httpx2.AsyncBaseTransport):
    """Answers each operation with the JSON that is given for it."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._answers.get(operation_of(request))
        return httpx2.Response(204, stream=httpx2.ByteStream(b"")) if answer is None else response(answer)


def operation_of(request: httpx2.Request) -> str:
    return str(request.extensions[EXCHANGE].operation.name)


ANSWERS: dict[str, dict[str, Any]] = {}
"""The sandbox's answers, with canaries, by tool and operation. `answers` fills it."""


@pytest.fixture
async def answers(connect: Connect, world: World, store_url: str) -> None:
    """Fills `ANSWERS` once, and makes the delivery of the examples umazda's."""
    if not ANSWERS:
        upstream = Planting(world)
        async with connect(upstream=upstream) as client:
            for upstream.tool, arguments in CALLS.items():
                assert kind_of(await client.call_tool(upstream.tool, arguments)) is None, upstream.tool
        ANSWERS.update(upstream.answers)
    await own_delivery(store_url)


def says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def is_sound(operation: str, document: Any, personal_data: str) -> bool:
    try:
        TypeAdapter(OPERATIONS[operation].answer_type).validate_python(document, context=personal_data)
    except ValidationError:
        return False
    return True


TOOLS_WITH_FIELDS = sorted(CALLS.keys() - {"get_document", "upload_document", "cancel_delivery"})
"""The answers of the other three are only the id or the file that the call asks for, or empty."""


@pytest.mark.parametrize("tool", TOOLS_WITH_FIELDS)
@settings(max_examples=25)
@given(data=st.data(), personal_data=st.sampled_from(["masked", "contact"]))
async def test_odd_field_hides_nothing_else(
    tool: str, data: st.DataObject, personal_data: str, connect: Connect, answers: None
) -> None:
    """The call succeeds, says what was left out, and shows nobody's data to a caller who may not see them."""
    operation, place = _draw_place(data, tool)
    value = data.draw(st.sampled_from(ODD))
    odd = with_value(ANSWERS[tool][operation], place, value)
    async with connect(upstream=Given({**ANSWERS[tool], operation: odd}), personal_data=personal_data) as client:
        result = await client.call_tool(tool, CALLS[tool])
    content = answer_of(result)
    if not says_nothing(value) and not is_sound(operation, odd, personal_data):
        assert content["left_out"]["rows"] + content["left_out"]["fields"] > 0
        assert "Left out, because" in text_of(result)
    shown = everything(result)
    assert leaks(shown, IDENTITY_CANARIES) == set()
    if personal_data == "masked":
        assert leaks(shown, CONTACT) == set()


BESIDE = {"build_deep_link": {"list_inventory"}, "quote_payments": {"list_inventory"}}
"""The reads beside a tool's own answer. They only say the stock, so nothing that is left out of them is told."""


def _draw_place(data: st.DataObject, tool: str) -> tuple[str, Place]:
    choices = [
        (operation, place)
        for operation, document in ANSWERS[tool].items()
        if not isinstance(document, str) and operation not in BESIDE.get(tool, ())
        for place in lenient_places(operation, document)
    ]
    return data.draw(st.sampled_from(choices), label="place")


@pytest.mark.parametrize("tool", sorted(CALLS.keys() - {"list_dealers", "cancel_delivery"}))
@settings(max_examples=10)
@given(data=st.data())
async def test_odd_field_opens_no_way_to_another_dealer(
    tool: str, data: st.DataObject, connect: Connect, answers: None
) -> None:
    """The check runs on the raw answer: also an object that is left out must not name another dealer."""
    operation = data.draw(st.sampled_from(sorted(ANSWERS[tool])))
    document = ANSWERS[tool][operation]
    if OPERATIONS[operation].api == "roadie" or isinstance(document, str):
        return  # their answers name no dealer
    objects: list[Place] = [place for place in places(document) if isinstance(_at(document, place), dict)]
    place = data.draw(st.sampled_from([*objects, *([()] if isinstance(document, dict) else [])]))
    foreign = deepcopy(document)
    _at(foreign, place).update({"dpid": FOREIGN, "dealerId": 999, "id": "odd", "vin": None})
    async with connect(upstream=Given({**ANSWERS[tool], operation: foreign})) as client:
        result = await client.call_tool(tool, CALLS[tool])
    assert kind_of(result) in ("upstream", "outcome_unknown")
    assert FOREIGN not in everything(result)


def _at(document: Any, place: Place) -> Any:
    for part in place:
        document = document[part]
    return document


IDENTITIES = {
    "list_inventory": ("vehicles", "vin"),
    "list_protection_plans": ("plans", "id"),
    "list_templates": (None, "id"),
    "list_documents": (None, "id"),
}


@pytest.mark.parametrize("identity", [None, "", [], {}], ids=str)
@pytest.mark.parametrize("tool", IDENTITIES)
async def test_row_without_its_identity_leaves_the_others(
    tool: str, identity: Any, connect: Connect, answers: None
) -> None:
    ((operation, document),) = deepcopy(ANSWERS[tool]).items()
    name, key = IDENTITIES[tool]
    rows = document if name is None else document[name]
    rows[3:] = [rows[0] | {key: "12345678901234567" if key == "vin" else "17"}]
    if tool == "list_inventory":
        document["total"] = len(rows)
    arguments = {**CALLS[tool], **({"detail": "brief", "limit": 100} if tool == "list_inventory" else {})}
    async with connect(upstream=Given({operation: document})) as client:
        sound = answer_of(await client.call_tool(tool, arguments))
    rows[0] = rows[0] | {key: identity}
    if tool == "list_inventory":
        document["total"] = len(rows) - 1  # so that the search ends with this page
    async with connect(upstream=Given({operation: document})) as client:
        content = answer_of(await client.call_tool(tool, arguments))
    assert _rows_of(content) == _rows_of(sound)[1:]
    assert content["left_out"] == {"rows": 1, "fields": 0, "paths": [f"{name}.*" if name else "*"]}


PAGED = {name for name, tool in TOOLS.items() if "next_cursor" in tool.output_schema["properties"]}
"""The tools that list or search."""


def test_lists_with_their_identities_are_all_there_are() -> None:
    assert IDENTITIES.keys() | {"list_dealers"} == PAGED - LOCAL


@pytest.mark.parametrize("tool", sorted(PAGED - LOCAL))
@pytest.mark.parametrize("is_list", [True, False], ids=["rows", "list"])
async def test_list_that_cannot_be_read_is_not_called_empty(
    is_list: bool, tool: str, connect: Connect, answers: None
) -> None:
    """The answer has no row, and says that what the caller looks for may be among those that were left out."""
    ((operation, document),) = deepcopy(ANSWERS[tool]).items()
    name, _ = IDENTITIES.get(tool, (None, "dpid"))
    rows = [{"odd": True}, "odd"]
    odd = rows if name is None else {**document, name: rows if is_list else "odd"}
    async with connect(upstream=Given({operation: odd})) as client:
        result = await client.call_tool(tool, CALLS[tool])
    if tool == "list_inventory" and not is_list:
        assert kind_of(result) == "upstream", "a feed without a list has no end"
        return
    content = answer_of(result)
    assert _rows_of(content) == []
    assert re.search("could not be read, so .* may be among", content["hint"])
    assert content["hint"] in text_of(result)


def _rows_of(content: dict[str, Any]) -> list[Any]:
    (rows,) = (value for value in content.values() if isinstance(value, list))
    return rows


async def test_nameless_dealer_of_another_caller_does_not_matter(connect: Connect, world: World) -> None:
    rows = [{"dpid": "umazda", "name": "University Mazda"}, {"dpid": "closedstore", "name": None}, {"name": 7}, "odd"]
    async with connect(upstream=Answering(world, lambda _request: rows), dealers=["umazda"]) as client:
        content = answer_of(await client.call_tool("list_dealers"))
    assert content == {"dealers": [{"dpid": "umazda", "name": "University Mazda"}], "truncated": False}


async def test_write_with_an_odd_field_is_done_and_its_replay_says_the_same(connect: Connect, world: World) -> None:
    answer = {"status": [], "customer": {"id": 1650260, "redirect_url": "javascript:1"}, "duplicate": None}
    arguments = {"dealer": "umazda", "customer": STEVE, "idempotency_key": "one-customer"}
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        first = await client.call_tool("create_customer", arguments)
        replay = await client.call_tool("create_customer", arguments)
    assert answer_of(first) == {
        "customer_id": 1650260,
        "notices": ["duplicate: could not be read, so the customer may have been there before."],
        "left_out": {"rows": 0, "fields": 2, "paths": ["status", "customer.redirect_url"]},
    }
    assert answer_of(replay) == {**answer_of(first), "replayed": True}
    assert text_of(replay).endswith(
        "Left out, because the upstream sent it in an unknown form: 2 fields (status, customer.redirect_url)"
    )


async def test_resource_says_what_was_left_out(connect: Connect, world: World) -> None:
    answer = {"vehicle_info": {"make": "Mazda", "year": "new"}}
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        (contents,) = (await client.read_resource(f"roadster://umazda/vehicles/{SOME_VIN}")).contents
    assert json.loads(contents.text) == {  # type: ignore[union-attr]
        "vin": SOME_VIN,
        "make": "Mazda",
        "left_out": {"rows": 0, "fields": 1, "paths": ["vehicle_info.year"]},
    }


async def test_log_names_operation_and_path_and_no_value(
    connect: Connect, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    answer = {
        "vehicles": [{"vin": SOME_VIN, "price": "Zebulon", "colour": "Zebulon"}, {"vin": ["Zebulon"]}],
        "total": 1,
    }
    async with connect(upstream=Answering(world, lambda _request: answer)) as client:
        answer_of(await client.call_tool("list_inventory", {"dealer": "umazda"}))
    lines = [record for record in caplog.records if record.getMessage() == "left out of an answer"]
    assert [(line.operation, line.path, line.is_row, line.count) for line in lines] == [  # type: ignore[attr-defined]
        ("list_inventory", "vehicles.*.price", False, 1),
        ("list_inventory", "vehicles.*", True, 1),
    ]
    assert "Zebulon" not in str([vars(record) for record in caplog.records])


def test_places_have_paths() -> None:
    assert [path_of(place) for place in places({"a": [{"b": 1}, {"c": 2}]})] == ["a", "a.*", "a.*.b"]
