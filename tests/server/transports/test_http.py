"""HTTP as hosts meet it: real sockets, both protocol eras, legacy SSE, tokens, Host and Origin."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference

from roadster_server.transports.http.listening.sockets import listen
from roadster_tools import TOOLS
from tests.command_line import run_cli
from tests.conftest import CONFIG, answer_of, kind_of, text_of
from tests.servers import PATIENCE, free_port, serving, until
from tests.tool_examples import CARLOS_UUID, DELIVERY, LICENCE_PNG, STEVE

pytestmark = pytest.mark.anyio

SALES, READER = "sales-token", "reader-token"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


def write_config(folder: Path, upstream: str, more: str = "") -> Path:
    path = folder / "roadster.toml"
    path.write_text(
        CONFIG.replace("env:STORE_URL", f"sqlite:///{folder}/store.db").format(
            base_url=f"{upstream}/v1",
            sales_token=hashlib.sha256(SALES.encode()).hexdigest(),
            reader_token=hashlib.sha256(READER.encode()).hexdigest(),
        )
        + MYKAARMA.format(upstream=upstream)
        + ROADIE.format(upstream=upstream)
        + more
    )
    return path


ROADIE = """
[roadie]
base_url = "{upstream}/roadie/v1"
token = "env:ROADSTER_API_KEY"
"""
MYKAARMA = """
[mykaarma]
base_url = "{upstream}/mykaarma/customer/v2"
username = "env:MYKAARMA_USERNAME"
password = "env:ROADSTER_API_KEY"
requester_user_uuid = "6f1d2a54-8a07-4f0e-9d3c-0d6a54b0f7c1"
"""
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "UMAZDA_LINK_KEY": "k" * 32, "MYKAARMA_USERNAME": "sandbox"}


@pytest.fixture(scope="module")
def server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves over HTTP against a sandbox, each on a socket of its own."""
    config = write_config(tmp_path_factory.mktemp("http"), upstream)
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def connect_over(server: str, way: str, token: str = SALES) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    if way == "sse":
        async with Client(sse_client(f"{server}/sse", headers=headers), mode="legacy") as client:
            yield client
    else:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
            Client(streamable_http_client(f"{server}/mcp", http_client=http), mode=way) as client,
        ):
            yield client


ways = pytest.mark.parametrize("way", ["legacy", "2026-07-28", "auto", "sse"])


@ways
async def test_http_serves_all_tools_over_a_real_socket(way: str, server: str, upstream: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        await http.post(f"{upstream}/__sandbox/reset", json={})
    at = {"dealer": "umazda"}
    async with connect_over(server, way) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert len(answer_of(await client.call_tool("list_dealers"))["dealers"]) == 2
        inventory = answer_of(await client.call_tool("list_inventory", {**at, "body": "SUV", "limit": 2}))
        vin = inventory["vehicles"][0]["vin"]
        assert answer_of(await client.call_tool("get_vehicle", {**at, "vin": vin}))["vin"] == vin
        assert answer_of(await client.call_tool("quote_payments", {**at, "vin": vin}))["lease"]["monthly_payment"] > 0
        customer = answer_of(await client.call_tool("create_customer", {**at, "customer": STEVE}))
        document = {
            "customer_id": customer["customer_id"],
            "document_type": "license",
            "document_name": "DL Front",
            "file_name": "license.png",
            "relationship": "self",
            "contents": LICENCE_PNG,
        }
        assert answer_of(await client.call_tool("upload_document", {**at, **document}))["document_id"]
        await the_rest(client, {**at, "customer_id": customer["customer_id"]}, vin)
        link = await client.call_tool("build_deep_link", {**at, "vin": vin, "customer": STEVE})
        assert "mem=" in answer_of(link)["url"]
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"


async def the_rest(client: Client, of_customer: dict[str, Any], vin: str) -> None:
    at = {"dealer": of_customer["dealer"]}
    assert answer_of(await client.call_tool("get_dealer", at))["fees"]["doc_fee"] == 200
    plans = {**at, "vin": vin, "deal_type": "cash"}
    assert answer_of(await client.call_tool("list_protection_plans", plans))["plans"]
    assert answer_of(await client.call_tool("assign_agent", {**of_customer, "agent": {"id": "ID9876"}}))["assigned"]
    offer = {**at, "email": STEVE["email"], "vin": "4T1C11AK0LU322811", "value": 9000}
    valuation = answer_of(await client.call_tool("submit_trade_valuation", offer))
    assert valuation["customer_id"] == of_customer["customer_id"]
    (document,) = answer_of(await client.call_tool("list_documents", of_customer))["documents"]
    file = await client.call_tool("get_document", {**of_customer, "document_id": document["document_id"]})
    assert answer_of(file)["content_type"] == "image/png"
    arguments = {**of_customer, "document_ids": [document["document_id"]]}
    deletion = await client.call_tool("delete_documents", arguments)
    assert kind_of(deletion) == "not_confirmed", "this client can ask nobody"
    assert answer_of(await client.call_tool("get_crm_customer", {**at, "customer_uuid": CARLOS_UUID}))["orders"]
    delivery = answer_of(await client.call_tool("create_delivery", {**at, **DELIVERY}))
    it = {**at, "delivery_id": delivery["delivery_id"]}
    assert (
        answer_of(await client.call_tool("update_delivery", {**it, "reference_id": "RO-4712"}))["state"] == "scheduled"
    )
    assert answer_of(await client.call_tool("get_delivery", it))["reference_id"] == "RO-4712"
    assert kind_of(await client.call_tool("cancel_delivery", it)) == "not_confirmed"


@ways
async def test_token_is_its_caller(way: str, server: str) -> None:
    async with connect_over(server, way, READER) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_inventory", "get_vehicle"]
        assert answer_of(await client.call_tool("list_inventory", {"limit": 1}))["vehicles"][0]["make"] == "Hyundai"
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "umazda"})) == "refused"
        assert kind_of(await client.call_tool("quote_payments", {"vin": "3MVDMBBM0SM472067"})) == "refused"


