"""Completion: only what the caller could find out by its tools, at one dealer of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp_types import Completion, PromptReference, ResourceTemplateReference

from roadster_prompts import PROMPTS
from roadster_server.store import StoreError
from roadster_server.store.sql import SqlStore
from roadster_tools import RESOURCES, Access, Resource
from tests.conftest import ALLOWED, FOREIGN, STEVE, Connect, World, answer_of, store_of_class
from tests.tools.test_gate import FOREIGN_DEALERS

from .test_resources import records

pytestmark = pytest.mark.anyio

ADDRESSES = {resource.name: resource.template for resource in RESOURCES}
VEHICLE, CUSTOMER, DOCUMENTS, FILE, TEMPLATE = (
    ADDRESSES[name] for name in ("vehicle", "customer", "documents", "document_file", "template")
)
AT_UMAZDA = {"dealer": "umazda"}


async def completed(
    client: Client, uri: str, name: str, typed: str = "", context: dict[str, str] | None = None
) -> list[str]:
    return (await completion(client, ResourceTemplateReference(uri=uri), name, typed, context)).values


async def completion(client: Client, ref: Any, name: str, typed: str, context: dict[str, str] | None) -> Completion:
    return (await client.complete(ref, {"name": name, "value": typed}, context)).completion


async def made(client: Client, dealer: str, number: int) -> str:
    """The id of a new customer."""
    customer = {**STEVE, "email": f"steve{number}@example.com"}
    return str(
        answer_of(await client.call_tool("create_customer", {"dealer": dealer, "customer": customer}))["customer_id"]
    )


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_dealers_are_the_callers_own_by_prefix(mode: str, connect: Connect, world: World) -> None:
    async with connect(mode=mode) as client:
        for ref in (ResourceTemplateReference(uri=VEHICLE), PromptReference(name="work_a_lead")):
            for typed, expected in {"": list(ALLOWED), "u": ["umazda"], "U": [], "toyota": [], "umazda ": []}.items():
                assert (await completion(client, ref, "dealer", typed, None)).values == expected
    assert await world.requests() == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_vins_are_those_in_stock_at_the_dealer_of_the_context(mode: str, connect: Connect, world: World) -> None:
    async with connect(mode=mode) as client:
        vehicles = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))["vehicles"]
        in_stock = [vehicle["vin"] for vehicle in vehicles]
        prefix = in_stock[3][:9]
        assert await completed(client, VEHICLE, "vin", "", AT_UMAZDA) == in_stock[:100]
        expected = [vin for vin in in_stock if vin.startswith(prefix)]
        assert await completed(client, VEHICLE, "vin", prefix.lower(), AT_UMAZDA) == expected
        inner = in_stock[3][1:9]
        expected_inner = [vin for vin in in_stock if vin.startswith(inner)]
        assert await completed(client, VEHICLE, "vin", inner, AT_UMAZDA) == expected_inner
        ref = PromptReference(name="compare_payments")
        assert (await completion(client, ref, "vin", prefix, AT_UMAZDA)).values == expected
        elsewhere = await completed(client, VEHICLE, "vin", "", {"dealer": "hyundaidemo"})
        assert elsewhere
        assert not set(elsewhere) & set(in_stock)
    assert {request["operation"] for request in await world.requests()} == {"list_inventory"}


async def test_a_proposal_of_vehicles_asks_for_few_pages_and_holds_at_most_a_hundred(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        for prefix in ("", "3", "Z"):
            before = len(await world.requests())
            found = await completion(client, ResourceTemplateReference(uri=VEHICLE), "vin", prefix, AT_UMAZDA)
            assert len(found.values) <= 100
            assert len(await world.requests()) - before <= 3


async def test_customers_are_those_that_were_created_at_the_dealer(connect: Connect, world: World) -> None:
    async with connect() as client:
        here, there = await made(client, "umazda", 1), await made(client, "hyundaidemo", 2)
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [here]
        assert await completed(client, DOCUMENTS, "customer_id", here[:3], AT_UMAZDA) == [here]
        assert await completed(client, DOCUMENTS, "customer_id", "9", AT_UMAZDA) == []
        assert await completed(client, DOCUMENTS, "customer_id", "", {"dealer": "hyundaidemo"}) == [there]
        binder = PromptReference(name="prepare_binder")
        assert (await completion(client, binder, "customer_id", "", AT_UMAZDA)).values == [here]
    async with connect(name="somebody-else", access={"documents": Access.READ}) as client:
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [here]
    async with connect(access={"events": Access.READ}) as client:
        assert await completed(client, CUSTOMER, "customer_id", "", AT_UMAZDA) == [here]
    sent = len(await world.requests())
    async with connect(access={"inventory": Access.READ}) as client:
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == []
    assert len(await world.requests()) == sent


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_templates_are_those_of_the_dealer_that_forms_can_be_made_of(
    mode: str, connect: Connect, world: World
) -> None:
    """Proposed for addresses and for the prompt that chooses among them; a deleted one is not."""
    async with connect(mode=mode) as client:
        assert await completed(client, TEMPLATE, "template_id", "", AT_UMAZDA) == ["278", "279", "280"]
        assert await completed(client, TEMPLATE, "template_id", "279", AT_UMAZDA) == ["279"]
        elsewhere = await completed(client, TEMPLATE, "template_id", "2", {"dealer": "hyundaidemo"})
        assert elsewhere == ["282", "283", "284"]
        forms = PromptReference(name="prepare_forms")
        assert (await completion(client, forms, "template_id", "28", AT_UMAZDA)).values == ["280"]
        assert await completed(client, TEMPLATE, "template_id", "x", AT_UMAZDA) == []
        assert await completed(client, TEMPLATE, "template_id", "", {"dealer": FOREIGN}) == []
    assert {request["operation"] for request in await world.requests()} == {"list_templates"}
    sent = len(await world.requests())
    async with connect(access={"get_template": Access.READ}) as client:
        assert await completed(client, TEMPLATE, "template_id", "", AT_UMAZDA) == [], "list_templates is off"
    assert len(await world.requests()) == sent


async def test_a_caller_with_one_dealer_needs_no_context(connect: Connect) -> None:
    async with connect(dealers=["umazda"]) as client:
        assert await completed(client, VEHICLE, "vin")
    async with connect() as client:
        assert await completed(client, VEHICLE, "vin") == []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_dealer_outside_the_list_gets_no_proposal_and_no_request(
    resource: Resource, mode: str, connect: Connect, world: World
) -> None:
    async with connect(name="theirs", dealers=[FOREIGN]) as client:
        await made(client, FOREIGN, 2)
    async with connect(mode=mode, personal_data="contact") as client:
        known = await made(client, "umazda", 1)
        sent = len(await world.requests())
        for way, dealer in FOREIGN_DEALERS.items():
            for name, typed in (
                ("vin", ""),
                ("vin", "3"),
                ("customer_id", ""),
                ("customer_id", known[:1]),
                ("template_id", ""),
            ):
                if name in resource.parameters:
                    found = await completed(client, resource.template, name, typed, {"dealer": str(dealer)})
                    assert found == [], (way, name)
    assert len(await world.requests()) == sent


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        (ResourceTemplateReference(uri="roadster://umazda/vehicles/{vin}"), "vin"),
        (ResourceTemplateReference(uri=VEHICLE + "/"), "vin"),
        (ResourceTemplateReference(uri=""), "dealer"),
        (ResourceTemplateReference(uri=VEHICLE), "customer_id"),
        (ResourceTemplateReference(uri=FILE), "document_id"),
        (ResourceTemplateReference(uri=FILE), "dealer"),  # masked: the file is not for this caller
        (PromptReference(name="work_a_lead"), "request"),
        (PromptReference(name="work_a_lead"), "vin"),
        (PromptReference(name="no_such_prompt"), "dealer"),
        (PromptReference(name=""), ""),
    ],
)
async def test_what_is_not_known_has_no_proposal(ref: Any, name: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        assert (await completion(client, ref, name, "", AT_UMAZDA)).values == []
    assert await world.requests() == []


async def test_what_the_caller_may_not_use_has_no_proposal(connect: Connect, world: World) -> None:
    async with connect(access={"get_vehicle": Access.READ, "quote_payments": Access.READ}) as client:
        assert await completed(client, VEHICLE, "vin", "", AT_UMAZDA) == [], "list_inventory is off"
        assert await completed(client, VEHICLE, "dealer", "u") == ["umazda"]
        assert await completed(client, DOCUMENTS, "dealer", "u") == []
        lead = await completion(client, PromptReference(name="work_a_lead"), "dealer", "u", None)
        assert lead.values == []
    assert await world.requests() == []


async def test_a_failing_upstream_is_no_proposal(connect: Connect, world: World) -> None:
    async with connect() as client:
        await world.fault("list_inventory", "status", status=500)
        assert await completed(client, VEHICLE, "vin", "", AT_UMAZDA) == []
        await world.fault("list_inventory", "foreign_dealer")
        assert await completed(client, VEHICLE, "vin", "", AT_UMAZDA) == []
        assert await completed(client, VEHICLE, "vin", "", AT_UMAZDA)


async def test_proposals_of_vehicles_count_and_are_on_record_as_the_search_that_they_are(
    connect: Connect, store_url: str, world: World
) -> None:
    async with connect(name="somebody-else") as client:
        known = await made(client, "umazda", 1)
    async with connect(calls_per_minute=2) as client:
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [known]
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [known]
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [], "the limit is spent"
    async with connect(calls_per_minute=2) as client:
        assert await completed(client, VEHICLE, "vin", "3", AT_UMAZDA)
        assert await completed(client, VEHICLE, "vin", "3M", {"dealer": FOREIGN}) == []
        assert await completed(client, VEHICLE, "vin", "3MV", AT_UMAZDA) == [], "the limit is spent"
    assert [request["operation"] for request in await world.requests()] == ["create_customer", "list_inventory"]
    found = [record.record for record in await records(store_url) if record.record.tool != "create_customer"]
    assert [(record.tool, record.dealer, record.outcome) for record in found] == [
        ("list_inventory", "umazda", "done"),
        ("list_inventory", None, "refused"),
        ("list_inventory", None, "limited"),
    ]


@pytest.mark.parametrize("typed", ["'", "%", "_", "\0", "1' OR '1'='1", "１", "-1", "9" * 10_000, "*", "\n"])
async def test_what_cannot_begin_an_id_is_asked_of_nobody(typed: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        await made(client, "umazda", 1)
        sent = len(await world.requests())
        assert await completed(client, DOCUMENTS, "customer_id", typed, AT_UMAZDA) == []
        assert await completed(client, VEHICLE, "vin", typed, AT_UMAZDA) == []
    assert len(await world.requests()) == sent


class KeepsNoIds(SqlStore):
    """A store that records and claims, and fails at whatever belongs to a dealer."""

    async def add_owned(self, *_: Any) -> bool:
        raise StoreError("the disk is full; free some space")

    async def owned_ids(self, *_: Any) -> list[str]:
        raise StoreError("the disk is full; free some space")


async def test_a_customer_is_created_also_where_the_id_cannot_be_kept(
    connect: Connect, world: World, store_url: str
) -> None:
    async with connect(open_store=store_of_class(KeepsNoIds)) as client:
        assert await made(client, "umazda", 1)
        assert await completed(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == []
    assert [request["operation"] for request in await world.requests()] == ["create_customer"]
    assert [record.record.outcome for record in await records(store_url)] == ["sent", "done"]


@settings(max_examples=25)
@given(st.text(max_size=12), st.text(max_size=4), st.sampled_from(sorted(PROMPTS)))
async def test_no_context_reaches_a_dealer_outside_the_list(
    connect: Connect, world: World, dealer: str, typed: str, prompt: str
) -> None:
    async with connect() as client:
        for ref in (PromptReference(name=prompt), ResourceTemplateReference(uri=VEHICLE)):
            for name in ("dealer", "vin", "customer_id", "template_id"):
                found = await completion(client, ref, name, typed, {"dealer": dealer})
                assert dealer in ALLOWED or set(found.values) <= set(ALLOWED)
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)
