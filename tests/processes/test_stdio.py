"""stdio as a host on this machine meets it: a real process, and nothing on stdout but the protocol."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference

from roadster_tools import TOOLS
from tests.conftest import LICENCE_PNG, PROJECT, STEVE, answer_of, free_port, kind_of, serving
from tests.server.transports.test_http import SECRETS, write_config

pytestmark = pytest.mark.anyio

SERVE = [sys.executable, "-m", "roadster_server", "serve", "--sandbox"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_both_eras_are_served_on_stdio(mode: str) -> None:
    server = StdioServerParameters(command=SERVE[0], args=SERVE[1:])
    async with Client(server, mode=mode) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 3}))["searched"] == 3
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_what_is_beside_the_tools_is_served_on_stdio_too(mode: str) -> None:
    server = StdioServerParameters(command=SERVE[0], args=SERVE[1:])
    async with Client(server, mode=mode) as client:
        assert "umazda, hyundaidemo" in (client.instructions or "")
        assert (await client.read_resource("roadster://umazda")).contents[0].mime_type == "application/json"
        with pytest.raises(MCPError, match="Refused"):
            await client.read_resource("roadster://toyotademo")
        lead = PromptReference(name="work_a_lead")
        assert (await client.complete(lead, {"name": "dealer", "value": "h"})).completion.values == ["hyundaidemo"]
        filled = await client.get_prompt("work_a_lead", {"dealer": "umazda", "request": "a red SUV"})
        assert "> a red SUV" in str(filled.messages[0].content)


async def test_all_of_a_deal_over_stdio_against_the_sandbox_on_a_socket(tmp_path: Path) -> None:
    """The tools, with files from the upload folder, through a configuration file."""
    port = free_port()
    with serving("sandbox", "--port", str(port), url=f"http://127.0.0.1:{port}/__sandbox/state"):
        uploads = tmp_path / "uploads"
        uploads.mkdir()
        (uploads / "license.png").write_bytes(base64.b64decode(LICENCE_PNG))
        config = write_config(tmp_path, f"http://127.0.0.1:{port}", f'[uploads]\nfolder = "{uploads}"\n')
        server = StdioServerParameters(
            command=SERVE[0], args=["-m", "roadster_server", "serve", "--config", str(config)], env=SECRETS
        )
        async with Client(server) as client:
            assert len((await client.list_tools()).tools) == len(TOOLS)
            assert [row["dpid"] for row in answer_of(await client.call_tool("list_dealers"))["dealers"]] == ["umazda"]
            found = answer_of(await client.call_tool("list_inventory", {"limit": 1}))
            vin = found["vehicles"][0]["vin"]
            answer_of(await client.call_tool("get_vehicle", {"vin": vin}))
            answer_of(await client.call_tool("quote_payments", {"vin": vin}))
            created = answer_of(await client.call_tool("create_customer", {"customer": STEVE}))
            document = {
                "customer_id": created["customer_id"],
                "document_type": "license",
                "document_name": "DL Front",
                "file_name": "license.png",
                "relationship": "self",
                "path": "license.png",
            }
            answer_of(await client.call_tool("upload_document", document))
            answer_of(await client.call_tool("build_deep_link", {"vin": vin}))
            answer_of(await client.call_tool("build_deep_link", {"vin": vin, "customer": STEVE}))


async def test_a_host_that_reads_no_stderr_does_not_stop_the_server() -> None:
    """More log lines than a pipe holds; the SDK's client would wait for ever on a server that blocks."""
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as errlog:
        server = StdioServerParameters(command=SERVE[0], args=SERVE[1:])
        async with Client(stdio_client(server, errlog=errlog), read_timeout_seconds=20) as client:
            for _ in range(1200):
                await client.call_tool("build_deep_link", {"dealer": "nowhere"})


def converse(*messages: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    sent = "".join(json.dumps(message) + "\n" for message in messages)
    return subprocess.run(SERVE, input=sent.encode(), capture_output=True, timeout=30, check=False)


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_stdout_carries_the_protocol_and_stderr_json() -> None:
    done = converse(INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert done.returncode == 0
    assert [json.loads(line)["jsonrpc"] for line in done.stdout.splitlines()] == ["2.0"]
    assert all(json.loads(line) for line in done.stderr.splitlines())


@pytest.mark.parametrize("received", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_on_a_signal(received: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        SERVE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((json.dumps(INITIALIZE) + "\n").encode())
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(received)
        assert process.wait(timeout=5) == 0
    assert not list(tmp_path.iterdir()), "the sandbox's store is gone with it"


def test_a_missing_configuration_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = subprocess.run([*SERVE[:-1]], cwd=tmp_path, input=b"", capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert b"--sandbox" in done.stderr


def test_the_stdio_start_loads_nothing_that_it_does_not_need() -> None:
    """What only HTTP, the sandbox, pretty printing or uploads need is loaded when they do."""
    script = (
        "import sys, roadster_server.cli.app, roadster_server.transports.stdio, roadster_server.backend;"
        "print([name for name in ('rich', 'roadster_sandbox', 'structlog', 'roadster_server.transports.http',"
        " 'roadster_server.cli.demo', 'filetype', 'jmespath', 'roadster_server.recordings.transport',"
        " 'pypdf', 'prometheus_client', 'opentelemetry.sdk', 'redis',"
        " 'roadster_server.cli.install', 'roadster_server.cli.script') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_harness_with_folders_of_the_same_names_is_unharmed(tmp_path: Path) -> None:
    """Its own tools/, server/ and prompts/ stand first on the path, and both are found."""
    for package in ("tools", "server", "prompts", "client", "sandbox"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"whose = 'harness {package}'\n")
    (tmp_path / "harness.py").write_text(
        "import anyio, sys, tools, server, prompts\n"
        "from mcp import Client, StdioServerParameters\n"
        "import roadster_client, roadster_tools, roadster_prompts, roadster_server, roadster_sandbox\n"
        "async def main():\n"
        "    server_command = StdioServerParameters(command=sys.executable,\n"
        "        args=['-m', 'roadster_server', 'serve', '--sandbox'], env={'PYTHONPATH': '.'})\n"
        "    async with Client(server_command) as client:\n"
        "        print(len((await client.list_tools()).tools), tools.whose, server.whose, prompts.whose)\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "harness.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == f"{len(TOOLS)} harness tools harness server harness prompts", done.stderr
    assert PROJECT not in tmp_path.parents
