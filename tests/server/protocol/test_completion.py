"""Completion: it proposes only values that the caller could find with its tools, at its own dealers."""

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
from tests.conftest import ALLOWED, FOREIGN, Connect, World, answer_of, store_of_class
from tests.tool_examples import STEVE
from tests.tools.test_gate import FOREIGN_DEALERS

from .test_resources import records

pytestmark = pytest.mark.anyio

ADDRESSES = {resource.name: resource.template for resource in RESOURCES}
VEHICLE, CUSTOMER, DOCUMENTS, FILE, TEMPLATE = (
    ADDRESSES[name] for name in ("vehicle", "customer", "documents", "document_file", "template")
)
AT_UMAZDA = {"dealer": "umazda"}


async def values_of(
    client: Client, uri: str, name: str, prefix: str = "", context: dict[str, str] | None = None
) -> list[str]:
    return (await completion(client, ResourceTemplateReference(uri=uri), name, prefix, context)).values


async def completion(client: Client, ref: Any, name: str, prefix: str, context: dict[str, str] | None) -> Completion:
    return (await client.complete(ref, {"name": name, "value": prefix}, context)).completion


async def create_customer(client: Client, dealer: str, number: int) -> str:
    """Creates a customer, and returns its id."""
    customer = {**STEVE, "email": f"steve{number}@example.com"}
    return str(
        answer_of(await client.call_tool("create_customer", {"dealer": dealer, "customer": customer}))["customer_id"]
    )


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_completion_of_dealers_are_the_callers_own(mode: str, connect: Connect, world: World) -> None:
    async with connect(mode=mode) as client:
        for ref in (ResourceTemplateReference(uri=VEHICLE), PromptReference(name="work_a_lead")):
            for prefix, expected in {"": list(ALLOWED), "u": ["umazda"], "U": [], "toyota": [], "umazda ": []}.items():
                assert (await completion(client, ref, "dealer", prefix, None)).values == expected
    assert await world.requests() == []


@pytest.mark.parametrize("blank", ["", " ", "\u200b\u2060"])
async def test_completion_with_a_blank_dealer_is_that_of_the_callers_only_dealer(blank: str, connect: Connect) -> None:
    async with connect(dealers=["umazda"]) as client:
        await create_customer(client, "umazda", 1)
        for uri, name in ((VEHICLE, "vin"), (CUSTOMER, "customer_id"), (TEMPLATE, "template_id")):
            values = await values_of(client, uri, name, context={"dealer": blank})
            assert values
            assert values == await values_of(client, uri, name)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_completion_of_vins_are_in_stock_at_the_dealer(mode: str, connect: Connect, world: World) -> None:
    async with connect(mode=mode) as client:
        first = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 100}))
        rest = {**AT_UMAZDA, "limit": 100, "cursor": first["next_cursor"]}
        second = answer_of(await client.call_tool("list_inventory", rest))
        in_stock = [vehicle["vin"] for vehicle in (*first["vehicles"], *second["vehicles"])]
        prefix = in_stock[3][:9]
        assert await values_of(client, VEHICLE, "vin", "", AT_UMAZDA) == in_stock[:100]
        expected = [vin for vin in in_stock if vin.startswith(prefix)]
        assert await values_of(client, VEHICLE, "vin", prefix.lower(), AT_UMAZDA) == expected
        inner = in_stock[3][1:9]
        expected_inner = [vin for vin in in_stock if vin.startswith(inner)]
        assert await values_of(client, VEHICLE, "vin", inner, AT_UMAZDA) == expected_inner
        ref = PromptReference(name="compare_payments")
        assert (await completion(client, ref, "vin", prefix, AT_UMAZDA)).values == expected
        elsewhere = await values_of(client, VEHICLE, "vin", "", {"dealer": "hyundaidemo"})
        assert elsewhere
        assert not set(elsewhere) & set(in_stock)
    assert {request["operation"] for request in await world.requests()} == {"list_inventory"}


async def test_completion_of_vins_reads_few_pages(connect: Connect, world: World) -> None:
    async with connect() as client:
        for prefix in ("", "3", "Z"):
            before = len(await world.requests())
            vins = await completion(client, ResourceTemplateReference(uri=VEHICLE), "vin", prefix, AT_UMAZDA)
            assert len(vins.values) <= 100
            assert len(await world.requests()) - before <= 3


