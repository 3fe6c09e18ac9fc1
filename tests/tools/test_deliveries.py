"""Deliveries: created, followed, changed, canceled, and what a person is asked about them."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, get_args, get_origin

import httpx2
import pytest
from mcp_types import ElicitResult

from roadster_client.models import deliveries as models
from roadster_client.models.deliveries import Place
from roadster_sandbox import DEALERS, SandboxTransport
from roadster_server.calls.questions.form import yes_to
from roadster_tools import Access
from tests.conftest import Connect, World, answer_of, kind_of, text_of
from tests.tool_examples import DELIVERY, DELIVERY_ID, RECEIVER
from tests.tools.deliveries import CALLS, NEW_DELIVERY, OWN_DELIVERY, delivery_with
from tests.tools.umazda import AT_UMAZDA, operations

pytestmark = pytest.mark.anyio


@pytest.mark.operation("create_shipment", "create_delivery")
@pytest.mark.operation("get_shipment", "get_delivery")
@pytest.mark.operation("update_shipment", "update_delivery")
async def test_delivery_is_created_followed_and_changed(connect: Connect, world: World) -> None:
    async with connect(personal_data="contact") as client:
        creation = answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        assert (creation["delivery_id"], creation["state"], creation["meaning"]) == (
            DELIVERY_ID,
            "scheduled",
            "waiting for a driver",
        )
        assert creation["reference_id"] == "RO-4711"
        assert creation["price"] > 0
        assert creation["deliver_until"] == "2099-01-31T18:00:00-08:00"
        later = {"start": "2099-02-01T10:00:00-08:00", "end": "2099-02-01T18:00:00-08:00"}
        update = answer_of(await client.call_tool("update_delivery", {**OWN_DELIVERY, "deliver_between": later}))
        assert update["deliver_from"] == later["start"]
        await world.move_delivery("driver_assigned")
        await world.move_delivery("pickup_confirmed")
        delivery = answer_of(await client.call_tool("get_delivery", {**OWN_DELIVERY, "detail": "full"}))
        assert (delivery["state"], delivery["meaning"]) == ("en_route", "picked up, and on the way")
        assert delivery["driver"]["name"]
        assert delivery["tracking_number"]
        assert delivery["details"]["items"][0]["description"] == "Four winter tires"
        assert delivery["details"]["delivery_location"]["contact"] == RECEIVER
        too_late = await client.call_tool("cancel_delivery", OWN_DELIVERY)
        assert kind_of(too_late) == "upstream"
        assert "cannot be changed any more" in text_of(too_late)
        await world.move_delivery("delivery_attempted")
        await world.move_delivery("return_created")
        assert answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))["state"] == "returned"


@pytest.mark.operation("cancel_shipment", "cancel_delivery")
async def test_cancel_delivery_before_the_pickup(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        await world.move_delivery("driver_assigned")
        cancellation = answer_of(await client.call_tool("cancel_delivery", OWN_DELIVERY))
        assert cancellation == {"delivery_id": DELIVERY_ID, "canceled": True}
        delivery = answer_of(await client.call_tool("get_delivery", OWN_DELIVERY))
        assert delivery["state"] == "canceled"
        assert "meaning" not in delivery, "the word says it"


@pytest.mark.parametrize("tool", ["cancel_delivery", "update_delivery"])
async def test_delivery_that_is_over_says_so(tool: str, connect: Connect, world: World) -> None:
    """The text blames no argument: a canceled delivery can be neither canceled again nor changed."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        answer_of(await client.call_tool("cancel_delivery", OWN_DELIVERY))
        more = {"reference_id": "RO-4712"} if tool == "update_delivery" else {}
        text = text_of(await client.call_tool(tool, {**OWN_DELIVERY, **more}))
    assert text.startswith(f"{tool} was refused")
    assert "is delivered, canceled or over, and cannot be changed any more" in text
    assert "get_delivery shows where it is" in text
    assert "Correct the arguments" not in text


