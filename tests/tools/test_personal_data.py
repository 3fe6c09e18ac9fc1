"""Personal data reach only callers who may see them: canaries are planted everywhere, and everything is searched."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, ResourceTemplateReference

from roadster_server.store import open_store
from roadster_server.telemetry.logs import JsonLines
from roadster_tools import RESOURCES, TOOLS
from tests.conftest import (
    Connect,
    World,
    own_delivery,
    response,
)
from tests.tool_examples import SOME_VIN

from .canaries import CALLS, CONTACT, IDENTITY_CANARIES, PlantingUpstream, every_tool, everything, leaks

pytestmark = pytest.mark.anyio


def test_leaks_finds_each_form_of_a_canary() -> None:
    for name, canary in {**CONTACT, **IDENTITY_CANARIES}.items():
        for text in (
            canary,
            json.dumps({"a": [canary]}),
            f"?q={quote_plus(canary)}&x",
            canary.encode().hex(),
            *(base64.b64encode(b"xyz"[:lead] + canary.encode() + b"tail").decode() for lead in range(3)),
        ):
            assert leaks(text, {name: canary}) == {name}, text
    assert leaks("14155558642", CONTACT) == {"phone"}
    assert leaks("4929132566718034", IDENTITY_CANARIES) == {"card"}
    assert leaks(json.dumps({"vehicles": 3, "plain": "Steve McQueen"}), {**CONTACT, **IDENTITY_CANARIES}) == set()


SHOWS_CONTACT = {
    "list_documents": {"file"},
    "get_crm_customer": {"name", "phone", "street", "company", "key"},
    "get_delivery": {"name", "phone", "street"},
}
"""The canaries that a caller with contact data sees, by tool."""


async def every_prompt(client: Client) -> list[tuple[str, str]]:
    values = {"vin": SOME_VIN, "customer_id": "1650260", "order_id": "367101", "template_id": "278"}
    return [
        (prompt.name, (await client.get_prompt(prompt.name, arguments)).model_dump_json())
        for prompt in (await client.list_prompts()).prompts
        for arguments in [{argument.name: values.get(argument.name, "umazda") for argument in prompt.arguments or []}]
    ]


async def every_list(client: Client) -> list[tuple[str, str]]:
    return [
        ("tools", (await client.list_tools()).model_dump_json()),
        ("prompts", (await client.list_prompts()).model_dump_json()),
    ]


async def every_resource(client: Client) -> list[tuple[str, str]]:
    """Returns the contents of every resource by the tool that reads it."""
    answers = []
    for resource in RESOURCES:
        values = {
            "dealer": "umazda",
            "vin": SOME_VIN,
            "customer_id": 1650260,
            "document_id": 1602287,
            "template_id": "278",
            "approval_id": "0" * 32,
        }
        try:
            uri = resource.address(**{name: values[name] for name in resource.parameters})
            answers.append((resource.tool_name, (await client.read_resource(uri)).model_dump_json()))
        except MCPError as error:
            answers.append((resource.tool_name, str(error)))
    return answers


async def every_completion(client: Client) -> list[tuple[str, str]]:
    return [
        (name, (await client.complete(reference, {"name": name, "value": ""}, {"dealer": "umazda"})).model_dump_json())
        for resource in RESOURCES
        for reference in [ResourceTemplateReference(type="ref/resource", uri=resource.template)]
        for name in resource.parameters
    ]


Reader = Callable[[Client], Awaitable[list[tuple[str, str]]]]
READERS: tuple[Reader, ...] = (every_prompt, every_list, every_resource, every_completion)
"""The other requests of a client."""


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The lines that the server writes to stderr, other libraries' lines included."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Collector()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


async def audit_of(store_url: str) -> str:
    async with open_store(store_url) as store:
        return "\n".join([repr(row) async for row in store.records()])


def store_bytes(store_url: str) -> bytes:
    path = Path(store_url.removeprefix("sqlite:///"))
    return b"\n".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


async def assert_nothing_is_stored(store_url: str, log_lines: list[str], open_store_bytes: bytes) -> None:
    """Checks logs, audit and store. `open_store_bytes` is the store while open, with its write-ahead log."""
    canaries = {**CONTACT, **IDENTITY_CANARIES}
    assert log_lines, "the log was read"
    assert leaks("\n".join(log_lines), canaries) == set()
    assert leaks(await audit_of(store_url), canaries) == set()
    assert b"roadster_audit" in open_store_bytes
    assert leaks(open_store_bytes, canaries) == set()
    assert leaks(store_bytes(store_url), canaries) == set()


@pytest.mark.parametrize("personal_data", ["masked", "contact"])
async def test_personal_data_reaches_only_callers_who_may_see_it(
    personal_data: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """The canaries stand in every answer of the upstream, and in the caller's own arguments."""
    async with connect(upstream=PlantingUpstream(world), personal_data=personal_data) as client:
        answers = await every_tool(client, unique="first")
        replays = await every_tool(client, unique="first")
        for reader in READERS:
            answers += await reader(client)
        store_content = store_bytes(store_url)
    for name, answer in [*answers, *replays]:
        visible = SHOWS_CONTACT.get(name, set()) if personal_data == "contact" else set()
        assert leaks(answer, CONTACT) <= visible, name
        assert leaks(answer, IDENTITY_CANARIES) == set(), name
    if personal_data == "contact":
        assert {name for name, answer in answers if leaks(answer, CONTACT)} == SHOWS_CONTACT.keys(), (
            "the planting works"
        )
    successes = {name for name, answer in answers if '"isError":false' in answer}
    assert successes >= TOOLS.keys() - {"get_customer"}, "each has an answer, except of a customer that no event names"
    await assert_nothing_is_stored(store_url, log_lines, store_content)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_preview_masks_even_the_callers_own_arguments(
    mode: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    levels = {tool.name: "preview" if tool.writes else "read" for tool in TOOLS.values()}
    await own_delivery(store_url)
    for personal_data in ("masked", "contact"):
        async with connect(mode=mode, access=levels, personal_data=personal_data) as client:
            answers = await every_tool(client, unique="preview")
            store_content = store_bytes(store_url)
        for name, answer in answers:
            if TOOLS[name].writes:
                assert "nothing was sent" in answer
                assert leaks(answer, IDENTITY_CANARIES) == set()
                assert not (names := leaks(answer, CONTACT)) or personal_data == "contact", (name, names)
        await assert_nothing_is_stored(store_url, log_lines, store_content)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_question_to_a_person_reaches_no_model(
    mode: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """The question shows the canaries to the person. Neither the model's answer nor anything stored holds them."""
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    levels = {tool.name: "confirm" if tool.writes else "read" for tool in TOOLS.values()}
    async with connect(mode=mode, access=levels, ask=ask, upstream=PlantingUpstream(world)) as client:
        answers = await every_tool(client, unique="confirm")
        store_content = store_bytes(store_url)
    assert leaks("".join(questions), CONTACT) >= {"name", "email", "phone", "key", "file"}
    for name, answer in answers:
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) == set(), name
    await assert_nothing_is_stored(store_url, log_lines, store_content)


CANARIES = [*CONTACT.values(), *IDENTITY_CANARIES.values()]
REFUSALS: dict[str, httpx2.Response] = {
    **{f"a 400 that says {canary}": response({"status": "error", "error": canary}, 400) for canary in CANARIES},
    "a 200 with an error": response({"status": "error", "error": f"Unknown {CONTACT['name']}"}),
    "a 409 in prose": response({"error": " ".join(CANARIES), "errors": CANARIES}, 409),
    "Roadie's": response(
        {"errors": [{"code": 1002, "parameter": "zebulon_quartermayne", "message": CONTACT["name"]}]}, 400
    ),
    "myKaarma's": response({"errors": [{"errorCode": 14155558642, "errorMessage": CONTACT["phone"]}]}),
    "its title": response({"errors": [{"errorCode": 1, "errorTitle": CONTACT["name"]}]}, 500),
    "no JSON": httpx2.Response(200, stream=httpx2.ByteStream("".join(CANARIES).encode())),
    "a page": httpx2.Response(
        200, headers={"content-type": "text/html"}, stream=httpx2.ByteStream(f"<p>{CANARIES}".encode())
    ),
    "wrong types": response(
        {name: [CANARIES] for name in ("status", "customer", "vehicles", "deals", "customerInfo", "link")}
    ),
    "another dealer": response({"dpid": CONTACT["name"], "dealerId": 5, "name": CONTACT["name"]}),
    "a redirect": httpx2.Response(302, headers={"location": f"https://x/{quote(CONTACT['email'])}"}),
    "a 500": response({"error": CANARIES}, 500),
    "a 401": response({"error": CANARIES}, 401),
    "a 404": response({"error": CANARIES}, 404),
    "a 429": response({"error": CANARIES}, 429, **{"retry-after": CONTACT["phone"], "x-request-id": CONTACT["phone"]}),
}


@pytest.mark.parametrize("way", REFUSALS)
async def test_errors_repeat_nothing_personal(
    way: str, connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    async with connect(upstream=PlantingUpstream(world, REFUSALS[way]), personal_data="contact") as client:
        answers = await every_tool(client, unique="refused")
        store_content = store_bytes(store_url)
    for name, answer in answers:
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) == set(), name
    await assert_nothing_is_stored(store_url, log_lines, store_content)


async def test_refusal_of_arguments_repeats_none_of_them(
    connect: Connect, world: World, store_url: str, log_lines: list[str]
) -> None:
    """Each canary stands in each argument of each tool, its dealer and key included, and in the tool's name."""
    canaries = {**CONTACT, **IDENTITY_CANARIES}
    async with connect(personal_data="contact") as client:
        for name, tool in TOOLS.items():
            for argument in tool.input_schema["properties"]:
                for wrong in (" ".join(CANARIES), CANARIES, {canary: canary for canary in CANARIES}):
                    arguments = {**dict(CALLS)[name], argument: wrong}
                    result = await client.call_tool(
                        name, {"dealer": "umazda", **arguments} if tool.of_one_dealer else arguments
                    )
                    if result.is_error:
                        assert leaks(everything(result), canaries) == set(), (name, argument)
            strange = await client.call_tool(name, {canary: canary for canary in CANARIES})
            assert leaks(everything(strange), canaries) == set()
        for canary in CANARIES:
            assert leaks(everything(await client.call_tool(canary, {})), canaries) == set()
        store_content = store_bytes(store_url)
    await assert_nothing_is_stored(store_url, log_lines, store_content)


class Defective(httpx2.AsyncBaseTransport):
    """An upstream client with a defect, which raises an error that quotes every canary."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise RuntimeError(" ".join(CANARIES))


async def test_defect_is_logged_without_its_data(connect: Connect, store_url: str, log_lines: list[str]) -> None:
    await own_delivery(store_url)
    async with connect(personal_data="contact", upstream=Defective()) as client:
        answers = await every_tool(client, unique="broken")
        store_content = store_bytes(store_url)
    assert any('"event": "crash"' in line for line in log_lines)
    for name, answer in answers:
        assert leaks(answer, {**CONTACT, **IDENTITY_CANARIES}) == set(), name
    await assert_nothing_is_stored(store_url, log_lines, store_content)
