"""Numbers as hosts, models and people write them: floats, amounts, numbers for texts, digits of other scripts."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_client.models.values import MOST_AMOUNT
from roadster_tools import TOOLS, Tool
from tests.conftest import Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN, STEVE, TOOL_EXAMPLES, every_call
from tests.tools.argument_places import bare, every_tool, places, plain_arguments, problems, results
from tests.tools.deliveries import NEW_DELIVERY
from tests.tools.umazda import AT_UMAZDA

pytestmark = pytest.mark.anyio


PERSON_NAME = re.compile(r"\w+ (customer\.)?(first|last)_name|\w+ .*contact\.name|search_customers name")


@every_tool
def test_whole_number_as_a_float_is_the_number(tool: Tool) -> None:
    for place in places(tool.arguments):
        for number in (0, 7, -7, 1650260, 2**53 - 1):
            plain = plain_arguments(place.arguments(float(number)), tool.arguments)
            assert json.dumps(plain) == json.dumps(plain_arguments(place.arguments(number), tool.arguments)), str(place)
        if place.expected is int:
            assert str(place) in problems(tool, place.arguments(1.5))
            assert str(place) in problems(tool, place.arguments(1e300))


@every_tool
def test_every_number_has_bounds(tool: Tool) -> None:
    """An id is a number that every JSON reader keeps exact. Any other number is plausible."""
    for place in places(tool.arguments):
        is_list = place.is_container and not place.is_object and bare(get_args(place.expected)[0]) in (int, float)
        if place.expected not in (int, float) and not is_list:
            continue
        at = f"{place}.0" if is_list else str(place)
        is_id = re.search(r"(^|_)ids?$", str(place.steps[-1])) is not None
        for number in (-1, 2**53 if is_id else MOST_AMOUNT + 1):
            assert at in problems(tool, place.arguments([number] if is_list else number)), (at, number)


async def test_absurd_amount_of_a_quote_is_refused_and_not_sent(connect: Connect, world: World) -> None:
    absurd = {"customer_cash": 1e300, "trade_in": {"value": 1e300, "payoff": 2e7, "mileage": 10**12}}
    async with connect() as client:
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": SOME_VIN, **absurd})
    for place in ("customer_cash", "trade_in.value", "trade_in.payoff", "trade_in.mileage"):
        assert f"{place}: must be at most 10000000" in text_of(result)
    assert await world.requests() == []


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


# --- numbers as people write them ----------------------------------------------------------------

WRITTEN = {
    "$35,000": 35_000,
    "35,000": 35_000,
    "$35000": 35_000,
    " $1,234,567 ": 1_234_567,
    "35,000.00": 35_000,
    "$0": 0,
    "-1,500": -1_500,
}
AMBIGUOUS = [
    "35.000,00",
    "35,00",
    "1,5",
    "35k",
    "35000 USD",
    "3,5000",
    "$",
    "\u20ac35,000",
    "about 35,000",
    "35,000-40,000",
]


@every_tool
def test_amount_with_dollar_sign_or_commas_is_the_number(tool: Tool) -> None:
    """It is not so for an id: what identifies something has one spelling. Only the blanks around it go."""
    for place in places(tool.arguments):
        if place.expected not in (int, float):
            continue
        for text, number in WRITTEN.items():
            plain = plain_arguments(place.arguments(text), tool.arguments)
            is_id = place.steps[-1] in {"id", "customer_id", "document_id", "delivery_id"}
            expected = place.arguments(text.strip() if is_id else number)
            assert json.dumps(plain) == json.dumps(expected), (str(place), text)
        for text in AMBIGUOUS:
            assert str(place) in problems(tool, place.arguments(text)), (str(place), text)


async def test_amount_that_can_be_read_in_two_ways_is_refused_with_the_right_form(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        for text in AMBIGUOUS:
            result = await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": text})
            assert "price_max: expected a number in plain digits, for instance 35000" in text_of(result)
        assert await world.requests() == []
        counts = [
            len(answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": price}))["vehicles"])
            for price in ("$35,000", 35_000)
        ]
    assert counts[0] == counts[1] > 0


NO_NUMBERS = [
    "1_000",
    "1_0",
    "3_5_0_0",
    "1_0.5",
    "1_0e1",
    "0x10",
    "0b1",
    "inf",
    "Infinity",
    "-Infinity",
    "nan",
    "1e999",
    "1'000",
]


@every_tool
def test_number_in_the_form_of_a_program_is_refused(tool: Tool) -> None:
    """Also where it stands in a list, and where an id is a number."""
    for place in places(tool.arguments):
        if place.expected in (int, float):
            for text in NO_NUMBERS:
                assert str(place) in problems(tool, place.arguments(text)), (str(place), text)


@every_tool
@given(st.from_regex(r"[ -]?[0-9]{1,4}(_[0-9]{1,3}){1,3}(\.[0-9]{1,2})?", fullmatch=True))
def test_digits_with_underscores_are_never_a_number(tool: Tool, text: str) -> None:
    for place in places(tool.arguments):
        if place.expected in (int, float):
            assert str(place) in problems(tool, place.arguments(text)), (str(place), text)


@given(st.integers(-(2**53) + 1, 2**53 - 1), st.sampled_from(["", "$"]))
def test_every_written_whole_number_is_read_exactly(number: int, sign: str) -> None:
    text = f"{'-' if number < 0 else ''}{sign}{abs(number):,}"
    plain = plain_arguments({"customer_cash": text}, TOOLS["quote_payments"].arguments)["customer_cash"]
    assert plain == number or (not set("$,") & set(text) and plain == text)


# --- numbers for texts ----------------------------------------------------------------------------


@every_tool
def test_whole_number_for_a_text_is_its_digits(tool: Tool) -> None:
    """It is not so for a dealer, which is spelled exactly as in the configuration, and for the name of a person."""
    for place in places(tool.arguments):
        if place.expected is str:
            for number in (67, 5_551_234_567, 67.0, 2**53 - 1):
                plain = plain_arguments(place.arguments(number), tool.arguments)
                is_name = place.steps == ("dealer",) or PERSON_NAME.fullmatch(f"{tool.name} {place}")
                expected = int(number) if is_name else str(int(number))
                assert plain == place.arguments(expected), str(place)
            for other in (1.5, True, [67]):
                assert str(place) in problems(tool, place.arguments(other)), (str(place), other)


@every_tool
def test_zero_for_a_text_is_no_text(tool: Tool) -> None:
    """Hosts fill it in for an argument that nobody gave. It counts as left out, or the required text is missing."""
    for place in places(tool.arguments):
        if place.expected is str or get_origin(place.expected) is Literal:
            for zero in (0, 0.0, -0.0):
                if place.is_optional:
                    plain = plain_arguments(place.arguments(zero), tool.arguments)
                    assert plain == plain_arguments(place.arguments(), tool.arguments), str(place)
                else:
                    assert str(place) in problems(tool, place.arguments(zero)), str(place)


@pytest.mark.parametrize("phone", ["0", 1, "555-123", "+1 555"])
async def test_phone_of_few_digits_is_refused(phone: Any, connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, "phone": phone}})
    assert "customer.phone: expected a telephone number, which has at least 7 digits" in text_of(result)
    assert await world.requests() == []


async def test_trade_valuation_of_zero_is_refused(connect: Connect, world: World) -> None:
    offer = {"email": STEVE["email"], "vin": SOME_VIN, "value": 0}
    async with connect() as client:
        result = await client.call_tool("submit_trade_valuation", {**AT_UMAZDA, **offer})
    assert "value: must be above 0" in text_of(result)
    assert await world.requests() == []


@every_tool
def test_dot_before_three_digits_is_refused_as_ambiguous(tool: Tool) -> None:
    for place in places(tool.arguments):
        if place.expected in (int, float) and not str(place).endswith(("_percent", "_id")):
            for text in ("35.000", "$1.250", " 7.500 ", "-35.000"):
                assert str(place) in problems(tool, place.arguments(text)), (str(place), text)
            if place.expected is float:
                assert plain_arguments(place.arguments("0.125"), tool.arguments) == place.arguments("0.125")


async def test_ambiguous_amount_is_refused_with_the_right_form(connect: Connect, world: World) -> None:
    async with connect() as client:
        result = await client.call_tool("list_inventory", {**AT_UMAZDA, "price_max": "35.000"})
    assert "price_max: expected a number in plain digits, for instance 35000" in text_of(result)
    assert await world.requests() == []


async def test_stock_number_and_phone_may_be_numbers(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "stock_number": 67}))
        answer_of(await client.call_tool("create_customer", {**AT_UMAZDA, "customer": {**STEVE, "phone": 5551234567}}))
    assert (await world.requests())[-1]["body"]["customer"]["phone"] == "5551234567"


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
