"""Resources: the answers of tools by address, with the same gate, limits and audit."""

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
from tests.conftest import ALLOWED, FOREIGN, Connect, World, answer_of
from tests.tool_examples import LICENCE_PNG, SOME_VIN, STEVE
from tests.tools.test_gate import FOREIGN_DEALERS
from tests.tools.umazda import FixedAnswer

pytestmark = pytest.mark.anyio

VALUES: dict[str, Any] = {"vin": SOME_VIN, "customer_id": 1650260, "document_id": 1602287, "template_id": "5101"}
VALUES["approval_id"] = "0" * 32
AT_A_DEALER = [resource for resource in RESOURCES if "dealer" in resource.parameters]
every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
NO_RESOURCE = {"legacy": -32002, "auto": INVALID_PARAMS}
"""The code for a resource that does not exist, in each era."""
eras = pytest.mark.parametrize("mode", NO_RESOURCE)


def address(resource: Resource, dealer: str) -> str:
    return resource.address(**{place: VALUES.get(place, dealer) for place in resource.parameters})


async def refusal_of(client: Client, uri: str) -> tuple[str, MCPError]:
    """Returns the kind of the failure, and the error that has it."""
    with pytest.raises(MCPError) as error:
        await client.read_resource(uri)
    return error.value.error.data[FAILURE_META], error.value


async def text_at(client: Client, uri: str) -> Any:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


async def records(store_url: str) -> list[StoredRecord]:
    async with open_store(store_url) as store:
        return [row async for row in store.records()]


async def licence(client: Client) -> str:
    """Uploads a licence for a customer of umazda, and returns its address."""
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
    document_id = answer_of(await client.call_tool("upload_document", {**at, **document}))["document_id"]
    return f"roadster://umazda/customers/{customer}/documents/{document_id}/file"


def test_resource_uses_a_reading_tool_and_its_arguments() -> None:
    for resource in RESOURCES:
        tool = TOOLS[resource.tool_name]
        assert not tool.writes
        assert set(resource.parameters) | resource.extra_arguments.keys() <= tool.input_schema["properties"].keys()
    assert len({resource.template for resource in RESOURCES}) == len(RESOURCES)
    assert len({resource.name for resource in RESOURCES}) == len(RESOURCES)


@eras
async def test_resource_is_the_answer_of_its_tool(mode: str, connect: Connect) -> None:
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
async def test_resource_of_a_file_has_its_bytes(mode: str, connect: Connect) -> None:
    async with connect(mode=mode, personal_data="contact") as client:
        uri = await licence(client)
        (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    assert (content.uri, content.mime_type, content.blob) == (uri, "image/png", LICENCE_PNG)


async def test_resource_of_a_file_needs_contact_data(connect: Connect, world: World, store_url: str) -> None:
    async with connect() as client:
        uri = await licence(client)
        request_count = len(await world.requests())
        kind, error = await refusal_of(client, uri)
        assert kind == "refused"
        assert "callers.tester.personal_data" in error.error.message
        templates = (await client.list_resource_templates()).resource_templates
        assert {template.name for template in templates} == {
            resource.name for resource in RESOURCES if not resource.needs_contact_data
        }
    assert len(await world.requests()) == request_count
    last = (await records(store_url))[-1].record
    assert (last.tool, last.verdict, last.setting) == ("get_document", "refused", "callers.tester.personal_data")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<script>", "neither JPEG, PNG nor PDF"), (b"%PDF-1.4" + b"0" * 1024 * 1024, "larger than 1048576 bytes")],
)
async def test_resource_of_a_strange_or_large_file_is_withheld(content: bytes, reason: str, connect: Connect) -> None:
    upstream = FixedAnswer(json.dumps({"contents": base64.b64encode(content).decode()}).encode())
    async with connect(personal_data="contact", upstream=upstream) as client:
        kind, error = await refusal_of(client, "roadster://umazda/customers/1/documents/1/file")
    assert kind == "upstream"
    assert reason in error.error.message
    assert error.error.code == INTERNAL_ERROR


async def test_resource_too_large_for_any_model_is_withheld(connect: Connect) -> None:
    body = b'{"vehicle_info": {"make": "' + b"x" * 1_000_000 + b'"}}'
    async with connect(upstream=FixedAnswer(body)) as client:
        kind, error = await refusal_of(client, f"roadster://umazda/vehicles/{SOME_VIN}")
    assert kind == "upstream"
    assert len(error.error.message) < 500


