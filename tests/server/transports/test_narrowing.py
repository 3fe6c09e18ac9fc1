"""Connections that are narrowed by their URL or headers, over each way in which a client connects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference

from roadster_server.settings.live import LiveSettings
from roadster_tools import TOOLS
from tests.conftest import answer_of, kind_of, settings_for, text_of
from tests.servers import PATIENCE

from .listening import listening
from .test_http import INITIALIZE, LIST_TOOLS

pytestmark = pytest.mark.anyio

ACCEPT = {"Accept": "application/json, text/event-stream"}
ways = pytest.mark.parametrize("way", ["legacy", "auto", "sse"])


@pytest.fixture
async def server(store_url: str) -> AsyncIterator[str]:
    """Serves a caller without a token, who may write at umazda and hyundaidemo."""
    settings = settings_for(store_url, "local")
    async with listening(LiveSettings(settings)) as url:
        yield url


@asynccontextmanager
async def connect(server: str, way: str, query: str = "", **headers: str) -> AsyncIterator[Client]:
    if way == "sse":
        async with Client(sse_client(f"{server}/sse{query}", headers=headers), mode="legacy") as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{server}/mcp{query}", http_client=http), mode=way) as client,
    ):
        yield client


Wishes = Callable[..., tuple[str, dict[str, str]]]


def in_url(*wishes: str) -> tuple[str, dict[str, str]]:
    return f"?{'&'.join(wishes)}", {}


def in_headers(*wishes: str) -> tuple[str, dict[str, str]]:
    return "", {f"X-Roadster-{key.title()}": value for key, value in (wish.split("=") for wish in wishes)}


places = pytest.mark.parametrize("wishes_in", [in_url, in_headers])


@ways
@places
async def test_a_narrowed_connection_has_only_the_dealers_that_it_names(
    way: str, wishes_in: Wishes, server: str
) -> None:
    query, headers = wishes_in("dealers=umazda")
    async with connect(server, way, query, **headers) as client:
        assert "Your dealer is umazda" in (client.instructions or "")
        assert [row["dpid"] for row in answer_of(await client.call_tool("list_dealers"))["dealers"]] == ["umazda"]
        refused = await client.call_tool("list_inventory", {"dealer": "hyundaidemo"})
        assert kind_of(refused) == "refused"
        assert "umazda" in text_of(refused)
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert uris
        assert not [uri for uri in uris if "hyundaidemo" in uri]
        with pytest.raises(MCPError):
            await client.read_resource("roadster://hyundaidemo/dealer")
        argument = {"name": "dealer", "value": ""}
        completion = await client.complete(PromptReference(type="ref/prompt", name="compare_payments"), argument)
        assert completion.completion.values == ["umazda"]


@ways
@places
async def test_a_narrowed_connection_has_only_the_toolsets_that_it_names(
    way: str, wishes_in: Wishes, server: str
) -> None:
    query, headers = wishes_in("toolsets=inventory, payments")
    async with connect(server, way, query.replace(" ", "%20"), **headers) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == [name for name, tool in TOOLS.items() if tool.toolset in ("inventory", "payments")]
        assert kind_of(await client.call_tool("list_dealers")) == "refused"
        assert "prepare_forms" not in [prompt.name for prompt in (await client.list_prompts()).prompts]


@ways
@places
async def test_a_read_only_connection_writes_nothing(way: str, wishes_in: Wishes, server: str) -> None:
    query, headers = wishes_in("readonly=true")
    async with connect(server, way, query, **headers) as client:
        assert "You can read, and write nothing." in (client.instructions or "")
        assert not [tool.name for tool in (await client.list_tools()).tools if TOOLS[tool.name].writes]
        customer = {"first_name": "Steve", "last_name": "McQueen", "email": "steve@example.com"}
        refused = await client.call_tool("create_customer", {"dealer": "umazda", "customer": customer})
        assert kind_of(refused) == "refused"


async def test_url_and_headers_narrow_together(server: str) -> None:
    async with connect(server, "auto", "?dealers=umazda,hyundaidemo", **{"X-Roadster-Dealers": "umazda"}) as client:
        assert "Your dealer is umazda" in (client.instructions or "")


async def test_a_session_stays_as_narrow_as_it_was_opened(server: str) -> None:
    async with httpx2.AsyncClient(headers=ACCEPT, timeout=PATIENCE) as http:
        opened = await http.post(f"{server}/mcp?readonly=true", json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        await http.post(
            f"{server}/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session
        )
        tools = await http.post(f"{server}/mcp", json=LIST_TOOLS, headers=session)
        assert '"list_dealers"' in tools.text
        assert '"create_customer"' not in tools.text
        tools = await http.post(f"{server}/mcp?toolsets=payments", json=LIST_TOOLS, headers=session)
        assert '"list_dealers"' not in tools.text


MISTAKES = {
    "?dealers=toyotademo": "dealers in the URL, name 1: callers.local.dealers does not name this dealer",
    "?dealers=umazda,Umazda": "dealers in the URL, name 2: callers.local.dealers does not name this dealer",
    "?dealers=": "dealers in the URL lacks a name",
    "?toolsets=inventory,": "toolsets in the URL lacks a name",
    "?toolsets=inventori": "toolsets in the URL, name 1: there is no such toolset; one of ",
    "?readonly=yes": "readonly in the URL must be true or false",
    "?readonly": "readonly in the URL must be true or false",
    "?dealer=umazda": "the URL knows only dealers, toolsets, readonly",
    "?dealers=umazda&dealers=hyundaidemo": "dealers in the URL is there twice",
}


@pytest.mark.parametrize("query", MISTAKES)
@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_a_mistake_in_a_narrowing_is_refused_in_words(path: str, query: str, server: str) -> None:
    async with httpx2.AsyncClient(headers=ACCEPT, timeout=PATIENCE) as http:
        if path == "/sse":
            answer = await http.get(f"{server}{path}{query}")
        else:
            answer = await http.post(f"{server}{path}{query}", json=INITIALIZE)
            assert answer.json()["id"] == 1
    assert answer.status_code == 400
    assert MISTAKES[query] in answer.json()["error"]["message"]


@pytest.mark.parametrize("header", [("X-Roadster-Dealer", "umazda"), ("X-Roadster-Readonly", "on")])
async def test_a_mistake_in_a_header_is_refused_in_words(header: tuple[str, str], server: str) -> None:
    async with httpx2.AsyncClient(headers=[*ACCEPT.items(), header], timeout=PATIENCE) as http:
        answer = await http.post(f"{server}/mcp", json=INITIALIZE)
    assert answer.status_code == 400
    assert "X-Roadster-" in answer.json()["error"]["message"]


async def test_a_repeated_header_is_refused(server: str) -> None:
    headers = [*ACCEPT.items(), ("X-Roadster-Dealers", "umazda"), ("X-Roadster-Dealers", "hyundaidemo")]
    async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        answer = await http.post(f"{server}/mcp", json=INITIALIZE)
    assert answer.status_code == 400
    assert "X-Roadster-Dealers is there twice" in answer.json()["error"]["message"]


async def test_readonly_false_narrows_nothing(server: str) -> None:
    async with connect(server, "auto", "?readonly=false") as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)


async def test_a_cursor_gives_a_narrower_connection_nothing_more(server: str) -> None:
    async with connect(server, "auto") as client:
        first = answer_of(await client.call_tool("list_dealers", {"limit": 1}))
    async with connect(server, "auto", "?dealers=umazda") as client:
        arguments = {"limit": 1, "cursor": first["next_cursor"]}
        second = await client.call_tool("list_dealers", arguments)
        assert "hyundaidemo" not in text_of(second)


async def test_a_key_of_a_write_gives_a_read_only_connection_no_answer(server: str) -> None:
    customer = {"first_name": "Steve", "last_name": "McQueen", "email": "steve@example.com"}
    write = {"dealer": "umazda", "customer": customer, "idempotency_key": "narrow-0001"}
    async with connect(server, "auto") as client:
        assert answer_of(await client.call_tool("create_customer", write))
    async with connect(server, "auto", "?readonly=true") as client:
        assert kind_of(await client.call_tool("create_customer", write)) == "refused"
