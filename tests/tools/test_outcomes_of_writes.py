"""A write counts as done only if its answer shows it, and an answer that no document shows is never an absence."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from roadster_client import OPERATIONS
from roadster_client.upstream.upstream import EXCHANGE
from roadster_tools import TOOLS
from tests.conftest import SAMPLES, Answering, Connect, World, answer_of, kind_of, own_delivery, response, text_of
from tests.tool_examples import DELIVERY_ID, TOOL_EXAMPLES

pytestmark = pytest.mark.anyio

LOCAL = {"list_customer_events", "get_customer", "search_customers", "get_approval"}
"""Tools that read only the store."""

REFUSING: list[Any] = [
    *({"error": "x"}, {"error": {"code": 5}}, {"errors": ["x"]}, {"Error": True}, {"errorMessage": "no such agent"}),
    *({"success": False}, {"success": "false"}, {"Success": 0}, {"ok": False}),
    *({"status": status} for status in ("error", " Error ", "FAILED", "failure", "pending", "not ok", 500, "queued")),
    *({"message": text} for text in ("failed", "Error: not allowed", "Not deleted", "deleted 0 documents")),
    *({"status": "failed", "message": "Successfully deleted document"}, {"message": "Unsuccessfully deleted"}),
    *([], None, "text", 17, True),
]
"""Bodies of a 200 in which no write was done."""

UNDOCUMENTED: dict[str, list[Any]] = {
    "assign_agent": [{}, {"customer": {}}, {"customer": {"first_name": None}}, {"customer": "x"}, {"agent": {"id": 1}}],
    "create_template": [{}, {"etag": None}, {"etag": ""}, {"checksum_sha1": 5}, {"id": 5}],
    "delete_documents": [{}, {"message": None}, {"message": ""}, {"message": 5}, {"deleted": [7]}],
    "cancel_delivery": [
        {},
        *({"id": DELIVERY_ID, "state": state} for state in ("scheduled", "en_route", 5, None, ["canceled"])),
        {"id": DELIVERY_ID},
    ],
    **{
        tool: [{}, {"status": "ok"}, {"id": None}]
        for tool in (
            "create_customer",
            "submit_trade_valuation",
            "upload_document",
            "create_delivery",
            "update_delivery",
        )
    },
    "create_forms": [],
}
"""Further bodies that do not show what the write should have made, by tool."""

DONE: dict[str, list[Any]] = {
    "assign_agent": [
        json.loads((SAMPLES / "customers_update.resp.json").read_text()),
        *({"status": "OK"}, {"customer": {"first_name": "Steve"}}, {"status": "ok", "error": None, "errors": []}),
    ],
    "create_template": [json.loads((SAMPLES / "template_create.resp.json").read_text()), {"etag": "e9feaffe"}],
    "delete_documents": [
        json.loads((SAMPLES / "docs_delete.resp.json").read_text()),
        *({"message": "Successfully deleted 2 documents."}, {"status": "success"}, {"message": "Deleted"}),
    ],
    "create_forms": [{}, {"status": "ok"}, {"packet": 5}, {"success": True}],
    "cancel_delivery": [httpx2.codes.NO_CONTENT, httpx2.codes.OK, {"id": DELIVERY_ID, "state": "Canceled "}],
}
"""Bodies that show that it was done, or the status of an answer without a body, by tool."""

WRITES = {name: tool for name, tool in TOOLS.items() if tool.writes}


def arguments_of(tool: str) -> dict[str, Any]:
    return {
        **TOOL_EXAMPLES[tool].arguments,
        **({} if tool in ("list_dealers", "get_approval") else {"dealer": "umazda"}),
    }


def upstream_of(world: World, tool: str, answer: Any) -> Answering:
    """Returns the sandbox, except for the operation that the tool calls last, or for all where it only reads."""

    def instead(request: httpx2.Request) -> Any:
        operation = OPERATIONS[request.extensions[EXCHANGE].operation.name]
        if tool in WRITES and not operation.writes:
            return None
        if isinstance(answer, httpx2.codes):
            return httpx2.Response(answer, stream=httpx2.ByteStream(b""))
        return response(answer)

    return Answering(world, instead)


async def call(tool: str, answer: Any, connect: Connect, world: World, store_url: str) -> Any:
    async with connect() as client:  # makes what the write is about
        for name in ("create_customer", "upload_document"):
            assert kind_of(await client.call_tool(name, arguments_of(name))) is None
    await own_delivery(store_url)
    async with connect(upstream=upstream_of(world, tool, answer)) as client:
        return await client.call_tool(tool, arguments_of(tool))


@pytest.mark.parametrize("tool", WRITES)
async def test_answer_that_does_not_show_it_is_no_success(
    tool: str, connect: Connect, world: World, store_url: str
) -> None:
    for answer in [*REFUSING, *UNDOCUMENTED[tool]]:
        result = await call(tool, answer, connect, world, store_url)
        assert kind_of(result) in ("outcome_unknown", "upstream"), (answer, text_of(result))
        is_refused = "status" in str(answer).lower() and kind_of(result) == "upstream"
        assert is_refused or "may or may not have been done" in text_of(result), (answer, text_of(result))


@pytest.mark.parametrize(("tool", "answer"), [(tool, each) for tool in DONE for each in DONE[tool]], ids=str)
async def test_answer_that_shows_it_is_a_success(
    tool: str, answer: Any, connect: Connect, world: World, store_url: str
) -> None:
    answer_of(await call(tool, answer, connect, world, store_url))


ABSENCE = (
    "no such",
    "No vehicle",
    "has no vehicle",
    "No plan",
    "is empty",
    "Nothing in",
    "has none",
    "No dealer",
    "not found",
)
EMPTY_LISTS = ("list_dealers", "list_documents", "list_templates")
"""Their answer is a list, so that an empty one says that there is none."""


@pytest.mark.parametrize("answer", [{"error": "x"}, {}, [], None, "text", {"success": False}], ids=str)
@pytest.mark.parametrize("tool", sorted(TOOLS.keys() - WRITES.keys() - LOCAL))
async def test_answer_of_no_document_is_no_absence(
    tool: str, answer: Any, connect: Connect, world: World, store_url: str
) -> None:
    if answer == [] and tool in EMPTY_LISTS:
        return
    await own_delivery(store_url)
    async with connect(upstream=upstream_of(world, tool, answer)) as client:
        result = await client.call_tool(tool, arguments_of(tool))
    if kind_of(result) is None:
        assert "could not be read" in text_of(result) or "Left out" in text_of(result), text_of(result)
    else:
        assert kind_of(result) in ("upstream", "refused"), text_of(result)
    assert not [words for words in ABSENCE if words in text_of(result)], text_of(result)
