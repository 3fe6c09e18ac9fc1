"""Somebody else's tests of their assistant. They need only the plugin."""

import asyncio

import pytest
from salesbot import quote

VIN = "JM3KFBCM0S0829064"
STEVE = {"first_name": "Steve", "last_name": "McQueen", "email": "steve.mcqueen@example.com"}


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


def test_a_lost_answer_is_no_success(roadster_client, roadster_world):
    roadster_world.fault("create_customer", "lost_answer")
    result = roadster_client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    assert result.is_error
    assert "may or may not have been done" in result.content[0].text
    assert [request["operation"] for request in roadster_world.requests()] == ["create_customer"]


def test_what_deletes_is_confirmed_by_the_person(roadster_client, roadster_world):
    at = {"dealer": "umazda", "customer_id": 1650260}
    file = {"document_type": "license", "document_name": "Front", "file_name": "a.pdf", "relationship": "self"}
    roadster_client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
    roadster_client.call_tool("upload_document", {**at, **file, "contents": "JVBERi0xLjQgYSBibGFuayBmb3Jt"})
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
