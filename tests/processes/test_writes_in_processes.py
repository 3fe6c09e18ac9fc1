"""Safe writes as they run: real processes, every transport, kill -9, reload, the audit's commands."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.loading import load
from roadster_server.store import open_store
from roadster_tools import Access
from tests.conftest import STEVE, answer_of, free_port, kind_of, run_cli, serving

pytestmark = pytest.mark.anyio

SECRETS = {"ROADSTER_API_KEY": "sandbox-key"}
HEAD = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[dealers.umazda]
partner_id = "51101"
[dealers.hyundaidemo]
"""
CALLER = """
[callers.{name}]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
[callers.{name}.access]
inventory = "{level}"
customers = "{level}"
"""
NEW_CUSTOMER = {"customer": STEVE}


def callers(**levels: str) -> str:
    return "".join(
        CALLER.format(name=name, level=level, digest=hashlib.sha256(f"{name}-token".encode()).hexdigest())
        for name, level in levels.items()
    )


def write_config(folder: Path, upstream: str, more: str, *, store: str | None = None) -> Path:
    path = folder / "roadster.toml"
    path.write_text(HEAD.format(upstream=upstream, store=store or f"sqlite:///{folder}/store.db") + more)
    return path


@pytest.fixture(autouse=True)
def fresh_world(upstream: str) -> None:
    httpx2.post(f"{upstream}/__sandbox/reset", json={}).raise_for_status()


def writes(upstream: str) -> int:
    found = httpx2.get(f"{upstream}/__sandbox/requests").json()
    return sum(request["operation"] == "create_customer" for request in found)


async def agree(_ctx: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


@asynccontextmanager
async def connected(url: str, way: str, name: str, ask: Any = agree) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {name}-token"}
    if way == "sse":
        async with Client(sse_client(f"{url}/sse", headers=headers), mode="legacy", elicitation_callback=ask) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=way, elicitation_callback=ask) as client,
    ):
        yield client


LEVELS = {level.name.lower(): level for level in Access}
TRANSPORTS = ("stdio legacy", "stdio 2026-07-28", "http legacy", "http 2026-07-28", "sse")


@pytest.fixture(scope="module")
def policy_server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("policy")
    config = write_config(folder, upstream, callers(**{f"at-{level}": level for level in LEVELS}))
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("level", LEVELS)
async def test_the_policy_holds_at_every_level_on_every_transport(
    level: str, transport: str, policy_server: str, upstream: str, tmp_path: Path
) -> None:
    """One row each: what is listed, whether a read and a write are answered, and whether the write was sent."""
    may = LEVELS[level]
    way, _, era = transport.partition(" ")
    if way == "stdio":
        config = write_config(tmp_path, upstream, callers(local=level))
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "roadster_server", "serve", "--config", str(config)], env=SECRETS
        )
        client = Client(command, mode=era, elicitation_callback=agree)
    else:
        client = None
    async with client or connected(policy_server, era or way, f"at-{level}") as session:  # type: ignore[union-attr]
        listed = {tool.name for tool in (await session.list_tools()).tools}
        read = kind_of(await session.call_tool("list_inventory", {"limit": 1}))
        write = await session.call_tool("create_customer", NEW_CUSTOMER)
        foreign = await session.call_tool("create_customer", {**NEW_CUSTOMER, "dealer": "hyundaidemo"})
    assert ("list_inventory" in listed) is (may >= Access.READ)
    assert ("create_customer" in listed) is (may >= Access.PREVIEW)
    assert read == (None if may >= Access.READ else "refused")
    assert kind_of(write) == (None if may >= Access.PREVIEW else "refused")
    assert kind_of(foreign) == "refused"
    assert writes(upstream) == (1 if may >= Access.CONFIRM else 0)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


async def test_two_servers_on_one_store_do_a_write_once_for_its_key(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    config = write_config(tmp_path, upstream, callers(bot="write"), store=store_url)
    ports = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    kinds: list[bool] = []

    async def call(url: str) -> None:
        async with connected(url, "2026-07-28", "bot") as client:
            for number in range(4):
                key = {"idempotency_key": f"order-{number:04}"}
                result = answer_of(await client.call_tool("create_customer", {**NEW_CUSTOMER, **key}))
                kinds.append(result.get("replayed", False))

    def serve(port: int) -> Any:
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        return serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS)

    with serve(ports[0]), serve(ports[1]):
        async with anyio.create_task_group() as tasks:
            for url in urls * 3:
                tasks.start_soon(call, url)
    assert writes(upstream) == 4
    assert sorted(kinds) == [False] * 4 + [True] * 20
    async with open_store(store_url) as store:
        assert (await store.verify()).first_broken is None


