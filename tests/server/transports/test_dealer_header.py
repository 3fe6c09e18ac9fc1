"""The header Mcp-Param-dealer of protocol 2026-07-28, by which a gateway can route and meter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import httpx2
import pytest
from bench.tokens import MOST_BYTES_OF_THE_LIST, compact
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map

from roadster_server.cli.formats import Form, render
from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS
from tests.conftest import Connect, answer_of, settings_for
from tests.servers import PATIENCE

from .listening import listening
from .test_streams import ACCEPT, MODERN

pytestmark = pytest.mark.anyio

HEADERS = ACCEPT | {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "get_dealer"}
HEADER_MISMATCH = -32020


@pytest.fixture
async def server(store_url: str) -> AsyncIterator[str]:
    async with listening(LiveSettings(settings_for(store_url, "local"))) as url:
        yield url


def schemas_of(tools: Any) -> dict[str, dict[str, Any]]:
    return {tool.name: tool.input_schema for tool in tools.tools}


async def test_the_dealer_of_each_call_is_repeated_in_a_header(server: str) -> None:
    seen: list[str | None] = []

    async def note(request: httpx2.Request) -> None:
        if request.headers.get("mcp-method") == "tools/call":
            seen.append(request.headers.get("mcp-param-dealer"))

    async with (
        httpx2.AsyncClient(timeout=PATIENCE, event_hooks={"request": [note]}) as http,
        Client(streamable_http_client(f"{server}/mcp", http_client=http), mode="2026-07-28") as client,
    ):
        listed = await client.list_tools()
        for name, schema in schemas_of(listed).items():
            assert find_invalid_x_mcp_header(schema) is None
            assert x_mcp_header_map(schema) == ({("dealer",): "dealer"} if TOOLS[name].of_one_dealer else {})
        sent = compact(listed.model_dump(mode="json", by_alias=True, exclude_none=True))
        assert len(sent.encode()) <= MOST_BYTES_OF_THE_LIST
        assert answer_of(await client.call_tool("get_dealer", {"dealer": "hyundaidemo"}))["dpid"] == "hyundaidemo"
        assert answer_of(await client.call_tool("list_dealers"))["dealers"]
    assert seen == ["hyundaidemo", None]


@pytest.mark.parametrize("way", ["legacy", "stdio"])
async def test_clients_without_such_headers_get_the_schemas_as_they_are(
    way: str, server: str, connect: Connect
) -> None:
    plain = {name: tool.input_schema for name, tool in TOOLS.items()}
    if way == "stdio":
        async with connect(mode="2026-07-28") as client:
            assert schemas_of(await client.list_tools()) == plain
        return
    async with (
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{server}/mcp", http_client=http), mode="legacy") as client,
    ):
        assert schemas_of(await client.list_tools()) == plain


@pytest.mark.parametrize("form", get_args(Form))
def test_no_format_of_the_command_line_has_the_mark(form: Form) -> None:
    assert "x-mcp-header" not in render(TOOLS.values(), form)


@pytest.mark.parametrize(
    ("dealer", "header", "problem"),
    [
        ("umazda", "hyundaidemo", "does not match"),
        (None, "umazda", "is absent"),
        ("umazda", "Umazda", "does not match"),
        ("umazda", "=?base64?dW1hemRh?=", None),
        ("umazda", "umazda", None),
        ("umazda", None, None),  # of a script that has not listed the tools
    ],
)
async def test_a_call_whose_header_and_arguments_differ_is_refused(
    dealer: str | None, header: str | None, problem: str | None, server: str
) -> None:
    arguments = {} if dealer is None else {"dealer": dealer}
    params = {"name": "get_dealer", "arguments": arguments, "_meta": MODERN}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = HEADERS if header is None else HEADERS | {"Mcp-Param-dealer": header}
    async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        answer = await http.post(f"{server}/mcp", json=call)
    if problem is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == HEADER_MISMATCH
    assert problem in error["message"]