@pytest.mark.parametrize("way", ["legacy", "auto", "sse"])
async def test_token_has_its_own_instructions_resources_and_prompts(way: str, server: str) -> None:
    vehicle = ResourceTemplateReference(uri="roadster://{dealer}/vehicles/{vin}")
    async with connect_over(server, way, READER) as reader, connect_over(server, way, SALES) as sales:
        assert "hyundaidemo" in (reader.instructions or "")
        assert "umazda" not in (reader.instructions or "")
        assert "umazda, hyundaidemo" in (sales.instructions or "")
        assert [prompt.name for prompt in (await reader.list_prompts()).prompts] == ["find_alternatives"]
        assert "work_a_lead" in [prompt.name for prompt in (await sales.list_prompts()).prompts]
        assert (await reader.list_resources()).resources == []
        assert [inventory.uri for inventory in (await sales.list_resources()).resources] == [
            "roadster://umazda",
            "roadster://hyundaidemo",
        ]
        assert len((await reader.list_resource_templates()).resource_templates) == 1
        (content,) = (await sales.read_resource("roadster://umazda")).contents
        assert content.mime_type == "application/json"
        for uri in ("roadster://hyundaidemo", "roadster://umazda/vehicles/3MVDMBBM0SM472067"):
            with pytest.raises(MCPError, match="Refused"):
                await reader.read_resource(uri)
        argument = {"name": "vin", "value": ""}
        assert (await sales.complete(vehicle, argument, {"dealer": "umazda"})).completion.values
        assert (await reader.complete(vehicle, argument, {"dealer": "umazda"})).completion.values == []
        assert (await reader.complete(vehicle, argument)).completion.values


async def test_callers_at_once_keep_their_own_rights(server: str) -> None:
    async with connect_over(server, "legacy", READER) as reader, connect_over(server, "legacy", SALES) as sales:
        for _ in range(5):
            assert kind_of(await reader.call_tool("list_inventory", {"dealer": "umazda"})) == "refused"
            assert kind_of(await sales.call_tool("list_inventory", {"dealer": "umazda", "limit": 1})) is None


async def test_http_takes_no_local_file(server: str) -> None:
    async with connect_over(server, "auto") as client:
        result = await client.call_tool(
            "upload_document",
            {
                "dealer": "umazda",
                "customer_id": 1,
                "document_type": "deal",
                "document_name": "x",
                "file_name": "x.png",
                "path": "x.png",
            },
        )
    assert kind_of(result) == "invalid_arguments"
    assert "stdio" in text_of(result)


MCP_ROUTES = [
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages/?session_id=0"),
]


@pytest.mark.parametrize(("method", "path"), MCP_ROUTES)
@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer", "Basic c2FsZXM6eA==", SALES, f"Token {SALES}"]
)
async def test_routes_of_mcp_need_a_token(method: str, path: str, authorization: str | None, server: str) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        response = await http.request(method, server + path, headers=headers, json=INITIALIZE)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_session_belongs_to_its_caller(server: str) -> None:
    """A legacy session id is no credential: another caller's request with it finds no session."""
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(headers=accept, timeout=PATIENCE) as http:
        response = await http.post(f"{server}/mcp", json=INITIALIZE, headers={"Authorization": f"Bearer {SALES}"})
        session = {"Mcp-Session-Id": response.headers["mcp-session-id"], "Mcp-Protocol-Version": "2025-11-25"}
        stolen = await http.post(
            f"{server}/mcp", json=LIST_TOOLS, headers={"Authorization": f"Bearer {READER}", **session}
        )
    assert stolen.status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_foreign_hosts_and_origins_are_refused_on_any_address(host: str, upstream: str, tmp_path: Path) -> None:
    http_section = '[http]\nallowed_hosts = ["mcp.example.com"]\nallowed_origins = ["https://chat.example.com"]\n'
    port = free_port()
    config = write_config(tmp_path, upstream, http_section)
    command = ("serve", "--transport", "http", "--host", host, "--port", str(port), "--config", str(config))
    here = f"127.0.0.1:{port}"
    with serving(*command, url=f"http://{here}/healthz", **SECRETS):
        for path in ("/mcp", "/sse", "/messages/"):
            for header, status in {
                "Host: evil.example": 421,
                f"Host: localhost:{port}.evil.example": 421,
                f"Host: 127.0.0.1:{port + 1}": 421,
                "Origin: http://evil.example": 403,
                f"Origin: http://{here}.evil.example": 403,
                "Origin: null": 403,
                f"Origin: http://{here}": 401,
                "Origin: https://chat.example.com": 401,
                "Host: mcp.example.com": 401,
                f"Host: localhost:{port}": 401,
            }.items():
                name, value = header.split(": ", 1)
                async with httpx2.AsyncClient(timeout=PATIENCE) as http:
                    method = "GET" if path == "/sse" else "POST"
                    response = await http.request(method, f"http://{here}{path}", headers={name: value})
                assert response.status_code == status, (path, header)