async def test_kill_9_between_the_upstreams_answer_and_ours_leaves_the_truth_on_record(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    """The record says that the write was sent, and nothing says that it was answered."""
    config = write_config(tmp_path, upstream, callers(local="write"), store=store_url)
    slow = {"operation": "create_customer", "fault": "delay", "seconds": 20, "times": 1}
    httpx2.post(f"{upstream}/__sandbox/faults", json=slow).raise_for_status()
    request = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "create_customer",
            "arguments": {**NEW_CUSTOMER, "idempotency_key": "order-4711"},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            },
        },
    }
    command = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **SECRETS}
    ) as server:
        assert server.stdin is not None
        server.stdin.write((json.dumps(request) + "\n").encode())
        server.stdin.flush()
        _until(lambda: bool(httpx2.get(f"{upstream}/__sandbox/state").json()["customers"]))
        server.kill()
    async with open_store(store_url) as store:
        found = [stored.record async for stored in store.records()]
        assert (await store.verify()).first_broken is None
    assert [(record.tool, record.phase) for record in found] == [("create_customer", "sent")]
    assert found[0].client == "test"


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_a_changed_configuration_is_taken_and_a_broken_one_is_not(
    upstream: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, upstream, callers(bot="read"))
    good = config.read_text()
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    url = f"http://127.0.0.1:{port}"

    async def kind(tool: str, **arguments: Any) -> str | None:
        async with connected(url, "2026-07-28", "bot") as client:
            return kind_of(await client.call_tool(tool, arguments))

    async def becomes(expected: str | None, tool: str, **arguments: Any) -> None:
        with anyio.fail_after(15):
            while await kind(tool, **arguments) != expected:
                await anyio.sleep(0.1)

    with serving(*command, url=f"{url}/healthz", **SECRETS) as process:
        assert await kind("create_customer", **NEW_CUSTOMER) == "refused"
        config.write_text(good.replace('customers = "read"', 'customers = "write"'))
        await becomes(None, "create_customer", **NEW_CUSTOMER)
        config.write_text(good.replace('inventory = "read"', 'inventory = "always"'))
        process.send_signal(signal.SIGHUP)
        await anyio.sleep(0.5)
        assert await kind("create_customer", **NEW_CUSTOMER) is None, "the last good configuration stays in force"
        config.write_text(good.replace('inventory = "read"', 'inventory = "off"'))
        process.send_signal(signal.SIGHUP)
        await becomes("refused", "list_inventory")
        assert await kind("create_customer", **NEW_CUSTOMER) == "refused"
    logged = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (kept,) = [line for line in logged if line["event"].startswith("configuration not reloaded")]
    assert "callers.bot.access.inventory: expected one of off, read" in kept["problem"]


def test_a_write_on_the_command_line_is_confirmed_with_yes_or_not_sent(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, callers(local="confirm")))
    without = run_cli("call", "create_customer", json.dumps(NEW_CUSTOMER), "--config", config, **SECRETS)
    assert (without.returncode, json.loads(without.stdout)["error"]) == (3, "not_confirmed")
    assert "add --yes" in json.loads(without.stdout)["message"]
    assert writes(upstream) == 0
    confirmed = run_cli("call", "create_customer", json.dumps(NEW_CUSTOMER), "--yes", "--config", config, **SECRETS)
    assert confirmed.returncode == 0, confirmed.stdout
    assert writes(upstream) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal on Windows")
@pytest.mark.parametrize(("typed", "code"), [(b"yes\n", 0), (b"no\n", 3), (b"y\n", 0), (b"\n", 3)])
def test_at_a_terminal_the_person_is_asked(typed: bytes, code: int, upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, callers(local="confirm"))
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "roadster_server", "call", "create_customer", json.dumps(NEW_CUSTOMER)]
    with subprocess.Popen(
        [*command, "--config", str(config)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **SECRETS},
    ) as process:
        os.write(ours, typed)
        _, stderr = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert b"Create a customer at University Mazda (umazda)?" in stderr
    assert writes(upstream) == (1 if code == 0 else 0)


def test_a_repeated_command_with_one_key_is_done_once(upstream: str, tmp_path: Path) -> None:
    """The key outlives the process."""
    config = str(write_config(tmp_path, upstream, callers(local="write")))
    arguments = json.dumps({**NEW_CUSTOMER, "idempotency_key": "order-4711"})
    first, again = (run_cli("call", "create_customer", arguments, "--config", config, **SECRETS) for _ in range(2))
    assert json.loads(again.stdout) == {**json.loads(first.stdout), "replayed": True}
    assert writes(upstream) == 1


