"""Resources: what a tool reads, by address, under the same gate, limits and audit."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, BlobResourceContents, TextResourceContents

from roadster_sandbox import DEALERS
from roadster_server.calls.results import FAILURE_META
from roadster_server.store import StoredRecord, open_store
from roadster_tools import RESOURCES, TOOLS, Access, Resource, resource_at
from tests.conftest import ALLOWED, FOREIGN, LICENCE_PNG, STEVE, Connect, World, answer_of
from tests.tool_examples import SOME_VIN
from tests.tools.test_gate import FOREIGN_DEALERS
from tests.tools.umazda import FixedAnswer

pytestmark = pytest.mark.anyio

VALUES: dict[str, Any] = {"vin": SOME_VIN, "customer_id": 1650260, "document_id": 1602287, "template_id": "5101"}
every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


def address(resource: Resource, dealer: str) -> str:
    return resource.address(**{place: VALUES.get(place, dealer) for place in resource.parameters})


async def refused(client: Client, uri: str) -> tuple[str, MCPError]:
    """The kind of the failure, and the error that carries it."""
    with pytest.raises(MCPError) as raised:
        await client.read_resource(uri)
    return raised.value.error.data[FAILURE_META], raised.value


async def text_at(client: Client, uri: str) -> Any:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


async def records(store_url: str) -> list[StoredRecord]:
    async with open_store(store_url) as store:
        return [record async for record in store.records()]


async def licence(client: Client) -> str:
    """The address of a licence in the binder of a customer of umazda."""
    at = {"dealer": "umazda"}
    customer = answer_of(await client.call_tool("create_customer", {**at, "customer": STEVE}))["customer_id"]
    document = {
        "customer_id": customer,
        "document_type": "license",
        "document_name": "DL Front",
        "file_name": "license.png",
        "relationship": "self",
        "contents": LICENCE_PNG,
    }
    uploaded = answer_of(await client.call_tool("upload_document", {**at, **document}))["document_id"]
    return f"roadster://umazda/customers/{customer}/documents/{uploaded}/file"


def test_every_row_reads_by_a_tool_that_reads_and_takes_what_the_address_holds() -> None:
    for resource in RESOURCES:
        tool = TOOLS[resource.tool_name]
        assert not tool.writes
        assert set(resource.parameters) | resource.extra_arguments.keys() <= tool.input_schema["properties"].keys()
    assert len({resource.template for resource in RESOURCES}) == len(RESOURCES)
    assert len({resource.name for resource in RESOURCES}) == len(RESOURCES)


@eras
async def test_a_resource_is_the_tools_answer_as_json(mode: str, connect: Connect) -> None:
    async with connect(mode=mode) as client:
        file = await licence(client)
        documents = file.rsplit("/", 2)[0]
        for uri, tool, arguments in (
            ("roadster://umazda", "get_dealer", {}),
            (f"roadster://umazda/vehicles/{SOME_VIN}", "get_vehicle", {"vin": SOME_VIN}),
            (documents, "list_documents", {"customer_id": int(documents.split("/")[-2])}),
        ):
            answer = answer_of(await client.call_tool(tool, {"dealer": "umazda", **arguments}))
            assert await text_at(client, uri) == answer


@eras
async def test_a_file_comes_as_its_bytes_to_who_may_see_contents(mode: str, connect: Connect) -> None:
    async with connect(mode=mode, personal_data="contact") as client:
        uri = await licence(client)
        (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    assert (content.uri, content.mime_type, content.blob) == (uri, "image/png", LICENCE_PNG)


async def test_who_may_not_see_contents_gets_no_file_and_nothing_is_sent(
    connect: Connect, world: World, store_url: str
) -> None:
    async with connect() as client:
        uri = await licence(client)
        sent = len(await world.requests())
        kind, error = await refused(client, uri)
        assert kind == "refused"
        assert "callers.tester.personal_data" in error.error.message
        listed = (await client.list_resource_templates()).resource_templates
        assert {found.name for found in listed} == {
            resource.name for resource in RESOURCES if not resource.needs_contact_data
        }
    assert len(await world.requests()) == sent
    last = (await records(store_url))[-1].record
    assert (last.tool, last.verdict, last.setting) == ("get_document", "refused", "callers.tester.personal_data")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<script>", "neither JPEG, PNG nor PDF"), (b"%PDF-1.4" + b"0" * 1024 * 1024, "larger than 1048576 bytes")],
)
async def test_what_is_no_document_or_too_large_is_withheld(content: bytes, reason: str, connect: Connect) -> None:
    upstream = FixedAnswer(json.dumps({"contents": base64.b64encode(content).decode()}).encode())
    async with connect(personal_data="contact", upstream=upstream) as client:
        kind, error = await refused(client, "roadster://umazda/customers/1/documents/1/file")
    assert kind == "upstream"
    assert reason in error.error.message
    assert error.error.code == INTERNAL_ERROR


async def test_an_answer_too_large_for_any_model_is_withheld(connect: Connect) -> None:
    body = b'{"vehicle_info": {"make": "' + b"x" * 1_000_000 + b'"}}'
    async with connect(upstream=FixedAnswer(body)) as client:
        kind, error = await refused(client, f"roadster://umazda/vehicles/{SOME_VIN}")
    assert kind == "upstream"
    assert len(error.error.message) < 500


@eras
async def test_what_is_not_there_is_invalid_params_with_the_address(mode: str, connect: Connect) -> None:
    uri = "roadster://umazda/vehicles/00000000000000000"
    async with connect(mode=mode) as client:
        kind, error = await refused(client, uri)
    assert kind == "not_found"
    assert error.error.code == INVALID_PARAMS
    assert error.error.data["uri"] == uri


async def test_only_templates_of_allowed_tools_and_the_callers_dealers_are_listed(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [found.uri_template for found in templates] == [resource.template for resource in RESOURCES]
        listed = (await client.list_resources()).resources
        assert [resource.uri for resource in listed] == [f"roadster://{dealer}" for dealer in ALLOWED]
        assert {resource.mime_type for resource in listed} == {"application/json"}
        by_name = {found.name: found for found in templates}
        assert by_name["document_file"].mime_type is None, "a file's type is known when it is read"
        assert by_name["template_file"].mime_type == "application/pdf"
        for found in templates:
            assert found.annotations is not None
            assert found.annotations.audience == (["user"] if found.name.endswith("_file") else ["user", "assistant"])
    async with connect(access={"get_vehicle": Access.READ}) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [found.name for found in templates] == ["vehicle"]
        assert (await client.list_resources()).resources == []


@every_resource
async def test_what_is_off_is_not_readable(resource: Resource, connect: Connect, world: World) -> None:
    async with connect(personal_data="contact", access={resource.tool_name: Access.OFF}) as client:
        kind, _ = await refused(client, address(resource, "umazda"))
    assert kind == "refused"
    assert await world.requests() == []


async def test_lists_and_contents_are_the_callers_own_to_every_cache(connect: Connect) -> None:
    async with connect() as client:
        lists = [await client.list_resources(), await client.list_resource_templates(), await client.list_prompts()]
        assert {(found.cache_scope, found.ttl_ms) for found in lists} == {("private", 60_000)}
        read = await client.read_resource("roadster://umazda")
        assert (read.cache_scope, read.ttl_ms) == ("private", 0)


async def test_reads_are_counted_and_recorded_as_calls_of_the_tool(connect: Connect, store_url: str) -> None:
    async with connect(calls_per_minute=2) as client:
        await client.read_resource("roadster://umazda")
        await client.call_tool("get_dealer", {"dealer": "umazda"})
        kind, _ = await refused(client, "roadster://umazda")
        assert kind == "limited"
        kind, _ = await refused(client, "nothing://of-ours")
        assert kind == "limited", "also what is no address"
    by_address, by_tool, limited, nowhere = [found.record for found in await records(store_url)]
    for name in ("tool", "dealer", "verdict", "setting", "outcome", "arguments", "caller", "protocol"):
        assert getattr(by_address, name) == getattr(by_tool, name)
    assert by_address.upstream_request_id
    assert (limited.outcome, limited.verdict) == ("limited", "refused")
    assert (nowhere.tool, nowhere.arguments) == ("unknown", {})


HOSTILE = [
    "",
    "roadster:",
    "roadster://",
    "roadster:///",
    "roadster://umazda/",
    "roadster://umazda//vehicles/{vin}",
    "roadster://umazda/vehicles/",
    "roadster://umazda/vehicles/{vin}/",
    "roadster://umazda/vehicles/{vin}/..",
    "roadster://umazda/vehicles/../vehicles/{vin}",
    "roadster://umazda/../toyotademo",
    "roadster://umazda/%2e%2e/toyotademo",
    "roadster://umazda%2f..%2ftoyotademo",
    "roadster://umazda%0a",
    "roadster://%75mazda",
    "roadster://umazd%61",
    "roadster://umazda%",
    "roadster://umazda%zz",
    "roadster://umazda%ff",
    "roadster://umazda%C3%28",
    "roadster://um%c3%a4zda",
    "roadster://toyotademo@umazda",
    "roadster://umazda@toyotademo",
    "roadster://umazda:443",
    "roadster://umazda?dpid=toyotademo",
    "roadster://umazda#toyotademo",
    "roadster://umazda;toyotademo",
    "roadster://umazda\\..\\toyotademo",
    "roadster://umazda\n",
    "roadster://umazda\nroadster://toyotademo",
    " roadster://umazda",
    "ROADSTER://umazda",
    "Roadster://umazda",
    "roadster:umazda",
    "roadster:/umazda",
    "http://umazda",
    "file:///etc/passwd",
    "roadster://umazda/vehicles/{lower}",
    "roadster://umazda/vehicles/{vin}%20",
    "roadster://umazda/customers/0/documents",
    "roadster://umazda/customers/01/documents",
    "roadster://umazda/customers/-1/documents",
    "roadster://umazda/customers/+1/documents",
    "roadster://umazda/customers/1.0/documents",
    "roadster://umazda/customers/１/documents",
    "roadster://umazda/customers/1%2F2/documents",
    "roadster://umazda/customers/1/Documents",
    "roadster://umazda/customers/99999999999999999/documents",
    "roadster://umazda/customers/1/documents/1",
    "roadster://umazda/customers/1/documents/1/file/..",
    "roadster://{dealer}",
    "x" * 100_000,
    "roadster://" + "a" * 100_000,
]


@eras
async def test_whatever_is_no_address_is_refused_in_the_same_words(mode: str, connect: Connect, world: World) -> None:
    said = set()
    async with connect(mode=mode, personal_data="contact") as client:
        for hostile in HOSTILE[:-1]:
            uri = hostile.replace("{vin}", SOME_VIN).replace("{lower}", SOME_VIN.lower())
            kind, error = await refused(client, uri)
            assert kind == "invalid_arguments", uri
            assert error.error.code == INVALID_PARAMS
            said.add(error.error.message)
        kind, error = await refused(client, HOSTILE[-1])
        assert kind == "invalid_arguments"
        assert len(error.error.message) < 1000
    assert len(said) == 1
    assert await world.requests() == []


@every_resource
@eras
async def test_a_dealer_outside_the_list_is_refused_before_any_request(
    resource: Resource, mode: str, connect: Connect, world: World
) -> None:
    """In whatever way it is written, raw or percent-encoded; the refusal repeats neither name nor address."""
    async with connect(mode=mode, personal_data="contact") as client:
        for way, dealer in FOREIGN_DEALERS.items():
            for spelt in {str(dealer), quote(str(dealer), safe="")}:
                template = address(resource, "DEALER").replace("DEALER", spelt)
                kind, error = await refused(client, template)
                assert kind in {"refused", "invalid_arguments"}, way
                assert FOREIGN not in str(error.error), way
    assert await world.requests() == []


async def test_a_dealer_of_any_name_has_an_address(connect: Connect) -> None:
    names = ["a b", "ä/ö", "100%", "..", "a?b#c", "x@y:1"]
    async with connect(dealers=names) as client:
        listed = (await client.list_resources()).resources
    assert [resource_at(resource.uri) for resource in listed] == [(RESOURCES[0], {"dealer": name}) for name in names]


@given(st.text() | st.text(alphabet="roadster:/umzf%20.2eE?#@\\ {}").map(lambda text: f"roadster://{text}"))
def test_what_is_read_as_an_address_is_spelt_in_the_one_way(uri: str) -> None:
    found = resource_at(uri)
    if found is not None:
        resource, arguments = found
        assert resource.address(**{place: arguments[place] for place in resource.parameters}) == uri


@given(st.sampled_from(RESOURCES), st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_every_address_leads_back_to_its_row_and_dealer(resource: Resource, dealer: str) -> None:
    found = resource_at(address(resource, dealer))
    assert found is not None
    assert (found[0], found[1]["dealer"]) == (resource, dealer)


@settings(max_examples=40)
@given(
    st.sampled_from(RESOURCES),
    st.text(max_size=20) | st.sampled_from([dealer.dpid for dealer in DEALERS]),
    st.sampled_from(["", "/", "/../toyotademo", "%2F", "?dpid=toyotademo", "#", "\n", "\0"]),
    st.booleans(),
)
async def test_no_address_reaches_a_dealer_outside_the_list(
    connect: Connect, world: World, resource: Resource, dealer: str, more: str, encoded: bool
) -> None:
    spelt = quote(dealer, safe="") if encoded else dealer
    async with connect(personal_data="contact") as client:
        with contextlib.suppress(MCPError):
            await client.read_resource(address(resource, "DEALER").replace("DEALER", spelt + more))
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)


async def test_an_answer_that_names_another_dealer_is_withheld(connect: Connect, world: World) -> None:
    async with connect() as client:
        for uri in ("roadster://umazda", f"roadster://umazda/vehicles/{SOME_VIN}"):
            await world.fault("*", "foreign_dealer")
            kind, error = await refused(client, uri)
            assert kind == "upstream"
            assert FOREIGN not in str(error.error)