@eras
@pytest.mark.reliability("a resource that does not exist", "the era's own code, with the address")
@pytest.mark.parametrize(
    ("uri", "expected_kind"),
    [
        ("roadster://umazda/vehicles/00000000000000000", "not_found"),
        ("roadster://umazda/cars", "invalid_arguments"),
        ("test://nothing-of-ours", "invalid_arguments"),
    ],
)
async def test_resource_that_does_not_exist_has_its_eras_code_and_its_address(
    uri: str, expected_kind: str, mode: str, connect: Connect
) -> None:
    async with connect(mode=mode) as client:
        kind, error = await refusal_of(client, uri)
    assert kind == expected_kind
    assert error.error.code == NO_RESOURCE[mode]
    assert error.error.data["uri"] == uri


@eras
@pytest.mark.parametrize("uri", ["", "do not read this", "roadster://umazda\n", "x" * 2001, "x:\u200b", "x:\u00e4"])
async def test_error_repeats_only_a_short_address_of_visible_ascii(uri: str, mode: str, connect: Connect) -> None:
    async with connect(mode=mode) as client:
        _, error = await refusal_of(client, uri)
    assert error.error.data == {FAILURE_META: "invalid_arguments"}


@eras
@pytest.mark.reliability("a resource that the caller may not read", "refused with the setting that decides")
async def test_refused_resource_says_why_with_a_code_whose_text_hosts_show(mode: str, connect: Connect) -> None:
    """Claude Code shows "Resource not found" for -32602, whatever the text says."""
    async with connect(mode=mode) as client:
        kind, error = await refusal_of(client, f"roadster://{FOREIGN}")
    assert kind == "refused"
    assert error.error.code == INTERNAL_ERROR
    assert "callers.tester.dealers does not name this dealer" in error.error.message
    assert error.error.data == {FAILURE_META: "refused"}


async def test_resource_lists_have_only_what_the_caller_may_read(connect: Connect) -> None:
    async with connect(personal_data="contact") as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == [resource.template for resource in RESOURCES]
        resources = (await client.list_resources()).resources
        assert [resource.uri for resource in resources] == [f"roadster://{dealer}" for dealer in ALLOWED]
        assert {resource.mime_type for resource in resources} == {"application/json"}
        by_name = {template.name: template for template in templates}
        assert by_name["document_file"].mime_type is None, "a file's type is known when it is read"
        assert by_name["template_file"].mime_type == "application/pdf"
        for template in templates:
            assert template.annotations is not None
            audience = ["user"] if template.name.endswith("_file") else ["user", "assistant"]
            assert template.annotations.audience == audience
    async with connect(access={"get_vehicle": Access.READ}) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.name for template in templates] == ["vehicle"]
        assert (await client.list_resources()).resources == []


@every_resource
async def test_resource_of_a_tool_that_is_off_is_refused(resource: Resource, connect: Connect, world: World) -> None:
    async with connect(personal_data="contact", access={resource.tool_name: Access.OFF}) as client:
        kind, error = await refusal_of(client, address(resource, "umazda"))
    assert kind == "refused"
    assert error.error.code == INTERNAL_ERROR, "Claude Code hides the reason of an error of invalid parameters"
    assert f"callers.tester.access.{resource.tool_name}" in error.error.message
    assert await world.requests() == []


async def test_resource_lists_and_contents_are_private_to_caches(connect: Connect) -> None:
    async with connect() as client:
        lists = [await client.list_resources(), await client.list_resource_templates(), await client.list_prompts()]
        assert {(result.cache_scope, result.ttl_ms) for result in lists} == {("private", 60_000)}
        content = await client.read_resource("roadster://umazda")
        assert (content.cache_scope, content.ttl_ms) == ("private", 0)


