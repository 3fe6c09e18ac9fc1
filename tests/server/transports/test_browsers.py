"""Pages in browsers: what a browser asks in advance, what it may read of an answer, and for which origins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadster_server.transports.http.guards import live_host_rules
from tests.conftest import settings_for
from tests.servers import PATIENCE, free_port, serving

from .test_http import INITIALIZE, LIST_TOOLS, READER, SALES, SECRETS, write_config

pytestmark = pytest.mark.anyio

PAGE = "https://chat.example.com"
HTTP_SECTION = """
[http]
allowed_hosts = ["MCP.example.com", "mcp.example.com:8443"]
allowed_origins = ["https://chat.example.com", "https://Second.example.com:8443"]
"""
FOREIGN_ORIGINS = [
    "https://evil.example",
    "http://chat.example.com",
    "https://chat.example.com:444",
    "https://chat.example.com.evil.example",
    "https://chat.example.com.",
    "https://chat.example.com/",
    "null",
    "*",
]
GUARDED = ["/mcp", "/mcp/", "/sse", "/sse/", "/messages", "/messages/"]
READ_HEADERS = {"mcp-session-id", "www-authenticate"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    config = write_config(tmp_path_factory.mktemp("http"), upstream, HTTP_SECTION)
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield f"http://127.0.0.1:{port}"


def named(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


def grants(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def preflight(method: str, headers: str, origin: str = PAGE) -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


async def test_page_works_in_the_sequence_of_a_browser(server: str) -> None:
    """As the Fetch standard has it: a preflight before each request, and only exposed headers are read."""

    async def fetch(method: str, body: Any = None, **more: str) -> httpx2.Response:
        wanted = {**ACCEPT, "Authorization": f"Bearer {SALES}", "Content-Type": "application/json", **more}
        unsafe = ",".join(sorted(name.lower() for name in wanted if name != "Accept"))
        asked = await http.options(f"{server}/mcp", headers=preflight(method, unsafe))
        assert asked.status_code in (200, 204)
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert method in asked.headers["access-control-allow-methods"]
        assert named(unsafe) <= named(asked.headers["access-control-allow-headers"])
        content = json.dumps(body) if body else None
        response = await http.request(method, f"{server}/mcp", headers={**wanted, "Origin": PAGE}, content=content)
        assert response.headers["access-control-allow-origin"] == PAGE
        assert named(response.headers["access-control-expose-headers"]) >= READ_HEADERS
        assert "Origin" in response.headers["vary"]
        return response

    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        opened = await fetch("POST", INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
        assert '"tools"' in (await fetch("POST", LIST_TOOLS, **session)).text
        assert (await fetch("DELETE", **session)).status_code == 200
        assert (await fetch("POST", LIST_TOOLS, **session)).status_code == 404
        modern = {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list", "Mcp-Param-Dealer": "x"}
        await fetch("POST", LIST_TOOLS, **modern, **{"Last-Event-ID": "1"})


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("origin", [PAGE, "https://second.example.com:8443"])
async def test_preflight_needs_no_token(origin: str, path: str, server: str) -> None:
    for more in ({}, {"Authorization": "Bearer wrong"}, {"Access-Control-Request-Private-Network": "true"}):
        headers = preflight("POST", "authorization, content-type, mcp-protocol-version", origin) | more
        response = httpx2.options(server + path, headers=headers, timeout=PATIENCE)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ("Mcp-Param-Dealer,mcp-method", 200),
        ("MCP-Session-Id , authorization", 200),
        ("", 200),
        ("x-other", 400),
        ("mcp-method, x-other", 400),
        ("mcpx", 400),
    ],
)
async def test_preflight_allows_the_headers_of_the_protocol_and_no_others(names: str, status: int, server: str) -> None:
    for _ in range(2):  # nothing is left of the request before
        response = httpx2.options(f"{server}/mcp", headers=preflight("POST", names), timeout=PATIENCE)
        assert response.status_code == status
        allowed = named(response.headers["access-control-allow-headers"])
        assert {name for name in allowed if name.startswith("mcp-")} == {
            name for name in named(names) if name.startswith("mcp-")
        }


async def test_rules_of_hosts_are_made_once_for_each_loading() -> None:
    closed = settings_for("")
    current = closed.model_copy(update={"http": closed.http.model_copy(update={"allowed_origins": [PAGE]})})
    rules = live_host_rules(lambda: current, 8000)
    assert rules() is rules()
    assert PAGE in rules().origins
    current = closed
    assert rules() is rules()
    assert PAGE not in rules().origins


@pytest.mark.parametrize("path", [*GUARDED, "/healthz", "/metrics", "/webhooks/roadster"])
@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_other_origins_get_nothing(origin: str, path: str, server: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE, headers={"Authorization": f"Bearer {SALES}"}) as http:
        for method, headers in (("OPTIONS", preflight("POST", "authorization", origin)), ("POST", {"Origin": origin})):
            response = await http.request(method, server + path, headers=headers)
            assert grants(response) == {}
            assert response.status_code == (403 if path in GUARDED else 405 if "webhooks" not in path else 404) or (
                "/healthz" in path or "/metrics" in path
            )


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (401, "/mcp", INITIALIZE, {"Authorization": ""}),
        (401, "/mcp", INITIALIZE, {"Authorization": "Bearer wrong"}),
        (401, "/sse", None, {"Authorization": "Bearer wrong"}),
        (400, "/mcp", {"id": 7}, {}),
        (400, "/messages/", [], {}),
        (400, "/mcp", LIST_TOOLS, {}),
        (404, "/mcp", LIST_TOOLS, {"Mcp-Session-Id": "0"}),
        (404, "/nowhere", LIST_TOOLS, {}),
        (406, "/mcp", INITIALIZE, {"Accept": "text/html"}),
        (413, "/mcp", {"a": "x" * (4 * 1024 * 1024)}, {}),
        (421, "/mcp", INITIALIZE, {"Host": "evil.example"}),
    ],
)
async def test_page_reads_refusals(status: int, path: str, body: Any, headers: dict[str, str], server: str) -> None:
    sent = {**ACCEPT, "Content-Type": "application/json", "Authorization": f"Bearer {SALES}", "Origin": PAGE, **headers}
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        response = await http.request(
            "POST" if body is not None else "GET", server + path, headers=sent, content=json.dumps(body)
        )
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == PAGE
    assert named(response.headers["access-control-expose-headers"]) >= READ_HEADERS


async def test_preflight_does_not_pass_a_foreign_host(server: str) -> None:
    headers = {**preflight("POST", "authorization"), "Host": "evil.example"}
    assert httpx2.options(f"{server}/mcp", headers=headers, timeout=PATIENCE).status_code == 421


# Sessions


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("POST", LIST_TOOLS, {}),
        ("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}, {}),
        ("POST", INITIALIZE, {"Accept": "text/html"}),
        ("POST", INITIALIZE, {"Content-Type": "text/plain"}),
        ("POST", {"id": 1.5, "jsonrpc": "2.0", "method": "ping"}, {}),
        ("GET", None, {}),
        ("DELETE", None, {}),
        ("PUT", None, {}),
    ],
)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
async def test_refusal_names_no_session(
    method: str, body: Any, headers: dict[str, str], path: str, server: str
) -> None:
    """The client would go on with a session that does not exist."""
    sent = {**ACCEPT, "Content-Type": "application/json", "Authorization": f"Bearer {READER}", **headers}
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        response = await http.request(method, server + path, headers=sent, content=json.dumps(body) if body else None)
    assert 400 <= response.status_code < 500
    assert "mcp-session-id" not in response.headers


# Hosts


def cased(text: str) -> st.SearchStrategy[str]:
    """Returns `text` with any of its letters in capitals."""
    return st.tuples(*(st.sampled_from(sorted({letter.lower(), letter.upper()})) for letter in text)).map("".join)


@given(st.sampled_from(["mcp.example.com", "mcp.example.com:8443", "mcp.example.com.", "localhost"]).flatmap(cased))
async def test_host_may_have_capitals_and_end_with_a_dot(server: str, host: str) -> None:
    here = server.rpartition(":")[2]
    sent = f"{host}:{here}" if host.lower() == "localhost" else host
    assert httpx2.post(f"{server}/mcp", headers={"Host": sent}, timeout=PATIENCE).status_code == 401


@given(cased(PAGE))
async def test_origin_may_have_capitals(server: str, origin: str) -> None:
    response = httpx2.post(f"{server}/mcp", headers={"Origin": origin}, timeout=PATIENCE)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, origin)


@pytest.mark.parametrize(
    "host",
    [
        "mcp.example.com..",
        ".mcp.example.com",
        "mcp.example.com:8444",
        "mcp.example.com.evil.example",
        "mcp_example.com",
        ".",
    ],
)
async def test_other_hosts_are_refused(host: str, server: str) -> None:
    assert httpx2.post(f"{server}/mcp", headers={"Host": host}, timeout=PATIENCE).status_code == 421