async def test_create_delivery_shows_an_unknown_state(connect: Connect, world: World) -> None:
    class Renamed(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await SandboxTransport(world.app).handle_async_request(request)
            content = (await response.aread()).replace(b'"scheduled"', b'"on_hold"')
            return httpx2.Response(200, stream=httpx2.ByteStream(content))

    async with connect(upstream=Renamed()) as client:
        delivery = answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
    assert delivery["state"] == "on_hold"
    assert "meaning" not in delivery


async def test_deliveries_without_their_section_are_off(connect: Connect, world: World) -> None:
    async with connect(change={"roadie": None}) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        for tool, arguments in [("create_delivery", dict(DELIVERY)), *CALLS]:
            result = await client.call_tool(tool, {**AT_UMAZDA, **arguments})
            assert tool not in names
            assert kind_of(result) == "refused"
            assert "[roadie] is not set" in text_of(result)
    assert await operations(world) == []


async def test_create_delivery_sends_the_arguments(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(
            await client.call_tool(
                "create_delivery", delivery_with("delivery_location.contact.phone", "+1 (415) 555-0123")
            )
        )
    (request,) = await world.requests()
    assert request["body"] == {**DELIVERY, "options": {"signature_required": False}}


async def test_create_delivery_derives_a_stable_reference(connect: Connect, world: World) -> None:
    """The delivery that a person confirmed is the one that is sent, also when the client repeats the call."""

    async def agree(_ctx: Any, _params: Any) -> Any:
        return ElicitResult(action="accept", content={"confirm": True})

    arguments = delivery_with("reference_id", ...)
    async with connect(mode="2026-07-28", access={"deliveries": Access.CONFIRM}, ask=agree) as client:
        delivery = answer_of(await client.call_tool("create_delivery", arguments))
    assert re.fullmatch(r"umazda-[0-9a-f]{16}", delivery["reference_id"])
    other = {**arguments, "pickup_after": "2099-01-31T09:30:00-08:00"}
    async with connect() as client:
        assert answer_of(await client.call_tool("create_delivery", other))["reference_id"] != delivery["reference_id"]


async def test_create_delivery_picks_up_at_the_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", delivery_with("pickup_location", ...)))
    lookup, creation = await world.requests()
    assert (lookup["operation"], lookup["dealer"]) == ("get_dealer", "umazda")
    assert creation["body"]["pickup_location"] == {
        "address": {
            "name": "University Mazda",
            "street1": "4701 Roosevelt Way NE",
            "city": "Seattle",
            "state": "WA",
            "zip": "98105",
        },
        "contact": {"name": "University Mazda", "phone": "2065550142"},
    }


@pytest.mark.parametrize(
    ("lacking", "fields"),
    [
        (dict.fromkeys(("address", "city", "state", "zip_code", "phone")), "address, city, state, zip_code, phone"),
        ({"state": "Washington", "phone": "206-555-0142 ext. 3"}, "state, phone"),
        ({"address": " "}, "address"),
    ],
)
async def test_create_delivery_names_what_roadster_lacks(
    lacking: dict[str, Any], fields: str, connect: Connect
) -> None:
    dealer = {**DEALERS[0].to_listing(), **lacking}

    class Lacking(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            assert request.url.path == "/v1/dealers/umazda"
            return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(dealer).encode()))

    async with connect(upstream=Lacking()) as client:
        result = await client.call_tool("create_delivery", delivery_with("pickup_location", ...))
    assert kind_of(result) == "invalid_arguments"
    assert f"pickup_location: is needed: Roadster has no usable {fields} of this dealer" in text_of(result)


async def test_create_delivery_explains_roadies_refusal(connect: Connect, world: World) -> None:
    async with connect() as client:
        unknown = await client.call_tool("create_delivery", delivery_with("delivery_location.address.zip", "00000"))
        unreachable = await client.call_tool("create_delivery", delivery_with("delivery_location.address.state", "HI"))
    assert "delivery_location.address names an address that Roadie does not find" in text_of(unknown)
    assert "delivery_location leaves no route between the two places" in text_of(unreachable)
    assert kind_of(unknown) == kind_of(unreachable) == "upstream"
    assert (await world.get("state"))["shipments"] == []


async def test_get_delivery_masks_people_and_addresses(connect: Connect, world: World) -> None:
    """Driver, contacts, addresses and notes are masked. The rest still says where the delivery is."""
    async with connect() as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        await world.move_delivery("driver_assigned")
        masked_result = await client.call_tool("get_delivery", {**OWN_DELIVERY, "detail": "full"})
    async with connect(personal_data="contact") as client:
        text = text_of(await client.call_tool("get_delivery", {**OWN_DELIVERY, "detail": "full"}))
    driver = (await world.get("state"))["shipments"][0]["driver"]
    people = [*RECEIVER.values(), *driver.values(), "456 Central Avenue", "98402", "The bell is broken", "Natalie Wood"]
    for value in people:
        assert value in text
        assert value not in text_of(masked_result)
        assert value not in str(masked_result.structured_content)
    assert answer_of(masked_result)["driver"] == {"name": "***", "phone": "***"}
    assert answer_of(masked_result)["state"] == "assigned"


def test_delivery_models_class_texts_as_contact_data() -> None:
    for model in (Place, models.PlaceAddress, models.PlaceContact, models.Driver):
        for name, field in model.model_fields.items():
            text = [part for part in get_args(field.annotation) if get_origin(part) is Annotated]
            assert name in ("address", "contact", "state") or "contact" in text[0].__metadata__, (model, name)


async def test_preview_masks_places_but_the_dealers_default(connect: Connect) -> None:
    """The caller sees no contact data. A place in the arguments is masked even if it is the dealer's."""
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        by_default = answer_of(await client.call_tool("create_delivery", delivery_with("pickup_location", ...)))
        own = by_default["preview"]["body"]["pickup_location"]
        by_argument = answer_of(await client.call_tool("create_delivery", {**NEW_DELIVERY, "pickup_location": own}))
    assert (own["address"]["street1"], own["contact"]["phone"]) == ("4701 Roosevelt Way NE", "2065550142")
    masked_address = {"name": "***", "street1": "***", "city": "***", "state": "WA", "zip": "***"}
    assert by_argument["preview"]["body"]["pickup_location"]["address"] == masked_address
    for answer in (by_default, by_argument):
        to = answer["preview"]["body"]["delivery_location"]
        assert to["contact"] == {"name": "***", "phone": "***"}
        assert {name for name, value in to["address"].items() if value != "***"} == {"state"}


async def test_create_delivery_question_names_roadie(connect: Connect) -> None:
    questions = []

    async def decline(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="decline")

    async with connect(access={"deliveries": Access.CONFIRM}, ask=decline) as client:
        await client.call_tool("create_delivery", NEW_DELIVERY)
    assert questions[0].startswith("Create a delivery at University Mazda (umazda)? This writes to Roadie.")


async def test_cancel_delivery_asks_where_its_toolset_may_write(connect: Connect, world: World) -> None:
    async with connect(access={"deliveries": Access.WRITE}) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
        assert kind_of(await client.call_tool("cancel_delivery", OWN_DELIVERY)) == "not_confirmed"
    assert await operations(world) == ["create_shipment", "list_dealers"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_cancel_delivery_question_shows_the_delivery(mode: str, connect: Connect, world: World) -> None:
    """The person sees names and addresses even where the caller is masked. The preview shows none of them."""
    questions: list[str] = []

    async def agree(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return yes_to(params)

    async with connect(mode=mode, access={"deliveries": Access.WRITE}, ask=agree) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        preview = answer_of(await client.call_tool("cancel_delivery", OWN_DELIVERY))["preview"]
    async with connect(mode=mode, access={"deliveries": Access.WRITE}, ask=agree) as client:
        answer_of(await client.call_tool("cancel_delivery", OWN_DELIVERY))
    assert questions[0].splitlines() == [
        "Cancel a delivery at University Mazda (umazda)? This deletes and cannot be undone.",
        f'Delivery ID: "{DELIVERY_ID}"',
        'Reference ID: "RO-4711"',
        'State: "scheduled"',
        'Items 1: description "Four winter tires", quantity 1',
        'Pickup location: address: name: "The tire shop"',
        'Pickup location: address: street1: "12 Main Street"',
        'Pickup location: address: city: "Seattle"',
        'Pickup location: address: state: "WA"',
        'Pickup location: address: zip: "98105"',
        'Pickup location: contact: name: "Natalie Wood"',
        'Pickup location: contact: phone: "2065550100"',
        'Delivery location: address: street1: "456 Central Avenue"',
        'Delivery location: address: street2: "Floor 2"',
        'Delivery location: address: city: "Tacoma"',
        'Delivery location: address: state: "WA"',
        'Delivery location: address: zip: "98402"',
        'Delivery location: contact: name: "Carlos Silva"',
        'Delivery location: contact: phone: "4155550123"',
        'Pickup after: "2099-01-31T09:00:00-08:00"',
        'Deliver between: start: "2099-01-31T10:00:00-08:00"',
        'Deliver between: end: "2099-01-31T18:00:00-08:00"',
    ]
    assert preview.keys() == {"method", "path", "checks"}
    assert (await operations(world)).count("cancel_shipment") == 1


async def test_cancel_delivery_question_shows_the_first_items(connect: Connect) -> None:
    """A question with all items would be too long for anybody to confirm."""
    questions: list[str] = []

    async def decline(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="decline")

    many = {
        **NEW_DELIVERY,
        "items": [{**NEW_DELIVERY["items"][0], "description": f"{'x' * 190} {n}"} for n in range(100)],
    }
    async with connect(access={"deliveries": Access.WRITE}, ask=decline) as client:
        answer_of(await client.call_tool("create_delivery", many))
        assert kind_of(await client.call_tool("cancel_delivery", OWN_DELIVERY)) == "not_confirmed"
    (question,) = questions
    assert question.count("\nItems ") == 10
    assert "More items: 90" in question


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_update_delivery_question_shows_the_current_one(mode: str, connect: Connect) -> None:
    """The question shows the new and the current values. An assistant that may only preview sees no current ones."""
    questions: list[str] = []

    async def agree(_ctx: Any, params: Any) -> Any:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    change = {**OWN_DELIVERY, "reference_id": "RO-4712"}
    async with connect(access={"deliveries": Access.WRITE}) as client:
        answer_of(await client.call_tool("create_delivery", NEW_DELIVERY))
    async with connect(access={"deliveries": Access.PREVIEW}) as client:
        assert answer_of(await client.call_tool("update_delivery", change))["preview"]["body"] == {
            "reference_id": "RO-4712"
        }
    async with connect(mode=mode, access={"deliveries": Access.CONFIRM}, ask=agree) as client:
        assert answer_of(await client.call_tool("update_delivery", change))["reference_id"] == "RO-4712"
    (question,) = questions
    first, *lines = question.splitlines()
    assert first == "Update a delivery at University Mazda (umazda)? This writes to Roadie."
    assert lines[:5] == [
        f'Delivery ID: "{DELIVERY_ID}"',
        'Reference ID: "RO-4712"',
        'Now: reference ID: "RO-4711"',
        'Now: state: "scheduled"',
        'Now: items 1: description "Four winter tires", quantity 1',
    ]
    assert 'Now: delivery location: contact: name: "Carlos Silva"' in lines
