"""Recordings of upstream traffic hold nobody's data. A replay answers from them without a network."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from pydantic import SecretStr

from roadster_client import OPERATIONS
from roadster_sandbox import SandboxTransport
from roadster_server.recordings.transport import record_to, replay_from
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.sections.stores import StoreSettings
from roadster_tools import TOOLS
from tests.command_line import run_cli
from tests.conftest import Answering, Connect, World, answer_of, kind_of, text_of
from tests.server.transports.test_http import write_config
from tests.tool_examples import DELIVERY, DELIVERY_ID, SOME_VIN, STEVE, every_call
from tests.tools.canaries import CONTACT, IDENTITY_CANARIES, ZEBULON, PlantingUpstream, every_tool, leaks
from tests.tools.pdf_files import pages_of, plain_pdf

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}
VEHICLE = {**AT_UMAZDA, "vin": SOME_VIN}
CUSTOMER = {**AT_UMAZDA, "customer": STEVE}


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "recording.jsonl"


@pytest.fixture
def recording(connect: Connect, world: World, tape: Path) -> Callable[..., AbstractAsyncContextManager[Client]]:
    @asynccontextmanager
    async def open_client(network: httpx2.AsyncBaseTransport | None = None, **caller: Any) -> AsyncIterator[Client]:
        with record_to(tape, network or SandboxTransport(world.app)) as transport:
            async with connect(upstream=transport, **caller) as client:
                yield client

    return open_client


@pytest.fixture
def replaying(connect: Connect, tape: Path, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """Opens a client of a server with an empty store, which answers from `tape`."""

    def open_client(**caller: Any) -> AbstractAsyncContextManager[Client]:
        store = StoreSettings(url=SecretStr(f"sqlite:///{tmp_path / 'another.db'}"))
        return connect(upstream=replay_from(tape), change={"store": store}, **caller)

    return open_client


def exchanges(tape: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in tape.read_text().splitlines()]


CANARIES = {**CONTACT, **IDENTITY_CANARIES}


@pytest.mark.parametrize("personal_data", ["masked", "contact"])
async def test_recording_holds_no_planted_value(personal_data: str, recording: Any, world: World, tape: Path) -> None:
    """The values are in all fields of requests and answers, in several forms. The caller may even see contact data."""
    async with recording(PlantingUpstream(world), personal_data=personal_data) as client:
        await every_tool(client, unique="recorded")
    assert {line["request"]["operation"] for line in exchanges(tape)} == OPERATIONS.keys()
    assert leaks(tape.read_text(), CANARIES) == set()


async def test_recording_holds_no_file_and_no_written_text(recording: Any, world: World, tape: Path) -> None:
    """That includes notes for a driver, and texts that name the people of their request."""
    pdf = plain_pdf([*pages_of(1), b"(%b)" % "; ".join(CANARIES.values()).encode()])
    place = {**DELIVERY["delivery_location"], "notes": f"Ask for {CONTACT['name']}, {CONTACT['phone']}"}
    place["contact"] = {"name": CONTACT["name"], "phone": "4155558642"}
    item = {**DELIVERY["items"][0], "description": f"Tires of {CONTACT['name']}, card {IDENTITY_CANARIES['card']}"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_customer", {"customer": ZEBULON, "utm_campaign": f"for {CONTACT['name']} {CONTACT['email']}"}),
        (
            "upload_document",
            {
                "customer_id": 1650260,
                "document_type": "income",
                "relationship": "self",
                "document_name": CONTACT["file"],
                "file_name": f"{CONTACT['file']}.pdf",
                "contents": base64.b64encode(pdf).decode(),
            },
        ),
        ("get_document", {"customer_id": 1650260, "document_id": 1602287, "detail": "full"}),
        ("create_delivery", {**DELIVERY, "items": [item], "delivery_location": place}),
        (
            "create_forms",
            {
                "order_id": "367101",
                "template_ids": ["278"],
                "title": f"Call {CONTACT['phone']}, mail {CONTACT['email']}, {IDENTITY_CANARIES['ssn']}",
            },
        ),
    ]
    async with recording(personal_data="contact") as client:
        for tool, arguments in calls:
            answer_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments}))
    assert leaks(tape.read_text(), CANARIES) == set()
    assert "8642" not in tape.read_text()
    assert base64.b64encode(pdf[9:-9]).decode()[:40] not in tape.read_text()


async def test_recording_holds_no_credential_and_no_sign_in_link(recording: Any, tape: Path) -> None:
    async with recording() as client:
        link = answer_of(await client.call_tool("create_customer", CUSTOMER))["redirect_url"]
        await client.call_tool(
            "get_crm_customer", {**AT_UMAZDA, "customer_uuid": "c0000000-0000-4000-8a00-000000000001"}
        )
    text = tape.read_text()
    assert link not in text
    assert exchanges(tape)[0]["response"]["body"]["customer"]["redirect_url"] == "https://express.umazda.com/***"
    for secret in ("sandbox-key", "Bearer", "Basic", "uthorization"):
        assert secret not in text


async def test_recording_of_a_refusal_leaves_out_its_words(recording: Any, world: World, tape: Path) -> None:
    body = {
        "status": "error",
        "error": f"No {CONTACT['name']}",
        "errors": [{"code": 1002, "message": CONTACT["email"]}],
    }
    refusing = httpx2.Response(400, json=body)
    async with recording(PlantingUpstream(world, refusing)) as client:
        assert kind_of(await client.call_tool("create_customer", CUSTOMER)) == "upstream"
    assert leaks(tape.read_text(), CANARIES) == set()
    recorded_body = exchanges(tape)[0]["response"]["body"]
    assert recorded_body == {"status": "error", "error": "***", "errors": [{"code": 1002}]}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
async def test_recording_is_private_to_its_owner(recording: Any, tape: Path) -> None:
    """An empty file that others could read was there before."""
    tape.touch(mode=0o644)
    async with recording():
        assert stat.S_IMODE(tape.stat().st_mode) == 0o600


def test_recording_never_overwrites_a_file(tape: Path) -> None:
    tape.write_text("another recording\n")
    process = run_cli("call", "list_dealers", "--sandbox", "--record", str(tape))
    assert (process.returncode, process.stdout) == (2, "")
    assert "remove it, or choose another" in process.stderr
    assert tape.read_text() == "another recording\n"


@pytest.mark.parametrize("place", ["pickup_location", "delivery_location"])
async def test_recording_masks_names_of_earlier_exchanges(
    place: str, recording: Any, replaying: Any, world: World, tape: Path
) -> None:
    """The names come from an earlier request, an earlier answer, or the answer itself. The replay finds the answers."""
    stranger = {**DELIVERY[place], "contact": {"name": "Wilhelmina Featherstonehaugh", "phone": "2065550101"}}
    item = {**DELIVERY["items"][0], "description": "Key of Wilhelmina for mr. Quartermayne"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_customer", {"customer": ZEBULON}),
        ("create_delivery", {**DELIVERY, "items": [{**item, "description": "Key of Zebulon"}]}),
        ("get_delivery", {"delivery_id": DELIVERY_ID}),
        (
            "create_forms",
            {"order_id": "367101", "template_ids": ["278"], "title": f"For {CONTACT['name']}, of Featherstonehaugh"},
        ),
        ("create_forms", {"order_id": "367101", "template_ids": ["278"], "title": "Quartermayne"}),
        ("create_forms", {"order_id": "367101", "template_ids": ["278"], "title": "Another"}),
    ]

    def with_stranger(request: httpx2.Request) -> Any:
        if request.method == "GET" and "/shipments/" in request.url.path:
            return {"id": DELIVERY_ID, "items": [item], place: stranger}
        return None

    async def answers(client: Client) -> list[dict[str, Any]]:
        return [answer_of(await client.call_tool(tool, {**AT_UMAZDA, **arguments})) for tool, arguments in calls]

    async with recording(Answering(world, with_stranger)) as client:
        await answers(client)
    text = tape.read_text()
    for name in ("Zebulon", "Quartermayne", "Wilhelmina", "Featherstonehaugh"):
        assert name not in text
    assert "Key of *** for mr. ***" in text
    async with replaying() as client:
        await answers(client)


# Replays

CALLS = {tool: arguments for tool, arguments in every_call("umazda").items() if TOOLS[tool].toolset != "events"}
"""A call of every tool that sends a request."""
WITH_FILES = ("get_document", "get_template_file")
"""Tools whose answers have files. A recording has stand-ins with another size and digest."""


async def test_replay_answers_like_the_recording(recording: Any, replaying: Any) -> None:
    """It does so for every tool, for a caller who may not see personal data."""

    async def answers(client: Client) -> dict[str, Any]:
        return {
            # A quote says when it was asked for.
            tool: {**answer_of(await client.call_tool(tool, dict(arguments))), "as_of": None}
            for tool, arguments in CALLS.items()
        }

    async with recording() as client:
        recorded_answers = await answers(client)
    async with replaying() as client:
        replayed_answers = await answers(client)
    for tool, answer in recorded_answers.items():
        if tool in WITH_FILES:
            assert replayed_answers[tool].keys() == answer.keys()
        elif isinstance(answer.get("redirect_url"), str) and tool != "build_deep_link":
            assert replayed_answers[tool] == {**answer, "redirect_url": "https://express.umazda.com/***"}
        elif tool == "build_deep_link":
            assert replayed_answers[tool].keys() == answer.keys()
        else:
            assert replayed_answers[tool] == answer, tool


async def test_replay_refuses_a_request_that_was_not_recorded(recording: Any, replaying: Any) -> None:
    """It may be a read, a write, or one repeat too many. It never reads as a write with an unknown outcome."""
    async with recording() as client:
        await client.call_tool("get_vehicle", VEHICLE)
    async with replaying() as client:
        assert kind_of(await client.call_tool("get_vehicle", VEHICLE)) is None
        for tool, arguments in (("get_vehicle", VEHICLE), ("list_dealers", {}), ("create_customer", CUSTOMER)):
            with anyio.fail_after(5):
                result = await client.call_tool(tool, arguments)
            assert kind_of(result) == "upstream"
            assert text_of(result).startswith(f"{tool}: this request was not recorded")


async def test_replay_answers_repeats_in_order(recording: Any, replaying: Any, world: World) -> None:
    """That includes a failure before another attempt."""
    async with recording() as client:
        await world.fault("get_vehicle", "status", status=503)
        await world.fault("create_customer", "lost_answer")
        first = answer_of(await client.call_tool("get_vehicle", VEHICLE))
        assert kind_of(await client.call_tool("create_customer", CUSTOMER)) == "outcome_unknown"
        assert answer_of(await client.call_tool("create_customer", CUSTOMER))["duplicate"] is True
    async with replaying() as client:
        assert answer_of(await client.call_tool("get_vehicle", VEHICLE)) == first
        assert kind_of(await client.call_tool("create_customer", CUSTOMER)) == "outcome_unknown"
        assert answer_of(await client.call_tool("create_customer", CUSTOMER))["duplicate"] is True


@pytest.mark.parametrize("fault", ["foreign_dealer", "html", "truncated", "deep", "empty", "redirect"])
@pytest.mark.parametrize(("tool", "arguments"), [("get_dealer", AT_UMAZDA), ("get_vehicle", VEHICLE)])
async def test_replay_of_an_unusable_answer_is_unusable(
    tool: str, arguments: dict[str, Any], fault: str, recording: Any, replaying: Any, world: World
) -> None:
    """That matters most for an answer of another dealer, which is withheld even if no model reads it."""
    async with recording() as client:
        await world.fault(tool, fault)
        result = await client.call_tool(tool, arguments)
        assert kind_of(result) == "upstream"
    async with replaying() as client:
        assert text_of(await client.call_tool(tool, arguments)) == text_of(result)


@pytest.mark.parametrize("fault", ["nan", "huge_number"])
async def test_replay_of_numbers_that_are_none_leaves_out_the_same(
    fault: str, recording: Any, replaying: Any, world: World
) -> None:
    async with recording() as client:
        await world.fault("get_vehicle", fault)
        first = answer_of(await client.call_tool("get_vehicle", VEHICLE))
    assert ("left_out" in first) is (fault == "nan")  # the other is in a field that nobody reads
    async with replaying() as client:
        assert answer_of(await client.call_tool("get_vehicle", VEHICLE)) == first


@pytest.mark.parametrize("line", ["{", "[]", '{"request": {}}', '{"request": {}, "response": {"status": "x"}}'])
def test_replay_of_a_broken_file_names_the_line(line: str, tape: Path) -> None:
    tape.write_text(f"\n{line}\n")
    with pytest.raises(ConfigurationError, match="line 2: is no recorded exchange"):
        replay_from(tape)


def test_replay_of_a_line_with_too_many_values_names_the_line(tape: Path) -> None:
    tape.write_text('\n{"request": [' + "0," * 100_000 + "0]}\n")
    with pytest.raises(ConfigurationError, match="line 2: has more than 100,000 values"):
        replay_from(tape)


def test_command_replays_without_credentials(tmp_path: Path, tape: Path) -> None:
    """The secrets and the upstream of the configuration do not exist. A missing request ends with exit code 4."""
    calls = json.dumps({"tool": "get_vehicle", "arguments": VEHICLE})
    recording = run_cli("run", "-", "--sandbox", "--record", str(tape), stdin=calls)
    config = write_config(tmp_path, "http://127.0.0.1:9")
    process = run_cli("run", "-", "--config", str(config), "--replay", str(tape), stdin=calls)
    assert (process.returncode, process.stdout) == (0, recording.stdout)
    process = run_cli("call", "get_dealer", "{}", "--config", str(config), "--replay", str(tape))
    assert process.returncode == 4
    assert "get_dealer: this request was not recorded" in json.loads(process.stdout)["message"]


def test_command_refuses_to_record_and_replay_at_once(tape: Path) -> None:
    process = run_cli("call", "list_dealers", "--sandbox", "--record", str(tape), "--replay", str(tape))
    assert (process.returncode, process.stdout) == (2, "")
    assert "exclude each other" in process.stderr
