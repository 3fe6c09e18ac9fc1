"""The masks over a customer's record at myKaarma: contact data for masked callers, identity numbers for all."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Connect, World, answer_of, text_of
from tests.tools.crm import ASKED, VEHICLE, record, record_of_text, upstream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        *("206-555-0171", "2065550171", "5550171", "2065550171 ask for Carlos", "carlos@example.com"),
        *("2020-01-01 4155551234", "2061231112", "2020-13-45", "01/01/2020 4155551234", "RO2065550171", "98105-1234"),
    ],
)
async def test_record_masks_contact_numbers_in_every_field(
    text: str, older: bool, connect: Connect, world: World
) -> None:
    """The number may stand among the vehicles, or instead of a date or an order's number."""
    answer = {**record_of_text(text), **({"addressListV2": []} if older else {})}
    async with connect(upstream=upstream(world, answer)) as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    assert text not in text_of(result) + json.dumps(answer_of(result))


async def test_record_masks_other_text_among_vehicles(connect: Connect, world: World) -> None:
    """A masked caller reads values that look like a vehicle's. A caller with contact data reads all of them."""
    free = {"year": "ask Carlos", "make": None, "model": "call 415-555-1234", "trim": "x" * 61, "vin": "Carlos Silva"}
    answer = record()
    in_small_letters = {**VEHICLE, "vin": VEHICLE["vin"].lower()}
    answer["customerInfo"]["vehicles"] = [in_small_letters, free]
    async with connect(upstream=upstream(world, answer)) as client:
        masked_vehicles = answer_of(await client.call_tool("get_crm_customer", ASKED))["vehicles"]
    async with connect(upstream=upstream(world, answer), personal_data="contact") as client:
        vehicles = answer_of(await client.call_tool("get_crm_customer", ASKED))["vehicles"]
    assert masked_vehicles == [VEHICLE, dict.fromkeys(("year", "model", "trim", "vin"), "***")]
    assert vehicles == [VEHICLE, {name: value for name, value in free.items() if value}]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("text", ["Carlos Silva", "Carlos", "CARLOS_SILVA", "CARLOS"])
async def test_record_masks_free_text_in_every_field(text: str, older: bool, connect: Connect, world: World) -> None:
    """A masked caller sees only types and statuses that are known words."""
    answer = {**record_of_text(text), **({"addressListV2": []} if older else {})}
    answer["customerInfo"]["vehicles"] = [VEHICLE]
    async with connect(upstream=upstream(world, answer)) as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    assert text not in text_of(result) + json.dumps(answer_of(result))


@pytest.mark.parametrize(
    "text",
    ["SSN 123-45-6789", "SSN123-45-6789", "123 45 6789", "123  45  6789", "123\u201345\u20136789", "123/45/6789"],
)
async def test_record_masks_social_security_numbers_for_all(text: str, connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, record_of_text(text)), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    assert "***" in answer_of(result)["orders"][0]["description"]
    assert "6789" not in text_of(result) + json.dumps(answer_of(result))


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111  1111  1111  1111",
        "card 4111/1111/1111/1111",  # without the word, slashes divide the prices of a list
        "4111_1111_1111_1111",
        "card 4111, 1111, 1111, 1111",
        "4111 - 1111 - 1111 - 1111",
        "4111\u20131111\u20131111\u20131111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "paid with 4111 1111 1111 1111 12/27",
        "4111-1111-1111-1111 123",
        "Visa4111111111111111",
        "x" * 495 + " 4111111111111111",
        "378282246310005",
    ],
)
async def test_record_masks_card_numbers_for_all(text: str, connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, record_of_text(text)), personal_data="contact") as client:
        result = await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"})
    assert answer_of(result)["orders"][0]["description"].count("***") == 1 or "…" in text_of(result)
    assert not re.search(r"4111|3782|4 1 1", text_of(result))


@pytest.mark.parametrize(
    "text",
    ["4111111111111112", "12345678901234567890123", "206-555-0171", *(f"2024-02-1{day} 09:00:00" for day in range(10))],
)
async def test_record_leaves_other_long_numbers(text: str, connect: Connect, world: World) -> None:
    async with connect(upstream=upstream(world, record_of_text(text)), personal_data="contact") as client:
        answer = answer_of(await client.call_tool("get_crm_customer", {**ASKED, "detail": "full"}))
    assert answer["orders"][0]["description"] == text