async def test_completion_of_customers_are_the_dealers(connect: Connect, world: World) -> None:
    async with connect() as client:
        here, there = await create_customer(client, "umazda", 1), await create_customer(client, "hyundaidemo", 2)
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [here]
        assert await values_of(client, DOCUMENTS, "customer_id", here[:3], AT_UMAZDA) == [here]
        assert await values_of(client, DOCUMENTS, "customer_id", "9", AT_UMAZDA) == []
        assert await values_of(client, DOCUMENTS, "customer_id", "", {"dealer": "hyundaidemo"}) == [there]
        binder = PromptReference(name="prepare_binder")
        assert (await completion(client, binder, "customer_id", "", AT_UMAZDA)).values == [here]
    async with connect(name="somebody-else", access={"documents": Access.READ}) as client:
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [here]
    async with connect(access={"events": Access.READ}) as client:
        assert await values_of(client, CUSTOMER, "customer_id", "", AT_UMAZDA) == [here]
    request_count = len(await world.requests())
    async with connect(access={"inventory": Access.READ}) as client:
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == []
    assert len(await world.requests()) == request_count


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_completion_of_templates_leaves_out_deleted_ones(mode: str, connect: Connect, world: World) -> None:
    """They are proposed for addresses and for the prompt that makes forms."""
    async with connect(mode=mode) as client:
        assert await values_of(client, TEMPLATE, "template_id", "", AT_UMAZDA) == ["278", "279", "280"]
        assert await values_of(client, TEMPLATE, "template_id", "279", AT_UMAZDA) == ["279"]
        elsewhere = await values_of(client, TEMPLATE, "template_id", "2", {"dealer": "hyundaidemo"})
        assert elsewhere == ["282", "283", "284"]
        forms = PromptReference(name="prepare_forms")
        assert (await completion(client, forms, "template_id", "28", AT_UMAZDA)).values == ["280"]
        assert await values_of(client, TEMPLATE, "template_id", "x", AT_UMAZDA) == []
        assert await values_of(client, TEMPLATE, "template_id", "", {"dealer": FOREIGN}) == []
    assert {request["operation"] for request in await world.requests()} == {"list_templates"}
    request_count = len(await world.requests())
    async with connect(access={"get_template": Access.READ}) as client:
        assert await values_of(client, TEMPLATE, "template_id", "", AT_UMAZDA) == [], "list_templates is off"
    assert len(await world.requests()) == request_count


