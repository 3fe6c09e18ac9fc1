"""Each file in examples/ works: a host's configuration starts a server, and the client gets its quote."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from roadster_tools import TOOLS
from tests.conftest import PROJECT, answer_of, kind_of
from tests.servers import PATIENCE, free_port, serving

pytestmark = pytest.mark.anyio

EXAMPLES = PROJECT / "examples"
SECRETS = {"ROADSTER_API_KEY": "sandbox-key", "UMAZDA_LINK_KEY": "k" * 32}
TOKEN = "a-token"


@dataclass(frozen=True)
class Roadster:
    """A sandbox on a socket, copies of the example configurations that use it, and an environment for them."""

    roadster_toml: Path
    sandbox_toml: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def roadster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roadster]:
    port = free_port()
    folder = tmp_path_factory.mktemp("examples")
    url = f"http://127.0.0.1:{port}/v1"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    for name in ("roadster.toml", "sandbox.toml"):
        text = (EXAMPLES / name).read_text()
        (folder / name).write_text(
            re.sub(r'base_url = ".*?"', f'base_url = "{url}"', text).replace('"' + "0" * 64 + '"', f'"{digest}"')
        )
    with serving("sandbox", "--port", str(port), url=f"http://127.0.0.1:{port}/__sandbox/state"):
        yield Roadster(
            folder / "roadster.toml",
            folder / "sandbox.toml",
            {**SECRETS, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")},
        )


def server_in(name: str) -> dict[str, Any]:
    """Returns the one server of a host's configuration, under the key that the host reads."""
    document = json.loads((EXAMPLES / name).read_text())
    servers = document["servers" if name.startswith("vscode") else "mcpServers"]
    assert document.keys() <= ({"servers", "inputs"} if name.startswith("vscode") else {"mcpServers"})
    server: dict[str, Any] = servers["roadster"]
    return server


def stdio_in(name: str, roadster: Roadster | None = None) -> StdioServerParameters:
    """Returns how the host starts the server: with this project's Python, and the configuration of `roadster`."""
    server = server_in(name)
    assert Path(server["command"]).name == "roadster-mcp"
    assert Path(server["command"]).is_absolute()
    assert server.get("type", "stdio") == "stdio"
    arguments = list(server["args"])
    environment = {key: Template(value).substitute(SECRETS) for key, value in server.get("env", {}).items()}
    if roadster is not None:
        arguments[arguments.index("/absolute/path/to/roadster.toml")] = str(roadster.roadster_toml)
        environment["XDG_STATE_HOME"] = roadster.environment["XDG_STATE_HOME"]
    return StdioServerParameters(command=sys.executable, args=["-m", "roadster_server", *arguments], env=environment)


@pytest.mark.parametrize(
    "name", ["claude_desktop_config.json", "claude_code.mcp.json", "cursor.mcp.json", "vscode.mcp.json"]
)
async def test_host_configuration_starts_the_sandbox(name: str) -> None:
    async with Client(stdio_in(name)) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1}))["vehicles"]
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"


async def test_host_configuration_starts_a_configured_server(roadster: Roadster) -> None:
    questions: list[str] = []

    async def ask(_ctx: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    server = stdio_in("claude_code.dealer.mcp.json", roadster)
    async with Client(server, elicitation_callback=ask) as client:
        vin = answer_of(await client.call_tool("list_inventory", {"limit": 1}))["vehicles"][0]["vin"]
        assert answer_of(await client.call_tool("get_vehicle", {"vin": vin}))["vin"] == vin
        customer = {"first_name": "Steve", "last_name": "McQueen", "email": "steve@example.com"}
        link = answer_of(await client.call_tool("build_deep_link", {"vin": vin, "customer": customer}))
        assert link["url"].startswith("https://express.umazda.com/")
        assert answer_of(await client.call_tool("create_customer", {"customer": customer}))["customer_id"]
    assert len(questions) == 1
    async with Client(server) as client:
        result = await client.call_tool("create_customer", {"customer": customer})
        assert kind_of(result) == "not_confirmed", "a client that cannot ask sends nothing"


@pytest.fixture(scope="module")
def address(roadster: Roadster) -> Iterator[str]:
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(roadster.roadster_toml))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **roadster.environment):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("name", "variable"),
    [("claude_code.http.mcp.json", "${ROADSTER_MCP_TOKEN}"), ("vscode.http.mcp.json", "${input:roadster-token}")],
)
async def test_host_configuration_connects_over_http(name: str, variable: str, address: str) -> None:
    server = server_in(name)
    assert server["type"] == "http"
    headers = {key: value.replace(variable, TOKEN) for key, value in server["headers"].items()}
    assert headers == {"Authorization": f"Bearer {TOKEN}"}
    url = server["url"].replace("https://mcp.example.com", address)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "quote_payments" in tools
        assert "upload_document" not in tools
        arguments = {"dealer": "umazda", **json.loads((EXAMPLES / "customer.json").read_text())}
        preview = answer_of(await client.call_tool("create_customer", arguments))["preview"]
        assert preview["body"]["customer"]["email"] == "***"
        assert answer_of(await client.call_tool("list_inventory", {"dealer": "hyundaidemo", "limit": 1}))["vehicles"]


def test_vs_code_asks_for_the_token_of_its_header() -> None:
    document = json.loads((EXAMPLES / "vscode.http.mcp.json").read_text())
    assert [entry["id"] for entry in document["inputs"] if entry["password"]] == ["roadster-token"]


def test_host_name_that_a_proxy_passes_on_is_allowed(address: str) -> None:
    """The example allows the name that the HTTP examples use, so such a request reaches the check of its token."""
    for host, status in (("mcp.example.com", 401), ("other.example.com", 421)):
        assert httpx2.post(f"{address}/mcp", headers={"Host": host}, timeout=PATIENCE).status_code == status


def run_client(*arguments: str, environment: Mapping[str, str] = SECRETS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "client.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--sandbox"]])
def test_client_prints_a_quote(arguments: list[str]) -> None:
    process = run_client(*arguments)
    assert process.returncode == 0, process.stderr
    assert re.search(r"^Lease: monthly payment [\d.,]+, term months 36", process.stdout, re.MULTILINE)
    assert re.search(r"^lease: [\d.]+ a month$", process.stdout, re.MULTILINE)
    assert re.search(r"^Refused: callers.local.dealers does not name this dealer", process.stdout, re.MULTILINE)


def test_client_works_with_a_configuration(roadster: Roadster) -> None:
    process = run_client("--config", str(roadster.sandbox_toml), environment=roadster.environment)
    assert process.returncode == 0, process.stderr
    assert "Finance: monthly payment" in process.stdout
