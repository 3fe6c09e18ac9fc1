"""stdio as a host on this machine meets it: a real process, and only the protocol on stdout."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference

from roadster_tools import TOOLS
from tests.conftest import PROJECT, answer_of, kind_of
from tests.server.people.browser import page_browser
from tests.server.people.test_files_page import hand_over
from tests.server.transports.test_http import SECRETS, write_config
from tests.server.uploads.pictures import phone_photo
from tests.servers import PATIENCE
from tests.tool_examples import LICENCE_PNG, STEVE

from .patient import patient

pytestmark = pytest.mark.anyio

SERVE = [sys.executable, "-m", "roadster_server", "serve", "--sandbox"]
SANDBOX = StdioServerParameters(command=SERVE[0], args=SERVE[1:])
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_both_eras_are_served(mode: str) -> None:
    """Tools, and what is beside them."""
    async with Client(SANDBOX, mode=mode) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert answer_of(await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 3}))["searched"] == 3
        assert kind_of(await client.call_tool("list_inventory", {"dealer": "toyotademo"})) == "refused"
        if mode != "2026-07-28":  # in which this client does not ask for them
            assert "umazda, hyundaidemo" in (client.instructions or "")
        assert (await client.read_resource("roadster://umazda")).contents[0].mime_type == "application/json"
        with pytest.raises(MCPError, match="Refused"):
            await client.read_resource("roadster://toyotademo")
        lead = PromptReference(name="work_a_lead")
        assert (await client.complete(lead, {"name": "dealer", "value": "h"})).completion.values == ["hyundaidemo"]
        prompt = await client.get_prompt("work_a_lead", {"dealer": "umazda", "request": "a red SUV"})
        assert "> a red SUV" in str(prompt.messages[0].content)


async def test_a_deal_is_worked_with_a_configuration(upstream: str, tmp_path: Path) -> None:
    """The deal has a file from the upload folder, and its sandbox is on a socket."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "license.png").write_bytes(base64.b64decode(LICENCE_PNG))
    config = write_config(tmp_path, upstream, f'[uploads]\nfolder = "{uploads}"\n')
    server = StdioServerParameters(
        command=SERVE[0], args=["-m", "roadster_server", "serve", "--config", str(config)], env=SECRETS
    )
    async with Client(server) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        assert [row["dpid"] for row in answer_of(await client.call_tool("list_dealers"))["dealers"]] == ["umazda"]
        vin = answer_of(await client.call_tool("list_inventory", {"limit": 1}))["vehicles"][0]["vin"]
        answer_of(await client.call_tool("get_vehicle", {"vin": vin}))
        answer_of(await client.call_tool("quote_payments", {"vin": vin}))
        customer = answer_of(await client.call_tool("create_customer", {"customer": STEVE}))
        document = {
            "customer_id": customer["customer_id"],
            "document_type": "license",
            "document_name": "DL Front",
            "file_name": "license.png",
            "relationship": "self",
            "path": "license.png",
        }
        answer_of(await client.call_tool("upload_document", document))
        answer_of(await client.call_tool("build_deep_link", {"vin": vin}))
        answer_of(await client.call_tool("build_deep_link", {"vin": vin, "customer": STEVE}))


async def test_a_person_hands_over_a_file_at_a_loopback_port_of_the_server() -> None:
    async with Client(SANDBOX) as client:
        customer = answer_of(await client.call_tool("create_customer", {"dealer": "umazda", "customer": STEVE}))
        about = {"dealer": "umazda", "customer_id": customer["customer_id"]}
        document = {**about, "document_type": "license", "document_name": "DL Front", "file_name": "license.png"}
        document["relationship"] = "self"
        waiting = await client.call_tool("upload_document", document)
        assert kind_of(waiting) == "waiting"
        details = (waiting.meta or {})["roadster-mcp/waiting"]
        address = urlsplit(details["url"])
        assert address.hostname == "127.0.0.1"
        async with page_browser(f"http://{address.netloc}") as browser:
            await browser.open(address.path)
            assert (await hand_over(browser, phone_photo())).status_code == 200
        answer_of(await client.call_tool("upload_document", {**document, "upload": details["upload"]}))
        documents = answer_of(await client.call_tool("list_documents", about))["documents"]
        assert [each["document_type"] for each in documents] == ["license"]
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(details["url"], trust_env=False)