async def test_sandbox_needs_no_token_only_on_loopback() -> None:
    for host, status in (("127.0.0.1", 200), ("0.0.0.0", 401)):
        port = free_port()
        command = ("serve", "--transport", "http", "--host", host, "--port", str(port), "--sandbox")
        with serving(*command, url=f"http://127.0.0.1:{port}/healthz"):
            headers = {"Accept": "application/json, text/event-stream"}
            async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
                response = await http.post(f"http://127.0.0.1:{port}/mcp", json=INITIALIZE)
                assert response.status_code == status
                wrong = await http.post(
                    f"http://127.0.0.1:{port}/mcp", json=INITIALIZE, headers={"Authorization": "Bearer wrong"}
                )
                assert wrong.status_code == 401, "a wrong token is never the anonymous caller"


async def test_sse_has_no_streamable_endpoint(upstream: str, tmp_path: Path) -> None:
    port = free_port()
    command = ("serve", "--transport", "sse", "--port", str(port), "--config", str(write_config(tmp_path, upstream)))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        async with connect_over(f"http://127.0.0.1:{port}", "sse") as client:
            assert kind_of(await client.call_tool("list_dealers")) is None
        assert httpx2.post(f"http://127.0.0.1:{port}/mcp", timeout=PATIENCE).status_code == 404


async def test_probes_answer_without_a_token(server: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        for path in ("/healthz", "/readyz"):
            response = await http.get(server + path, headers={"Host": "10.0.0.7"})
            assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_readyz_is_503_once_the_store_is_gone(upstream: str, tmp_path: Path) -> None:
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(write_config(tmp_path, upstream)))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        assert httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).status_code == 200
        (tmp_path / "store.db").unlink()
        until(lambda: httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).status_code == 503)
        assert httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"[" * 50_000, b"\xff\xfe", json.dumps([LIST_TOOLS, LIST_TOOLS]).encode()],
)
async def test_http_survives_a_hostile_body(body: bytes, server: str) -> None:
    headers = {
        "Authorization": f"Bearer {SALES}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        response = await http.post(f"{server}/mcp", content=body, headers=headers)
        assert 400 <= response.status_code < 500
        assert (await http.get(f"{server}/healthz")).status_code == 200


async def test_http_refuses_a_body_above_4_mib(server: str) -> None:
    headers = {"Authorization": f"Bearer {SALES}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        response = await http.post(f"{server}/mcp", content=b" " * (4 * 1024 * 1024 + 1), headers=headers)
    assert response.status_code == 413


def test_connection_does_not_wait_between_two_writes() -> None:
    """An answer's head and body are two writes. With Nagle's algorithm the body would come 40 ms later."""
    with listen("127.0.0.1", 0) as host, socket.create_connection(host.getsockname()):
        connection, _ = host.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_port_in_use_is_one_line_and_exit_2(server: str) -> None:
    port = server.rpartition(":")[2]
    end = run_cli("serve", "--transport", "http", "--port", port, "--sandbox")
    assert end.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in end.stderr
    assert end.stdout == ""


async def test_log_lines_hold_nothing_of_a_request(upstream: str, tmp_path: Path, capfd: Any) -> None:
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(write_config(tmp_path, upstream)))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        async with connect_over(f"http://127.0.0.1:{port}", "sse") as client:
            await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE})
            await client.call_tool(
                "create_customer", {"dealer": "umazda", "customer": {**STEVE, "email": "bad-Carlos"}}
            )
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {SALES}"}, timeout=PATIENCE) as http:
            await http.post(f"http://127.0.0.1:{port}/mcp", content=b'{"Carlos Silva": ')
            await http.post(f"http://127.0.0.1:{port}/mcp?secret=Carlos", json={"jsonrpc": "2.0", "method": "Carlos"})
    _, logs = capfd.readouterr()
    lines = [json.loads(line) for line in logs.splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    assert [line["outcome"] for line in calls] == ["done", "invalid_arguments"]
    for secret in ("Carlos", "McQueen", "steve", "sales-token", "sandbox-key", "4155556666"):
        assert secret not in logs
