"""Arguments as hosts and models write them: blanks, whole numbers as floats, JSON as text, digits of other scripts.

The rules hold for each argument of each tool at each depth, so the tests take the places from the tools' own models.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from roadster_server.store import open_store
from roadster_tools import TOOLS, Tool, read_arguments
from tests.conftest import Connect, World, answer_of, kind_of, own_delivery, text_of
from tests.tool_examples import SOME_VIN, STEVE, TOOL_EXAMPLES, every_call
from tests.tools.deliveries import NEW_DELIVERY, delivery_with
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio

BLANKS = ["", " ", "\t\n\xa0", "\u200b\u2060\ufeff", "\u3164\u202a", None]
every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


@dataclass(frozen=True)
class Place:
    """One argument, or one field of an object in an argument. A step of 0 is the first item of a list."""

    steps: tuple[str | int, ...]
    expected: Any
    is_optional: bool

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))

    @property
    def is_container(self) -> bool:
        return self.is_object or get_origin(self.expected) in (list, tuple)

    @property
    def is_object(self) -> bool:
        return isinstance(self.expected, type) and issubclass(self.expected, BaseModel)

    def arguments(self, value: Any = ..., **beside: Any) -> dict[str, Any]:
        """Returns arguments with this value at the place, and with nothing else except what stands `beside` it."""
        node = beside if value is ... else {self.steps[-1]: value, **beside}
        for step in reversed(self.steps[:-1]):
            node = [node] if step == 0 else {step: node}
        return node


def places(model: type[BaseModel], above: tuple[str | int, ...] = ()) -> Iterator[Place]:
    for name, field in model.model_fields.items():
        place = Place((*above, name), bare(field.annotation), not field.is_required())
        yield place
        if place.is_object:
            yield from places(place.expected, place.steps)
        elif place.is_container:
            item = bare(get_args(place.expected)[0])
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield from places(item, (*place.steps, 0))


def bare(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return bare(members[0]) if len(members) == 1 else annotation
    return annotation


def problems(tool: Tool, arguments: dict[str, Any]) -> set[str]:
    """Returns the places of the arguments that the tool refuses."""
    try:
        tool.arguments.model_validate(read_arguments(arguments, tool.arguments))
    except ValidationError as error:
        return {".".join(map(str, details["loc"])) for details in error.errors()}
    return set()


async def results(connect: Connect, store_url: str, world: World, tool: str, *calls: dict[str, Any]) -> list[Any]:
    """Returns the requests and the failures of each call."""
    await own_delivery(store_url)
    results = []
    async with connect(personal_data="contact") as client:
        answer_of(await client.call_tool("create_customer", every_call("umazda")["create_customer"]))
        for arguments in calls:
            before = len(await world.requests())
            result = await client.call_tool(tool, arguments)
            requests = [{**request, "n": None} for request in (await world.requests())[before:]]
            results.append((requests, kind_of(result), text_of(result) if result.is_error else None))
    return results


# --- blanks -------------------------------------------------------------------------------------


@every_tool
def test_blank_optional_argument_is_left_out(tool: Tool) -> None:
    for place in places(tool.arguments):
        empty = [[], {}, [""], [None, " "]] if place.is_container and not place.is_object else [[], {}]
        for blank in [*BLANKS, *empty] if place.is_optional else BLANKS:
            plain = read_arguments(place.arguments(blank), tool.arguments)
            assert plain == read_arguments(place.arguments(), tool.arguments), (str(place), blank)


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
async def test_blanks_in_every_optional_argument_change_nothing(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    """Not at any depth. The requests are those of the call without the blanks."""
    plain = every_call("umazda")[tool]
    fill = [fill_blanks(TOOLS[tool].arguments, plain, blank) for blank in ("", "\u200b ", None)]
    first, *others = await results(connect, store_url, world, tool, plain, *fill)
    assert first[1] in (None, "not_found")
    assert others == [first] * len(fill)


def fill_blanks(model: type[BaseModel], given: Any, blank: Any) -> Any:
    """Returns `given` with a blank in each field that it does not have."""
    filled = copy.deepcopy(given)
    for place in places(model):
        node = filled
        for step in place.steps[:-1]:
            node = node[step] if step == 0 or (isinstance(node, dict) and step in node) else None
            if node in (None, blank):
                break
        else:
            node.setdefault(place.steps[-1], blank)
    return filled


@every_tool
async def test_blank_required_argument_is_an_error_that_names_it(tool: Tool, connect: Connect, world: World) -> None:
    """An optional object in which every field is blank is left out itself, so another field stands beside this one."""
    async with connect() as client:
        for place in places(tool.arguments):
            for blank in () if place.is_optional else BLANKS:
                result = await client.call_tool(tool.name, {**AT_UMAZDA, **place.arguments(blank, other=1)})
                assert kind_of(result) == "invalid_arguments"
                assert f"{place}: is missing" in text_of(result)
    assert await world.requests() == []


async def test_blank_and_absent_are_the_same_write_and_the_same_record(
    connect: Connect, world: World, store_url: str
) -> None:
    customer = {name: value for name, value in STEVE.items() if name != "phone"}
    call = {**AT_UMAZDA, "idempotency_key": "order-4711"}
    forms = [
        {**call, "customer": customer},
        {**call, "customer": {**customer, "phone": ""}, "plans": [], "vehicle": {"vin": " "}, "utm_source": "\u200b"},
        {**call, "customer": json.dumps({**customer, "phone": None})},
    ]
    async with connect() as client:
        first, *others = [answer_of(await client.call_tool("create_customer", arguments)) for arguments in forms]
    assert others == [{**first, "replayed": True}] * 2
    assert [request["operation"] for request in await world.requests()] == ["create_customer"]
    async with open_store(store_url) as store:
        records = [row.record.arguments async for row in store.records() if row.record.phase == "ended"]
    assert records == [records[0]] * 3


async def test_empty_list_that_is_required_keeps_its_meaning(connect: Connect, world: World) -> None:
    """A page of a template may have no fields, and the upstream is told so."""
    arguments = every_call("umazda")["create_template"]
    async with connect() as client:
        answer_of(
            await client.call_tool("create_template", {**arguments, "form_definition": {"pages": [{"fields": []}]}})
        )
    assert (await world.requests())[-1]["body"]["form_data"]["form_definition"] == {"pages": [{"fields": []}]}


async def test_blank_items_of_a_required_list_are_errors(connect: Connect, world: World) -> None:
    async with connect() as client:
        arguments = {**every_call("umazda")["create_forms"], "template_ids": ["", "278"]}
        assert "template_ids.0: " in text_of(await client.call_tool("create_forms", arguments))
    assert await world.requests() == []


@pytest.mark.parametrize("argument", ["price_max", "limit", "year_min", "year_max", "customer_id"])
async def test_bound_that_excludes_everything_is_an_error_with_the_way_out(
    argument: str, connect: Connect, world: World
) -> None:
    tool = "list_customer_events" if argument == "customer_id" else "list_inventory"
    async with connect() as client:
        result = await client.call_tool(tool, {**AT_UMAZDA, argument: 0})
    assert kind_of(result) == "invalid_arguments"
    assert f"{argument}: must be " in text_of(result)
    assert ", or left out" in text_of(result)
    assert await world.requests() == []


# --- whole numbers ------------------------------------------------------------------------------


@every_tool
def test_whole_number_as_a_float_is_the_number(tool: Tool) -> None:
    for place in places(tool.arguments):
        for number in (0, 7, -7, 1650260, 2**53 - 1):
            plain = read_arguments(place.arguments(float(number)), tool.arguments)
            assert json.dumps(plain) == json.dumps(read_arguments(place.arguments(number), tool.arguments)), str(place)
        if place.expected is int:
            assert str(place) in problems(tool, place.arguments(1.5))
            assert str(place) in problems(tool, place.arguments(1e300))


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
async def test_numbers_and_numeric_ids_of_every_example_may_be_floats(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    plain = every_call("umazda")[tool]
    first, second = await results(connect, store_url, world, tool, plain, as_floats(plain))
    assert second == first
    assert first[1] in (None, "not_found")


def as_floats(node: Any, name: str = "") -> Any:
    """Returns the arguments with each integer, and each id that is a text of digits, as a float."""
    if isinstance(node, dict):
        return {key: as_floats(value, key) for key, value in node.items()}
    if isinstance(node, list):
        return [as_floats(item, name) for item in node]
    is_id = name in {"template_id", "template_ids", "order_id"}
    return float(node) if is_id or type(node) is int else node


@pytest.mark.parametrize("agent", [17, 17.0, "17"])
async def test_agent_id_may_be_a_number(agent: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        customer = answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": STEVE}))["customer_id"]
        call = {**AT_UMAZDA, "customer_id": customer}
        answer_of(await client.call_tool("assign_agent", {**call, "agent": {"id": agent}}))
        assert (await world.requests())[-1]["body"]["agent"] == {"id": "17"}
        for wrong in (1.5, True, [17]):
            result = await client.call_tool("assign_agent", {**call, "agent": {"id": wrong}})
            assert "agent.id: expected" in text_of(result)


# --- JSON as text -------------------------------------------------------------------------------


@every_tool
def test_object_or_list_as_json_text_is_read(tool: Tool) -> None:
    for place in places(tool.arguments):
        for value in ({}, {"unknown": [1, "x", None]}, [], [{"unknown": True}], ["x"], [7]):
            text = place.arguments(f"\n{json.dumps(value)} ")
            plain = read_arguments(text, tool.arguments)
            if place.is_container and isinstance(value, dict) is place.is_object:
                assert plain == read_arguments(place.arguments(value), tool.arguments), str(place)
            else:
                assert plain == text, str(place)


@pytest.mark.parametrize("tool", TOOL_EXAMPLES)
async def test_objects_and_lists_of_every_example_may_be_json_text(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    """At every depth at once: a text in a text."""
    plain = every_call("umazda")[tool]
    first, second = await results(connect, store_url, world, tool, plain, {k: as_text(v) for k, v in plain.items()})
    assert second == first
    assert first[1] in (None, "not_found")


def as_text(node: Any) -> Any:
    if isinstance(node, dict):
        return json.dumps({key: as_text(value) for key, value in node.items()})
    return json.dumps([as_text(item) for item in node]) if isinstance(node, list) else node


@pytest.mark.parametrize(
    "text",
    [
        '{"first_name": "Ann", "first_name": "Bo", "last_name": "Lee", "email": "ann@example.com"}',
        "{'first_name': 'Ann'}",
        '{"first_name": "Ann",}',
        '{"first_name": NaN}',
        '{"a": ' * 100_000,
        '{"a": ' * 201 + "1" + "}" * 201,
        '"{}"',
        "[]",
        "Ann Lee",
        "{\ud83d}",
    ],
    ids=range(10),
)
async def test_text_that_is_no_strict_json_object_is_refused(text: str, connect: Connect, world: World) -> None:
    tool = TOOLS["create_customer"]
    assert problems(tool, {"customer": text}) == {"customer"}
    if text.isascii():
        async with connect() as client:
            result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": text})
        assert kind_of(result) == "invalid_arguments"
        assert "customer: " in text_of(result)
    assert await world.requests() == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", " ", "[]", "{}", "[{}]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from(list(TOOLS.values())), st.data())
def test_reading_never_fails_and_reads_its_own_result_as_it_is(tool: Tool, data: st.DataObject) -> None:
    names = st.sampled_from([*tool.arguments.model_fields, "unknown"])
    inner = {name: st.text() for place in places(tool.arguments) for name in map(str, place.steps)}
    values = JSON | st.dictionaries(st.sampled_from(list(inner) or ["x"]), JSON, max_size=4)
    plain = read_arguments(data.draw(st.dictionaries(names, values, max_size=5)), tool.arguments)
    assert repr(read_arguments(plain, tool.arguments)) == repr(plain)


# --- digits of other scripts --------------------------------------------------------------------

OTHER_DIGITS = ["٣", "३", "３", "𝟑", "③", "³"]


@every_tool
def test_digits_of_other_scripts_are_refused_wherever_free_text_is(tool: Tool) -> None:
    """An argument that takes no ordinary words has a form, and these digits are not part of any form."""
    for place in places(tool.arguments):
        if str(place) in problems(tool, place.arguments("some words")) and not place.is_container:
            for digit in OTHER_DIGITS:
                for length in range(1, 33):
                    text = digit * length
                    assert str(place) in problems(tool, place.arguments(text)), (str(place), text)


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("zip_code", {"tool": "quote_payments", "vin": SOME_VIN, "zip_code": "98052"}),
    ("vin", {"tool": "quote_payments", "vin": SOME_VIN}),
    ("term_months", {"tool": "quote_payments", "vin": SOME_VIN, "term_months": "60"}),
    ("customer_cash", {"tool": "quote_payments", "vin": SOME_VIN, "customer_cash": "1500.5"}),
    ("since", {"tool": "list_customer_events", "since": "2026-01-31T09:00:00Z"}),
    ("customer_id", {"tool": "list_documents", "customer_id": "1650260"}),
    ("template_id", {"tool": "get_template", "template_id": "278"}),
    ("order_id", {"tool": "create_forms", **TOOL_EXAMPLES["create_forms"].arguments}),
    ("email", {"tool": "submit_trade_valuation", "vin": SOME_VIN, "value": 1, "email": "user3@example.com"}),
    ("pickup_after", {"tool": "create_delivery", **NEW_DELIVERY}),
    ("idempotency_key", {"tool": "create_customer", "customer": STEVE, "idempotency_key": "order-4711"}),
]


@pytest.mark.parametrize(("name", "call"), FORMS, ids=[name for name, _ in FORMS])
def test_one_digit_of_another_script_is_refused(name: str, call: dict[str, Any]) -> None:
    tool = TOOLS[call["tool"]]
    arguments = {key: value for key, value in call.items() if key != "tool"}
    assert problems(tool, arguments) == set()
    digits = [at for at, character in enumerate(arguments[name]) if character.isdigit()]
    for at in digits:
        for digit in OTHER_DIGITS:
            text = arguments[name][:at] + digit + arguments[name][at + 1 :]
            assert problems(tool, {**arguments, name: text}) == {name}


# --- pasted texts -------------------------------------------------------------------------------

PASTED_PHONES = [
    "415\u2011555\u20110123",
    "415\u2013555\u20140123",
    "\u202a+1 (415) 555-0123\u202c",
    "415\xa0555\xa00123",
    " 415\u2009555\u22120123\n",
    "\u200e4155550123",
]


@pytest.mark.parametrize("phone", PASTED_PHONES)
async def test_pasted_phone_is_the_plain_number(phone: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", delivery_with("delivery_location.contact.phone", phone)))
        assert (await world.requests())[-1]["body"]["delivery_location"]["contact"]["phone"] == "4155550123"
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, "phone": phone}}))
    number = (await world.requests())[-1]["body"]["customer"]["phone"]
    assert number.isascii()
    assert number.isprintable()
    assert "".join(filter(str.isdigit, number)).endswith("4155550123")


@pytest.mark.parametrize("phone", ["unknown", "-", "415555012٣", "٤١٥٥٥٥٠١٢٣"])
async def test_phone_without_plain_digits_is_refused(phone: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, "phone": phone}})
    assert "customer.phone: expected a telephone number in the digits 0 to 9" in text_of(result)
    assert await world.requests() == []


NO_EMAILS = [
    "user@.com",
    "user@com",
    "user@example.",
    "user@example..com",
    "user@-example.com",
    "user@example.c",
    "user@127.0.0.1",
    ".user@example.com",
    "@example.com",
    "us er@example.com",
    "user@example.com, other@example.com",
    "Ann <user@example.com>",
    "mailto:user@example.com",
    "us\u200ber@example.com",
    "user\u202e@example.com",
    f"{'u' * 65}@example.com",
    f"user@{'e' * 250}.com",
]
EMAILS = [
    "o'brien+cars@mail.example.co.uk",
    "first.last@example-dealer.com",
    "a_b-c&d@1st.example",
    "a..b.@docomo.example.jp",
    "jürgen@müller.example",
    "用户@例子.公司",
    "ann@xn--mller-kva.xn--p1ai",
]


@pytest.mark.parametrize("email", NO_EMAILS)
async def test_text_that_is_no_email_is_refused_everywhere(email: str, connect: Connect, world: World) -> None:
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "customer.email": ("create_customer", {"customer": {**STEVE, "email": email}}),
        "agent.email": ("assign_agent", {"customer_id": 1, "agent": {"email": email}}),
        "email": ("submit_trade_valuation", {"email": email, "vin": SOME_VIN, "value": 1}),
        "co_app_email_id": (
            "upload_document",
            {
                **TOOL_EXAMPLES["upload_document"].arguments,
                "relationship": "co_app",
                "co_app_email_id": email,
            },
        ),
    }
    async with connect() as client:
        for place, (tool, arguments) in calls.items():
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert f"{place}: expected an email address" in text_of(result)
    assert await world.requests() == []


@pytest.mark.parametrize("email", EMAILS)
async def test_email_of_a_real_person_is_sent_as_it_is(email: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        for pasted in (email, f" {email}\u202c\n"):
            answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, "email": pasted}}))
            assert (await world.requests())[-1]["body"]["customer"]["email"] == email


async def test_name_loses_only_what_is_around_it(connect: Connect, world: World) -> None:
    """A joiner inside a name belongs to it."""
    async with connect() as client:
        names = {"first_name": "\u202a Ann\xa0", "last_name": "Lee\u200dSmith "}
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, **names}}))
    customer = (await world.requests())[-1]["body"]["customer"]
    assert (customer["first_name"], customer["last_name"]) == ("Ann", "Lee\u200dSmith")


def test_large_json_text_is_refused_as_text_and_not_read() -> None:
    """Reading four megabytes would hold up all other calls for seconds. Many small texts in one call are as large."""
    large = "[" + "[]," * 30_000 + "[]]"
    plain = read_arguments({"items": large}, TOOLS["create_delivery"].arguments)
    assert plain["items"] == large
    texts = ["[" + "0," * 2_000 + "0]"] * 100
    many = read_arguments({"items": texts}, TOOLS["create_delivery"].arguments)
    assert many["items"][-1] == texts[-1]
