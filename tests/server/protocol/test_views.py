"""Views: who is told of them, who may read them, and what is in them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from roadster_server.calls.results import FAILURE_META
from roadster_server.calls.view_hosts import EXTENSION, MIME_TYPE, shows_views
from roadster_server.protocol.views import ANSWER_VIEWS, CARD, View
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_tools import TOOLS
from tests.conftest import Connect, settings_for

from .test_opening import (
    CAPABILITIES_KEY,
    INITIALIZED,
    META,
    Backend,
    SandboxTransport,
    conversation,
    create_app,
    handshake,
    line_of,
    request,
)

ANSWERS = [*ANSWER_VIEWS.values()]
every_view = pytest.mark.parametrize("view", [*ANSWERS, CARD], ids=lambda view: view.file_name)
SHOWS = {EXTENSION_ID: {"mimeTypes": [APP_MIME_TYPE]}}
eras = pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])


def test_names_are_those_of_the_sdk() -> None:
    assert (EXTENSION, MIME_TYPE) == (EXTENSION_ID, APP_MIME_TYPE)


@pytest.mark.parametrize(
    "extensions",
    [
        None,
        {},
        {EXTENSION_ID: None},
        {EXTENSION_ID: {}},
        {EXTENSION_ID: {"mimeTypes": APP_MIME_TYPE}},
        {EXTENSION_ID: {"mimeTypes": ["text/html"]}},
        {"io.modelcontextprotocol/tasks": {"mimeTypes": [APP_MIME_TYPE]}},
        [EXTENSION_ID],
    ],
)
def test_a_client_shows_views_only_if_it_says_so_in_full(extensions: Any) -> None:
    assert not shows_views(extensions)
    assert shows_views(SHOWS)


async def wire(
    era: str, capabilities: dict[str, Any], store_url: str, two_person: Sequence[str] = (), **caller: Any
) -> tuple[bytes, bytes, bytes, bytes]:
    """Returns what is sent as introduction, list of tools, list of resources, and answer of a quote."""
    meta = {"_meta": {**META, CAPABILITIES_KEY: capabilities}} if era == "2026-07-28" else {}
    call = {"name": "list_inventory", "arguments": {"dealer": "umazda", "limit": 1}}
    opening = [request("server/discover", meta)] if meta else [handshake(era, **capabilities), INITIALIZED]
    requests = [
        *opening,
        request("tools/list", meta, 1),
        request("resources/list", meta, 2),
        request("tools/call", {**call, **meta}, 3),
    ]
    settings = settings_for(store_url, **caller)
    settings = settings.model_copy(update={"approvals": ApprovalSettings(two_person=[*two_person])})
    backend = Backend(LiveSettings(settings), SandboxTransport(create_app(7)))
    async with backend.open_server("tester") as (server, _calls), conversation(server) as answer:
        lines = [line for message in requests if (line := await answer(line_of(message)))]
    introduction, tools, resources, call_answer = lines
    return introduction, tools, resources, call_answer


@pytest.mark.anyio
@eras
async def test_a_host_that_shows_no_views_gets_no_byte_of_them(era: str, store_url: str) -> None:
    other = {"extensions": {"io.modelcontextprotocol/other": {}}, "elicitation": {}}
    for line in await wire(era, other, store_url):
        assert b"ui" + b"://" not in line
        assert b'"_meta"' not in line or era == "2026-07-28"
        assert EXTENSION.encode() not in line
        assert b"resourceUri" not in line


@pytest.mark.anyio
@eras
async def test_a_host_that_shows_views_is_told_of_them_and_of_nothing_else(era: str, store_url: str) -> None:
    plain = [json.loads(line)["result"] for line in await wire(era, {}, store_url)]
    introduction, tools, *others = (
        json.loads(line)["result"] for line in await wire(era, {"extensions": SHOWS}, store_url)
    )
    assert introduction["capabilities"].pop("extensions") == {EXTENSION: {}}
    metas = {row["name"]: row.pop("_meta") for row in tools["tools"] if "_meta" in row}
    assert metas == {name: _meta_of(view) for name, view in ANSWER_VIEWS.items()}
    assert [introduction, tools, *others] == plain


def _meta_of(view: View) -> dict[str, Any]:
    return {"ui": {"resourceUri": view.uri}, "ui/resourceUri": view.uri}


@pytest.mark.anyio
@eras
async def test_the_card_is_the_view_of_writes_that_may_be_confirmed_by_it(era: str, store_url: str) -> None:
    rights = {"access": {"inventory": "read", "customers": "confirm", "documents": "write"}}
    capabilities = {"extensions": SHOWS}
    for ways, views in ((["form", "page"], {}), (["form", "card"], {"create_customer": CARD})):
        _, tools, *_ = await wire(era, capabilities, store_url, **rights, confirm_by=ways)
        rows = {row["name"]: row.get("_meta") for row in json.loads(tools)["result"]["tools"]}
        assert rows["upload_document"] is None
        assert {name: meta for name, meta in rows.items() if name == "create_customer" and meta} == {
            name: _meta_of(view) for name, view in views.items()
        }


@pytest.mark.anyio
@eras
async def test_no_write_that_wants_two_people_names_the_card(era: str, store_url: str) -> None:
    rights = {"access": {"customers": "confirm", "documents": "confirm"}, "confirm_by": ["card"]}
    _, tools, *_ = await wire(era, {"extensions": SHOWS}, store_url, two_person=["documents", "assign_agent"], **rights)
    rows = json.loads(tools)["result"]["tools"]
    assert [row["name"] for row in rows if "_meta" in row] == ["create_customer", "submit_trade_valuation"]


async def document(client: Client, view: View) -> TextResourceContents:
    (content,) = (await client.read_resource(view.uri)).contents
    assert isinstance(content, TextResourceContents)
    return content


@pytest.mark.anyio
@every_view
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_view_is_one_document_without_a_foreign_host(view: View, mode: str, connect: Connect) -> None:
    async with connect(mode=mode, confirm_by=["card"]) as client:
        content = await document(client, view)
    assert (content.uri, content.mime_type) == (view.uri, MIME_TYPE)
    assert content.meta == {"ui": {"csp": {}, "prefersBorder": False}}
    assert content.text.startswith("<!doctype html>")
    markup = re.sub(r"<(script|style)>.*?</\1>", "", content.text, flags=re.DOTALL)
    assert re.search(r"<(?:script|style|img|iframe|link)| (?:src|href|on\w+)=", markup) is None
    (style,) = re.findall(r"<style>(.*?)</style>", content.text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", content.text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert f"default-src 'none'; script-src {hash_of(script)}; style-src {hash_of(style)};" in markup


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.anyio
@pytest.mark.parametrize(("tool_name", "view"), [*ANSWER_VIEWS.items(), (None, CARD)])
async def test_a_view_needs_the_right_to_its_tool(tool_name: str | None, view: View, connect: Connect) -> None:
    access = {} if tool_name is None else {"access": {TOOLS[tool_name].toolset: "off"}}
    async with connect(**access) as client:
        with pytest.raises(MCPError) as error:
            await client.read_resource(view.uri)
    assert error.value.error.data is not None
    assert error.value.error.data[FAILURE_META] == "invalid_arguments"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "uri", ["ui://roadster/", "ui://roadster/other", "ui://roadster/quote/", "UI://roadster/quote"]
)
async def test_no_other_address_is_a_view(uri: str, connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError):
            await client.read_resource(uri)


@pytest.mark.anyio
async def test_reading_a_view_counts_as_a_call(connect: Connect) -> None:
    async with connect(calls_per_minute=2) as client:
        await document(client, ANSWERS[0])
        await document(client, ANSWERS[0])
        with pytest.raises(MCPError, match="2 calls a minute"):
            await client.read_resource(ANSWERS[0].uri)


def test_every_document_is_of_a_view() -> None:
    folder = Path(__file__).parents[3] / "server" / "roadster_server" / "views"
    assert {path.name for path in folder.glob("*.html")} == {view.file_name for view in [*ANSWERS, CARD]}
