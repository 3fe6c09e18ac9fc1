"""Somebody else's tests of their assistant. They need only the plugin."""

import asyncio

import pytest
from salesbot import quote

VIN = "JM3KFBCM0S0829064"
STEVE = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com"}


def test_a_lost_answer_is_no_success(roadster_client, roadster_world):
    roadster_world.fault("create_customer", "lost_answer")
    result = roadster_client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    assert result.is_error
    assert "may or may not have been done" in result.content[0].text
    assert [request["operation"] for request in roadster_world.requests()] == ["create_customer"]


def test_a_quote_is_the_same_each_time(roadster_connect):
    async def quote_twice():
        async with roadster_connect() as client:
            return await quote(client, VIN), await quote(client, VIN)

    assert asyncio.run(quote_twice()) == (445.35, 445.35)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_unknown_car_is_an_error(roadster_connect):
    async with roadster_connect() as client:
        with pytest.raises(LookupError):
            await quote(client, "JM3KFBCM0S0000000")


def test_a_customer_is_in_the_dealers_records(roadster_client, roadster_world):
    result = roadster_client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    assert not result.is_error
    assert [customer["email"] for customer in roadster_world.state()["customers"]] == ["steve.mcqueen@example.com"]


def test_each_test_has_a_world_of_its_own(roadster_client, roadster_world):
    assert roadster_world.state()["customers"] == []
    assert roadster_world.requests() == []


def test_a_customers_message_arrives(roadster_client, roadster_send_event):
    roadster_send_event(type="customer_sent_message", customer_id=1650260, message="Is the CX-5 still there?")
    result = roadster_client.call_tool("list_customer_events", {"dealer": "umazda", "customer_id": 1650260})
    assert [event["message"] for event in result.structured_content["events"]] == ["Is the CX-5 still there?"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_events_arrive_while_a_client_is_connected(roadster_connect, roadster_send_event):
    async with roadster_connect() as client:
        first, second = roadster_send_event(), roadster_send_event(type="customer_submitted_deposit")
        result = await client.call_tool("list_customer_events", {"dealer": "umazda"})
    ids = {event["event_id"] for event in result.structured_content["events"]}
    assert ids == {first["event_id"], second["event_id"]}


def test_an_event_of_your_own_is_checked_as_roadsters(roadster_send_event, roadster_world):
    with pytest.raises(ValueError, match=r"refused the event with 400: .*customer"):
        roadster_send_event(event={"event_id": "1", "dealer": {"dpid": "umazda"}})
    with pytest.raises(ValueError, match=r"^colour: there is no such field$"):
        roadster_send_event(colour="blue")
    with pytest.raises(ValueError, match="leave out type, or write it into event"):
        roadster_send_event(type="customer_sent_message", event=roadster_world.make_event())
    event = {**roadster_world.make_event(), "event_id": "of-my-own"}
    assert roadster_send_event(event=event) == event


def test_what_deletes_is_confirmed_by_the_person(roadster_client, roadster_world):
    at = {"dealer": "umazda", "customer_id": 1650260}
    file = {"document_type": "license", "document_name": "Front", "file_name": "a.png", "relationship": "self"}
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    roadster_client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    roadster_client.call_tool("upload_document", {**at, **file, "contents": dot})
    assert len(roadster_world.state()["documents"]) == 1
    roadster_client.call_tool("delete_documents", {**at, "document_ids": [1602287]})
    assert roadster_world.state()["documents"] == []


class TestWithFewerRights:
    @pytest.fixture
    def roadster_caller(self):
        return {"dealers": ["umazda"], "access": {"quote_payments": "read"}}

    def test_another_dealer_is_refused(self, roadster_client, roadster_world):
        assert [tool.name for tool in roadster_client.list_tools()] == ["quote_payments"]
        result = roadster_client.call_tool("quote_payments", {"dealer": "hyundaidemo", "vin": VIN})
        assert result.is_error
        assert roadster_world.requests() == []