def test_the_audit_is_verified_shown_and_exported(upstream: str, tmp_path: Path) -> None:
    config = str(write_config(tmp_path, upstream, callers(local="write")))
    for arguments in ('{"limit": 1}', '{"dealer": "toyotademo"}'):
        run_cli("call", "list_inventory", arguments, "--config", config, **SECRETS)
    run_cli("call", "create_customer", json.dumps(NEW_CUSTOMER), "--config", config, **SECRETS)
    verified = run_cli("audit", "verify", "--config", config, **SECRETS)
    assert verified.returncode == 0
    assert verified.stdout.startswith("whole; records: 4, head: ")
    shown = [json.loads(line) for line in run_cli("audit", "tail", "--config", config, **SECRETS).stdout.splitlines()]
    assert [(line["seq"], line["outcome"]) for line in shown] == [(1, "done"), (2, "refused"), (3, "sent"), (4, "done")]
    last = run_cli("audit", "tail", "--last", "1", "--config", config, **SECRETS).stdout
    assert json.loads(last)["seq"] == 4
    assert len(run_cli("audit", "export", "--config", config, **SECRETS).stdout.splitlines()) == 4
    (tmp_path / "elsewhere").mkdir()
    mistyped = str(write_config(tmp_path / "elsewhere", upstream, ""))
    gone = run_cli("audit", "verify", "--config", mistyped, **SECRETS)
    assert (gone.returncode, gone.stdout) == (2, ""), "an audit that is gone is not an empty one"
    future = run_cli("audit", "export", "--since", "2999-01-01", "--config", config, **SECRETS)
    assert (future.returncode, future.stdout) == (0, "")
    for value in STEVE.values():
        assert value not in json.dumps(shown)

    with sqlite3.connect(tmp_path / "store.db") as tampering:
        for (trigger,) in tampering.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            tampering.execute(f"DROP TRIGGER {trigger}")
        tampering.execute("UPDATE roadster_audit SET outcome = 'done' WHERE seq = 2")
    tampering.close()
    broken = run_cli("audit", "verify", "--config", config, **SECRETS)
    assert broken.returncode == 1
    assert broken.stdout.startswith("broken at record 2")


def test_a_store_that_cannot_be_opened_stops_the_start(upstream: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    config = str(write_config(tmp_path, upstream, callers(local="read")))
    done = run_cli("serve", "--transport", "http", "--port", str(free_port()), "--config", config, **SECRETS)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "store" in done.stderr


def test_over_stdio_it_stops_once_the_client_has_its_tools(upstream: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database" * 100)
    config = write_config(tmp_path, upstream, callers(local="read"))
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    command = [sys.executable, "-m", "roadster_server", "serve", "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **SECRETS}
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write((json.dumps(request) + "\n").encode())
        server.stdin.flush()
        assert len(json.loads(server.stdout.readline())["result"]["tools"]) == 2
        assert server.wait(timeout=20) == 2
        assert b"roadster-mcp: " in server.stderr.read()


async def test_a_store_that_is_removed_takes_no_more_writes(upstream: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, upstream, callers(bot="write"))
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    url = f"http://127.0.0.1:{port}"
    with serving(*command, url=f"{url}/healthz", **SECRETS):
        async with connected(url, "2026-07-28", "bot") as client:
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) is None
            for file in tmp_path.glob("store.db*"):
                file.unlink()
            assert kind_of(await client.call_tool("create_customer", NEW_CUSTOMER)) == "unrecorded"
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None
        assert httpx2.get(f"{url}/readyz").status_code == 503
    assert writes(upstream) == 1


@pytest.mark.parametrize(
    "bad",
    [
        '[uploads]\nfolder = "~nosuchuser/x"',
        f'[uploads]\nfolder = "/{"x" * 5000}"',
        f"[http]\nallowed_hosts = [{'9' * 5000}]",
        "[http]\nallowed_hosts = " + "[" * 3000 + "]" * 3000,
    ],
)
def test_whatever_a_new_file_holds_the_server_goes_on(
    bad: str, upstream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTER_API_KEY", "sandbox-key")
    config = write_config(tmp_path, upstream, callers(bot="read"))
    live = LiveSettings(load(config), config)
    before = live.current
    config.write_text(config.read_text() + bad)
    live.reload()
    assert live.current is before


@pytest.mark.reliability("a store that another process has locked", "`/readyz` is 503 while it is, `/healthz` 200")
@pytest.mark.reliability("a start while the store is not migrated yet", "it listens, and `/readyz` is 503 until it is")
async def test_readyz_is_false_before_the_store_is_migrated_and_while_it_is_locked(
    upstream: str, tmp_path: Path
) -> None:
    """A lock holds the migration up, and a later one the writes."""
    config = write_config(tmp_path, upstream, callers(bot="read"))
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))

    def answers(probe: str) -> int:
        return httpx2.get(f"http://127.0.0.1:{port}/{probe}", timeout=30).status_code

    locked = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        assert (answers("readyz"), answers("healthz")) == (503, 200)
        locked.rollback()
        with anyio.fail_after(20):
            while answers("readyz") != 200:
                await anyio.sleep(0.05)
        locked.execute("BEGIN EXCLUSIVE")
        assert (answers("readyz"), answers("healthz")) == (503, 200)
        locked.close()
