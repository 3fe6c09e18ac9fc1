"""Answers to questions: accepting is the yes, and only a deletion needs a choice as well."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadster_sandbox import SandboxTransport
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS, Access
from tests.conftest import EVERYTHING, Connect, World, answer_of, kind_of, settings_for, text_of

from .wire import Wire, open_wire
from .writes import NEW_CUSTOMER, WRITES, both_eras, sent_writes

pytestmark = pytest.mark.anyio

NO: dict[str, Any] = {
    "decline": {"action": "decline"},
    "cancel": {"action": "cancel"},
    "no action": {"content": {"confirm": True}},
    "nothing": {},
    "unknown action": {"action": "yes", "content": {"confirm": True}},
    "action of another type": {"action": True},
    "confirm is false": {"action": "accept", "content": {"confirm": False}},
    "confirm is a text": {"action": "accept", "content": {"confirm": "no"}},
    "content of another type": {"action": "accept", "content": "yes"},
    "content is nested": {"action": "accept", "content": {"confirm": {"deep": True}}},
}
ACCEPT: dict[str, Any] = {
    "content is empty": {"action": "accept", "content": {}},
    "no content": {"action": "accept"},
    "content is null": {"action": "accept", "content": None},
    "confirm is true": {"action": "accept", "content": {"confirm": True}},
    "junk": {"action": "accept", "content": {"comment": "fine"}, "extra": 1},
}
"""A yes for a write that only adds or changes something. It is no choice for one that deletes."""


def choosing(choice: str) -> dict[str, Any]:
    return {"action": "accept", "content": {"choice": choice}}


DELETES = {"delete_documents": "delete documents", "cancel_delivery": "cancel a delivery"}
"""The choice that confirms each write that deletes."""


@asynccontextmanager
async def wire_of(world: World, store_url: str, mode: str) -> AsyncIterator[Wire]:
    """Opens a client whose every write has to be confirmed."""
    access = dict.fromkeys(EVERYTHING, Access.CONFIRM)
    live = LiveSettings(settings_for(store_url, access=access))
    async with (
        open_calls(live, local=True, transport=SandboxTransport(world.app)) as calls,
        open_wire(build_server(calls, lambda: live.current.caller("tester")), mode) as wire,
    ):
        yield wire


@both_eras
@pytest.mark.parametrize("name", WRITES)
async def test_each_write_is_done_once_for_a_yes_and_never_else(
    name: str, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    async with connect() as client:
        for name_before in ("create_customer", "upload_document", "create_delivery"):
            answer_of(await client.call_tool(name_before, dict(WRITES[name_before])))
    writes = len(await sent_writes(world))
    deletes = TOOLS[name].destructive
    async with wire_of(world, store_url, mode) as wire:
        for case, answer in {**NO, **(ACCEPT | {"keep": choosing("keep")} if deletes else {})}.items():
            result = await wire.call(name, dict(WRITES[name]), answer)
            assert kind_of(result) == "not_confirmed", case
            assert "Nothing was sent" in text_of(result)
            assert len(await sent_writes(world)) == writes, case
        for case, answer in ({"choice": choosing(DELETES[name])} if deletes else ACCEPT).items():
            answer_of(await wire.call(name, dict(WRITES[name]), answer))
            writes += 1
            assert len(await sent_writes(world)) == writes, case


def test_every_tool_that_deletes_is_tried() -> None:
    assert DELETES.keys() == {tool.name for tool in TOOLS.values() if tool.destructive}


async def make_document(connect: Connect) -> None:
    """Uploads the document that `delete_documents` of `WRITES` deletes."""
    async with connect() as client:
        for name in ("create_customer", "upload_document"):
            answer_of(await client.call_tool(name, dict(WRITES[name])))


@both_eras
async def test_form_has_no_field_or_for_a_deletion_a_choice(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """A reflexive Accept neither fails for a box that was not ticked, nor deletes."""
    await make_document(connect)
    async with wire_of(world, store_url, mode) as wire:
        await wire.call("create_customer", dict(NEW_CUSTOMER), NO["decline"])
        await wire.call("delete_documents", dict(WRITES["delete_documents"]), NO["decline"])
    plain, deletion = wire.forms
    assert plain == {"type": "object", "properties": {}}
    assert deletion["required"] == ["choice"]
    assert deletion["properties"]["choice"]["enum"] == ["keep", "delete documents"]
    assert "default" not in deletion["properties"]["choice"]


@both_eras
@pytest.mark.parametrize(
    ("case", "words"),
    [
        (NO["decline"], "by a client that asks nobody"),
        (NO["cancel"], "closed the question"),
        (NO["no action"], "no action accept, decline or cancel"),
        (NO["unknown action"], "no action accept, decline or cancel"),
        (NO["content of another type"], "the content of the client's answer is no object"),
        (NO["content is nested"], "the content of the client's answer is no object"),
        (NO["confirm is false"], "call again and let them accept the question"),
    ],
)
async def test_refusal_says_what_was_taken_for_a_no_and_how_to_say_yes(
    case: Any, words: str, mode: str, world: World, store_url: str
) -> None:
    async with wire_of(world, store_url, mode) as wire:
        assert words in text_of(await wire.call("create_customer", dict(NEW_CUSTOMER), case))


@both_eras
@pytest.mark.parametrize(
    ("tool", "operation", "lookup"),
    [
        ("delete_documents", "list_documents", "list_documents"),
        ("create_forms", "get_template", "get_template"),
        ("update_delivery", "get_shipment", "get_delivery"),
        ("cancel_delivery", "get_shipment", "get_delivery"),
    ],
)
@pytest.mark.parametrize("status", [403, 500])
async def test_write_says_that_its_lookup_failed_and_nothing_was_sent(
    status: int, tool: str, operation: str, lookup: str, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """The person would be asked about what the lookup shows."""
    async with connect() as client:
        for name_before in ("create_customer", "upload_document", "create_delivery"):
            answer_of(await client.call_tool(name_before, dict(WRITES[name_before])))
    writes = len(await sent_writes(world))
    await world.fault(operation, "status", times=9, status=status)
    async with wire_of(world, store_url, mode) as wire:
        text = text_of(await wire.call(tool, dict(WRITES[tool]), choosing(DELETES.get(tool, ""))))
    assert f"{tool}, looking up with {lookup}" in text
    assert re.search("Nothing was (sent|changed)", text)
    assert len(await sent_writes(world)) == writes


@both_eras
async def test_refusal_of_a_deletion_names_the_choice(
    mode: str, connect: Connect, world: World, store_url: str
) -> None:
    await make_document(connect)
    async with wire_of(world, store_url, mode) as wire:
        accepted = text_of(await wire.call("delete_documents", dict(WRITES["delete_documents"]), {"action": "accept"}))
        keeping = text_of(await wire.call("delete_documents", dict(WRITES["delete_documents"]), choosing("keep")))
    assert 'choose "delete documents" in the form before they accept' in accepted
    assert 'the person chose "keep"' in keeping


@both_eras
@settings(max_examples=25)
@given(
    answer=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.dictionaries(st.sampled_from(["action", "content", "confirm", "choice"]), inner, max_size=3),
        max_leaves=6,
    )
)
async def test_no_answer_makes_the_server_fail(answer: Any, mode: str, world: World, store_url: str) -> None:
    answer = answer if mode != "legacy" or isinstance(answer, dict) else {"action": answer}
    async with wire_of(world, store_url, mode) as wire:
        assert kind_of(await wire.call("create_customer", dict(NEW_CUSTOMER), answer)) in {None, "not_confirmed"}


async def test_answers_that_are_no_map_are_missing(world: World, store_url: str) -> None:
    """The envelope around the answer may be odd as well."""
    async with wire_of(world, store_url, "2026-07-28") as wire:
        for responses in ([], "yes", None, 5):
            result = await wire.call_again("create_customer", dict(NEW_CUSTOMER), responses)
            assert kind_of(result) == "not_confirmed"
            assert "the client's answer is missing" in text_of(result)
    assert await sent_writes(world) == []