async def test_resource_read_counts_and_is_recorded_as_a_call(connect: Connect, store_url: str) -> None:
    async with connect(calls_per_minute=2) as client:
        await client.read_resource("roadster://umazda")
        await client.call_tool("get_dealer", {"dealer": "umazda"})
        kind, _ = await refusal_of(client, "roadster://umazda")
        assert kind == "limited"
        kind, _ = await refusal_of(client, "nothing://of-ours")
        assert kind == "limited", "a wrong address counts too"
    by_address, by_tool, over_limit, nowhere = [row.record for row in await records(store_url)]
    for name in ("tool", "dealer", "verdict", "setting", "outcome", "arguments", "caller", "protocol"):
        assert getattr(by_address, name) == getattr(by_tool, name)
    assert by_address.upstream_request_id
    assert (over_limit.outcome, over_limit.verdict) == ("limited", "refused")
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
async def test_address_of_the_wrong_form_is_refused_in_the_same_words(
    mode: str, connect: Connect, world: World
) -> None:
    messages = set()
    async with connect(mode=mode, personal_data="contact") as client:
        for hostile in HOSTILE[:-1]:
            uri = hostile.replace("{vin}", SOME_VIN).replace("{lower}", SOME_VIN.lower())
            kind, error = await refusal_of(client, uri)
            assert kind == "invalid_arguments", uri
            assert error.error.code == NO_RESOURCE[mode]
            messages.add(error.error.message)
        kind, error = await refusal_of(client, HOSTILE[-1])
        assert kind == "invalid_arguments"
        assert len(error.error.message) < 1000
    assert len(messages) == 1
    assert await world.requests() == []


@pytest.mark.parametrize("resource", AT_A_DEALER, ids=lambda resource: resource.name)
@eras
async def test_resource_of_a_foreign_dealer_is_refused_unsent(
    resource: Resource, mode: str, connect: Connect, world: World
) -> None:
    """The name is raw or percent-encoded. The refusal repeats neither the name nor the address.

    An address of the wrong form names no dealer. It is repeated whole, in the data, if it looks like a URI.
    """
    async with connect(mode=mode, personal_data="contact") as client:
        for way, dealer in FOREIGN_DEALERS.items():
            for spelling in {str(dealer), quote(str(dealer), safe="")}:
                template = address(resource, "DEALER").replace("DEALER", spelling)
                kind, error = await refusal_of(client, template)
                assert kind in {"refused", "invalid_arguments"}, way
                assert FOREIGN not in error.error.message, way
                data = {FAILURE_META: kind}
                assert error.error.data in (data, {**data, "uri": template} if kind == "invalid_arguments" else data)
    assert await world.requests() == []


async def test_address_exists_for_a_dealer_of_any_name(connect: Connect) -> None:
    names = ["a b", "ä/ö", "100%", "..", "a?b#c", "x@y:1"]
    async with connect(dealers=names) as client:
        resources = (await client.list_resources()).resources
    assert [resource_at(resource.uri) for resource in resources] == [(RESOURCES[0], {"dealer": name}) for name in names]


@given(st.text() | st.text(alphabet="roadster:/umzf%20.2eE?#@\\ {}").map(lambda text: f"roadster://{text}"))
def test_address_has_one_spelling(uri: str) -> None:
    match = resource_at(uri)
    if match is not None:
        resource, arguments = match
        assert resource.address(**{place: arguments[place] for place in resource.parameters}) == uri


@given(st.sampled_from(AT_A_DEALER), st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_address_leads_back_to_its_row_and_dealer(resource: Resource, dealer: str) -> None:
    match = resource_at(address(resource, dealer))
    assert match is not None
    assert (match[0], match[1]["dealer"]) == (resource, dealer)


@settings(max_examples=40)
@given(
    st.sampled_from(RESOURCES),
    st.text(max_size=20) | st.sampled_from([dealer.dpid for dealer in DEALERS]),
    st.sampled_from(["", "/", "/../toyotademo", "%2F", "?dpid=toyotademo", "#", "\n", "\0"]),
    st.booleans(),
)
async def test_address_never_reaches_a_foreign_dealer(
    connect: Connect, world: World, resource: Resource, dealer: str, more: str, is_encoded: bool
) -> None:
    spelling = quote(dealer, safe="") if is_encoded else dealer
    async with connect(personal_data="contact") as client:
        with contextlib.suppress(MCPError):
            await client.read_resource(address(resource, "DEALER").replace("DEALER", spelling + more))
    assert {request["dealer"] for request in await world.requests()} <= set(ALLOWED)


async def test_answer_that_names_another_dealer_is_withheld(connect: Connect, world: World) -> None:
    async with connect() as client:
        for uri in ("roadster://umazda", f"roadster://umazda/vehicles/{SOME_VIN}"):
            await world.fault("*", "foreign_dealer")
            kind, error = await refusal_of(client, uri)
            assert kind == "upstream"
            assert FOREIGN not in str(error.error)
