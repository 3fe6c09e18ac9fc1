"""Telephone numbers, email addresses, names and VINs as people paste them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect, World, answer_of, text_of
from tests.tool_examples import SOME_VIN, STEVE, TOOL_EXAMPLES
from tests.tools.deliveries import delivery_with
from tests.tools.umazda import AT_UMAZDA, last_request

pytestmark = pytest.mark.anyio

PASTED_PHONES = [
    "415\u2011555\u20110123",
    "415\u2013555\u20140123",
    "\u202a+1 (415) 555-0123\u202c",
    "415\xa0555\xa00123",
    " 415\u2009555\u22120123\n",
    "\u200e4155550123",
    "tel:+1-415-555-0123",
    " TEL: (415) 555-0123",
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


@pytest.mark.parametrize("pasted", [" {} ", "\t{}\n", "\u200b{}\u202c", "\xa0{}\u2009", "  {}"])
async def test_vin_loses_only_what_is_around_it(pasted: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": pasted.format(SOME_VIN)}))
        sent = await last_request(world, "quote_payments")
        result = await client.call_tool("quote_payments", {**AT_UMAZDA, "vin": f"{SOME_VIN[:8]} {SOME_VIN[8:]}"})
    assert sent["body"]["vehicle"]["vin"] == SOME_VIN
    assert "vin: expected 17 letters and digits" in text_of(result)