async def test_completion_with_one_dealer_needs_no_context(connect: Connect) -> None:
    async with connect(dealers=["umazda"]) as client:
        assert await values_of(client, VEHICLE, "vin")
    async with connect() as client:
        assert await values_of(client, VEHICLE, "vin") == []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_completion_at_a_foreign_dealer_is_empty(
    resource: Resource, mode: str, connect: Connect, world: World
) -> None:
    async with connect(name="theirs", dealers=[FOREIGN]) as client:
        await create_customer(client, FOREIGN, 2)
    async with connect(mode=mode, personal_data="contact") as client:
        customer_id = await create_customer(client, "umazda", 1)
        request_count = len(await world.requests())
        for way, dealer in FOREIGN_DEALERS.items():
            for name, prefix in (
                ("vin", ""),
                ("vin", "3"),
                ("customer_id", ""),
                ("customer_id", customer_id[:1]),
                ("template_id", ""),
            ):
                if name in resource.parameters:
                    values = await values_of(client, resource.template, name, prefix, {"dealer": str(dealer)})
                    assert values == [], (way, name)
    assert len(await world.requests()) == request_count


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
async def test_completion_of_an_unknown_argument_is_empty(ref: Any, name: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        assert (await completion(client, ref, name, "", AT_UMAZDA)).values == []
    assert await world.requests() == []


async def test_completion_without_the_right_is_empty(connect: Connect, world: World) -> None:
    async with connect(access={"get_vehicle": Access.READ, "quote_payments": Access.READ}) as client:
        assert await values_of(client, VEHICLE, "vin", "", AT_UMAZDA) == [], "list_inventory is off"
        assert await values_of(client, VEHICLE, "dealer", "u") == ["umazda"]
        assert await values_of(client, DOCUMENTS, "dealer", "u") == []
        lead = await completion(client, PromptReference(name="work_a_lead"), "dealer", "u", None)
        assert lead.values == []
    assert await world.requests() == []


async def test_completion_with_a_failing_upstream_is_empty(connect: Connect, world: World) -> None:
    async with connect() as client:
        await world.fault("list_inventory", "status", status=500)
        assert await values_of(client, VEHICLE, "vin", "", AT_UMAZDA) == []
        await world.fault("list_inventory", "foreign_dealer")
        assert await values_of(client, VEHICLE, "vin", "", AT_UMAZDA) == []
        assert await values_of(client, VEHICLE, "vin", "", AT_UMAZDA)


async def test_completion_counts_and_is_recorded_as_a_call(connect: Connect, store_url: str, world: World) -> None:
    async with connect(name="somebody-else") as client:
        customer_id = await create_customer(client, "umazda", 1)
    async with connect(calls_per_minute=2) as client:
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [customer_id]
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [customer_id]
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == [], "the limit is spent"
    async with connect(calls_per_minute=2) as client:
        assert await values_of(client, VEHICLE, "vin", "3", AT_UMAZDA)
        assert await values_of(client, VEHICLE, "vin", "3M", {"dealer": FOREIGN}) == []
        assert await values_of(client, VEHICLE, "vin", "3MV", AT_UMAZDA) == [], "the limit is spent"
    assert [request["operation"] for request in await world.requests()] == ["create_customer", "list_inventory"]
    rows = [row.record for row in await records(store_url) if row.record.tool != "create_customer"]
    assert [(row.tool, row.dealer, row.outcome) for row in rows] == [
        ("list_inventory", "umazda", "done"),
        ("list_inventory", None, "refused"),
        ("list_inventory", None, "limited"),
    ]


@pytest.mark.parametrize("prefix", ["'", "%", "_", "\0", "1' OR '1'='1", "１", "-1", "9" * 10_000, "*", "\n"])
async def test_completion_of_an_impossible_prefix_sends_nothing(prefix: str, connect: Connect, world: World) -> None:
    async with connect() as client:
        await create_customer(client, "umazda", 1)
        request_count = len(await world.requests())
        assert await values_of(client, DOCUMENTS, "customer_id", prefix, AT_UMAZDA) == []
        assert await values_of(client, VEHICLE, "vin", prefix, AT_UMAZDA) == []
    assert len(await world.requests()) == request_count


class StoreWithoutIds(SqlStore):
    """A store that can neither keep nor find what belongs to a dealer."""

    async def add_owned(self, *_: Any) -> bool:
        raise StoreError("the disk is full; free some space")

    async def owned_ids(self, *_: Any) -> list[str]:
        raise StoreError("the disk is full; free some space")


async def test_customer_is_created_if_its_id_cannot_be_stored(connect: Connect, world: World, store_url: str) -> None:
    async with connect(open_store=store_of_class(StoreWithoutIds)) as client:
        assert await create_customer(client, "umazda", 1)
        assert await values_of(client, DOCUMENTS, "customer_id", "", AT_UMAZDA) == []
    assert [request["operation"] for request in await world.requests()] == ["create_customer"]
    assert [row.record.outcome for row in await records(store_url)] == ["sent", "done"]


@settings(max_examples=25)
@given(st.text(max_size=12), st.text(max_size=4), st.sampled_from(sorted(PROMPTS)))
async def test_completion_never_reaches_a_foreign_dealer(
    connect: Connect, world: World, dealer: str, prefix: str, prompt: str
) -> None:
    async with connect() as client:
        for ref in (PromptReference(name=prompt), ResourceTemplateReference(uri=VEHICLE)):
            for name in ("dealer", "vin", "customer_id", "template_id"):
                proposal = await completion(client, ref, name, prefix, {"dealer": dealer})
                assert dealer in ALLOWED or set(proposal.values) <= set(ALLOWED)
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)
