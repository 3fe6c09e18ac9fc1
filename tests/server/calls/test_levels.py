"""The levels of access: what each one lets through, previews, and callers apart from each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp_types import CallToolResult

from roadster_client import OPERATIONS
from roadster_sandbox import BASE_PATHS
from roadster_tools import TOOLS, Access, Caller, verdict
from tests.conftest import (
    ALLOWED,
    Connect,
    World,
    answer_of,
    kind_of,
    own_delivery,
    text_of,
)
from tests.tool_examples import DELIVERY, FILES, RECEIVER, STEVE, TOOL_EXAMPLES

from .writes import (
    ASSIGNMENT,
    AT_UMAZDA,
    DELETION,
    DOCUMENT,
    KEY,
    NEW_CUSTOMER,
    READS,
    WRITES,
    Person,
    agreeing_person,
    both_eras,
    leaves,
    sent_writes,
)

pytestmark = pytest.mark.anyio


@both_eras
@pytest.mark.parametrize("level", Access)
async def test_level_decides_about_every_tool(
    level: Access, mode: str, connect: Connect, world: World, store_url: str
) -> None:
    """Each tool is listed or not, answered or refused, and sent or not, by the level of its toolset."""
    await own_delivery(store_url)
    person = agreeing_person()
    access = {tool.toolset: level for tool in TOOLS.values()}
    async with connect(mode=mode, access=access, ask=person) as client:
        visible = {tool.name for tool in (await client.list_tools()).tools}
        reads = set(READS) if level >= Access.READ else set()
        writes = set(WRITES) if level >= Access.PREVIEW else set()
        assert visible == reads | writes
        for name, arguments in READS.items():
            # There is no customer and no delivery yet.
            kind = "not_found" if {"customer_id", "delivery_id"} & arguments.keys() else None
            assert kind_of(await client.call_tool(name, dict(arguments))) == (kind if name in reads else "refused")
        for name, arguments in WRITES.items():
            result = await client.call_tool(name, dict(arguments))
            assert kind_of(result) == ("refused" if level < Access.PREVIEW else None), name
    operations = [example.sends for example in TOOL_EXAMPLES.values() if example.sends]
    assert await sent_writes(world) == (operations if level >= Access.CONFIRM else [])
    deletions = sum(TOOLS[name].destructive for name in WRITES)
    assert len(person.questions) == {Access.CONFIRM: len(WRITES), Access.WRITE: deletions}.get(level, 0)


def test_level_write_of_a_toolset_does_not_cover_deletion() -> None:
    """Without a confirmation, a tool that deletes needs the level "write" by its own name."""
    deletion = TOOLS["delete_documents"]
    by_toolset = verdict(Caller("c", ALLOWED, {"documents": Access.WRITE}), deletion)
    by_name = verdict(Caller("c", ALLOWED, {"documents": Access.WRITE, "delete_documents": Access.WRITE}), deletion)
    assert (by_toolset.level, by_toolset.setting) == (Access.CONFIRM, "callers.c.access.documents")
    assert (by_name.level, by_name.setting) == (Access.WRITE, "callers.c.access.delete_documents")


async def test_level_of_a_deletion_is_told_as_the_file_has_it(connect: Connect) -> None:
    """The text names the level in the file, and why a confirmation is needed all the same."""
    reason = 'callers.tester.access.documents is "write", but a destructive tool wants a confirmation anyway'
    async with connect(access={"documents": Access.WRITE}) as client:
        assert reason in text_of(await client.call_tool("delete_documents", dict(DELETION)))
    async with connect(access={"documents": Access.CONFIRM}) as client:
        result = await client.call_tool("delete_documents", dict(DELETION))
        assert 'callers.tester.access.documents is "confirm", and this client cannot ask' in text_of(result)
    async with connect(access={"documents": Access.PREVIEW}) as client:
        preview = answer_of(await client.call_tool("delete_documents", dict(DELETION)))["preview"]
    assert 'callers.tester.access.documents is "preview"' in preview["checks"]


@both_eras
async def test_deletion_at_toolset_level_write_needs_a_yes(mode: str, connect: Connect, world: World) -> None:
    """With nobody to ask, or after a no, nothing is deleted. An upload at the same level needs no confirmation."""
    access = {"documents": Access.WRITE, "create_customer": Access.WRITE}

    async def deletion(person: Person | None) -> CallToolResult:
        async with connect(mode=mode, access=access, ask=person) as client:
            return await client.call_tool("delete_documents", dict(DELETION))

    async with connect(mode=mode, access=access) as client:
        answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))
        answer_of(await client.call_tool("upload_document", dict(DOCUMENT)))
    for person in (None, Person("decline")):
        assert kind_of(await deletion(person)) == "not_confirmed"
    assert len((await world.get("state"))["documents"]) == 1
    yes = agreeing_person()
    assert answer_of(await deletion(yes)) == {"deleted": [1602287]}
    assert (await world.get("state"))["documents"] == []
    assert yes.questions[0].startswith("Delete documents at University Mazda (umazda)? This deletes and cannot be")
    assert await sent_writes(world) == ["create_customer", "upload_document", "delete_documents"]


@pytest.mark.parametrize("name", WRITES)
async def test_preview_is_the_request_with_personal_data_masked(
    name: str, connect: Connect, world: World, store_url: str
) -> None:
    await own_delivery(store_url)
    async with connect(access={name: Access.PREVIEW}) as client:
        result = await client.call_tool(name, dict(WRITES[name]))
    async with connect(access={name: Access.WRITE, "create_customer": Access.WRITE}) as client:
        assert await sent_writes(world) == []
        await client.call_tool("create_customer", dict(NEW_CUSTOMER))
        await client.call_tool(name, dict(WRITES[name]))
    request = (await world.requests())[-1]
    preview = answer_of(result)["preview"]
    api = OPERATIONS[request["operation"]].api
    assert f"{BASE_PATHS[api]}{preview['path']}" == request["path"]
    assert preview["method"] == request["method"]
    assert {name: str(value) for name, value in preview.get("query", {}).items()} == request["query"]
    body = preview.get("body", {})
    assert body.keys() == (request["body"] or {}).keys()
    if api == "roadster" and name != "create_forms":  # its order names the dealer
        dealers = (body.get("dpid"), body.get("dealer", {}).get("dpid"))
        assert "umazda" in (*dealers, preview.get("query", {}).get("dpid"))
    assert "nothing was sent" in text_of(result)
    people = (STEVE["first_name"], STEVE["email"], STEVE["phone"], ASSIGNMENT["agent"]["email"], *RECEIVER.values())
    # The state of an address is not personal data.
    place = set(leaves(DELIVERY["delivery_location"])) - {DELIVERY["delivery_location"]["address"]["state"]}
    for value in (*people, *place, *FILES):
        assert value not in text_of(result)
        assert value not in json.dumps(preview)


async def test_preview_shows_contact_data_to_a_caller_with_the_right(connect: Connect) -> None:
    async with connect(access={"customers": Access.PREVIEW}, personal_data="contact") as client:
        preview = answer_of(await client.call_tool("create_customer", dict(NEW_CUSTOMER)))["preview"]
    assert preview["body"]["customer"] == STEVE


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TOOLS, "no_such_tool"]),
            st.fixed_dictionaries(
                {},
                optional={
                    "dealer": st.sampled_from(["umazda", "hyundaidemo", "toyotademo"]),
                    "vin": st.just("3MVDMBBM0SM472067"),
                    "customer": st.just(STEVE),
                    "idempotency_key": st.just("shared-key"),
                    "limit": st.integers(-1, 3),
                },
            ),
        ),
        max_size=6,
    )
)
async def test_calls_of_one_caller_do_not_change_rights_of_another(
    connect: Connect, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    """Whatever A calls, B has the same tools and the same answers before and after, in the same store."""
    rights = {"dealers": ["hyundaidemo"], "access": {"inventory": Access.READ, "customers": Access.PREVIEW}}

    async def answers_to_b(client: Client) -> list[Any]:
        return [
            [tool.name for tool in (await client.list_tools()).tools],
            kind_of(await client.call_tool("list_inventory", {"limit": 1})),
            kind_of(await client.call_tool("list_inventory", dict(AT_UMAZDA))),
            kind_of(await client.call_tool("quote_payments", {"vin": "3MVDMBBM0SM472067"})),
            answer_of(await client.call_tool("create_customer", {"customer": STEVE, **KEY})),
        ]

    async with connect(name="b", **rights) as b, connect(name="a") as a:
        before = await answers_to_b(b)
        for tool, arguments in calls:
            await a.call_tool(tool, arguments)
        assert await answers_to_b(b) == before