async def test_a_host_that_reads_no_stderr_does_not_stop_it() -> None:
    """The pipe holds 4 KiB, which is less than the log lines of 100 calls."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(read), os.fdopen(write, "w") as errlog:
        async with Client(stdio_client(SANDBOX, errlog=errlog), read_timeout_seconds=PATIENCE) as client:
            for _ in range(100):
                assert kind_of(await client.call_tool("build_deep_link", {"dealer": "nowhere"})) == "refused"


def converse(*messages: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    return subprocess.run(SERVE, input=lines.encode(), capture_output=True, timeout=PATIENCE, check=False)


def test_stdout_carries_the_protocol_and_stderr_json() -> None:
    end = converse(INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert end.returncode == 0
    assert [json.loads(line)["jsonrpc"] for line in end.stdout.splitlines()] == ["2.0"]
    assert all(json.loads(line) for line in end.stderr.splitlines())


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
DISCOVER = {"jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": {"_meta": META}}


def answers_by_id(*messages: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    end = converse(*messages)
    assert end.returncode == 0
    return {answer["id"]: answer for answer in map(json.loads, end.stdout.splitlines())}


@pytest.mark.parametrize("version", ["2026-07-28", "2027-01-01"], ids=["a version that is served", "a later version"])
def test_a_client_that_asks_which_version_is_served_and_gives_up_may_still_initialize(version: str) -> None:
    """An AI SDK waits for one second. Its question still gets its answer."""
    meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
    answers = answers_by_id(
        {**DISCOVER, "params": {"_meta": meta}},
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    )
    assert answers[0].keys() & {"result", "error"} == {"result" if version == "2026-07-28" else "error"}
    assert answers[1]["result"]["protocolVersion"] == "2025-11-25"
    assert len(answers[2]["result"]["tools"]) == len(TOOLS)


def test_a_client_may_ask_which_version_is_served_and_stay_with_the_newest() -> None:
    answers = answers_by_id(
        DISCOVER,
        {**DISCOVER, "id": 1},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": META}},
        {**DISCOVER, "id": 3},
        {**INITIALIZE, "id": 4},
    )
    assert all(answers[id_]["result"]["supportedVersions"] == ["2026-07-28"] for id_ in (0, 1, 3))
    assert answers[2]["result"]["cacheScope"] == "private"
    assert answers[4]["error"]["code"] == -32022, "the list has settled the connection's era"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_sandbox(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        patient("serve", "--sandbox"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=PROJECT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((json.dumps(INITIALIZE) + "\n").encode())
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == 0
    assert not list(tmp_path.iterdir()), "the sandbox's store is gone with it"


def test_a_missing_configuration_is_one_line_and_exit_2(tmp_path: Path) -> None:
    command = [argument for argument in SERVE if argument != "--sandbox"]
    end = subprocess.run(command, cwd=tmp_path, input=b"", capture_output=True, timeout=PATIENCE, check=False)
    assert end.returncode == 2
    assert end.stdout == b""
    assert len(end.stderr.splitlines()) == 1
    assert b"--sandbox" in end.stderr


def test_the_start_loads_only_what_it_needs() -> None:
    """HTTP, the sandbox, pretty printing and uploads are loaded when they are used."""
    script = (
        "import sys, roadster_server.cli.app, roadster_server.transports.stdio, roadster_server.backend;"
        "print([name for name in ('rich', 'roadster_sandbox', 'structlog',"
        " 'roadster_server.transports.http.application', 'roadster_server.cli.calls.demo', 'filetype', 'jmespath',"
        " 'roadster_server.recordings.transport', 'prometheus_client', 'opentelemetry.sdk', 'redis',"
        " 'roadster_server.cli.install.install', 'roadster_server.cli.calls.script') if name in sys.modules])"
    )
    end = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert end.stdout.strip() == "[]"


def test_a_connection_opens_before_the_sdk_is_loaded(tmp_path: Path) -> None:
    """Here it never is. A signal then ends the process in order all the same."""
    for name in ("mcp", "mcp_types"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("import threading; threading.Event().wait()")
    (tmp_path / "tmp").mkdir()
    lists = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    with subprocess.Popen(
        SERVE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}, lists):
            process.stdin.write((json.dumps(message) + "\n").encode())
            process.stdin.flush()
            if "id" in message:
                assert json.loads(process.stdout.readline())["id"] == message["id"]
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0
    assert not list((tmp_path / "tmp").iterdir()), "the sandbox's store is gone with it"


def test_a_harness_with_folders_of_the_same_names_is_unharmed(tmp_path: Path) -> None:
    """Its own tools/, server/ and prompts/ stand first on the path, and both are found."""
    for package in ("tools", "server", "prompts", "client", "sandbox"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"owner = 'harness {package}'\n")
    (tmp_path / "harness.py").write_text(
        "import anyio, sys, tools, server, prompts\n"
        "from mcp import Client, StdioServerParameters\n"
        "import roadster_client, roadster_tools, roadster_prompts, roadster_server, roadster_sandbox\n"
        "async def main():\n"
        "    server_command = StdioServerParameters(command=sys.executable,\n"
        "        args=['-m', 'roadster_server', 'serve', '--sandbox'], env={'PYTHONPATH': '.'})\n"
        "    async with Client(server_command) as client:\n"
        "        print(len((await client.list_tools()).tools), tools.owner, server.owner, prompts.owner)\n"
        "anyio.run(main)\n"
    )
    end = subprocess.run(
        [sys.executable, "harness.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert end.stdout.strip() == f"{len(TOOLS)} harness tools harness server harness prompts", end.stderr
    assert PROJECT not in tmp_path.parents
