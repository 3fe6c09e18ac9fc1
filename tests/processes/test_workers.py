"""`serve --workers`: processes that share one port, and the supervisor that starts, replaces and ends them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp_types import ElicitResult

from tests.command_line import run_cli
from tests.conftest import kind_of, text_of
from tests.servers import PATIENCE
from tests.tool_examples import STEVE

from .deployment import Deployment, client_of

pytestmark = pytest.mark.anyio

NEW_CUSTOMER = {"customer": STEVE}


async def agree(_ctx: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


async def start(deployment: Deployment) -> tuple[int, subprocess.Popen[bytes]]:
    """Starts two workers, and returns their port and their supervisor."""
    port, supervisor = deployment.start("--workers", "2")
    with anyio.fail_after(PATIENCE):
        while len(workers_of(supervisor)) != 2:
            await anyio.sleep(0.05)
    return port, supervisor


def workers_of(supervisor: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of the spawned workers, in the order of their start, without multiprocessing's own tracker."""
    pid = supervisor.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in command_line(child)]


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return b""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def wait_for_replacement(supervisor: subprocess.Popen[bytes], killed_pid: int) -> None:
    with anyio.fail_after(PATIENCE):
        while len(workers := workers_of(supervisor)) != 2 or killed_pid in workers:
            await anyio.sleep(0.05)


async def test_workers_share_a_port_are_replaced_and_end_together(deployment: Deployment) -> None:
    deployment.configure(level="confirm")
    port, supervisor = await start(deployment)
    url = f"http://127.0.0.1:{port}"
    for mode in ("2026-07-28", "legacy"):
        async with client_of(port, mode=mode, ask=agree) as client:
            for _ in range(10):
                assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None
            write = await client.call_tool("create_customer", NEW_CUSTOMER)
            assert kind_of(write) == (None if mode == "2026-07-28" else "not_confirmed")
    assert "use a client of protocol 2026-07-28" in text_of(write)
    assert httpx2.get(f"{url}/sse", timeout=PATIENCE).status_code == 404, "it needs a session"
    count = 'roadster_mcp_calls_total{outcome="done",tool="list_inventory"} 20.0'
    assert count in httpx2.get(f"{url}/metrics", timeout=PATIENCE).text, "either worker counts for both"

    first, _ = workers_of(supervisor)
    os.kill(first, signal.SIGKILL)
    await wait_for_replacement(supervisor, first)
    async with client_of(port) as client:
        assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None

    await a_call_in_flight_is_answered_before_they_end(deployment, port, supervisor)


async def a_call_in_flight_is_answered_before_they_end(
    deployment: Deployment, port: int, supervisor: subprocess.Popen[bytes]
) -> None:
    """A service manager signals each process of a service, also the workers."""
    deployment.fault("delay", seconds=2)
    workers = workers_of(supervisor)
    async with client_of(port) as client, anyio.create_task_group() as tasks:

        async def call() -> None:
            assert kind_of(await client.call_tool("list_inventory", {"limit": 1})) is None

        tasks.start_soon(call)
        with anyio.fail_after(PATIENCE):
            while not httpx2.get(f"{deployment.upstream}/__sandbox/requests", timeout=PATIENCE).json()[-1].get("fault"):
                await anyio.sleep(0.02)
        for pid in (supervisor.pid, *workers):
            os.kill(pid, signal.SIGTERM)
    with anyio.fail_after(PATIENCE):
        assert await anyio.to_thread.run_sync(supervisor.wait, abandon_on_cancel=True) == 0
    assert not [pid for pid in workers if is_running(pid)]


@pytest.mark.reliability("a worker dies, and none can start in its place", "the others serve on, and it is tried again")
async def test_a_worker_that_cannot_be_replaced_leaves_the_others(deployment: Deployment) -> None:
    port, supervisor = await start(deployment)
    good = deployment.config.read_text()
    deployment.config.write_text(f"{good}\noops = [")
    _, second = workers_of(supervisor)  # the first is the one that serves already
    os.kill(second, signal.SIGKILL)
    pids: set[int] = set()
    with anyio.fail_after(PATIENCE):
        while len(pids) < 4:  # both of the start, and two that could not start instead of the second
            pids |= set(workers_of(supervisor))
            assert httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).status_code == 200
            await anyio.sleep(0.05)
    deployment.config.write_text(good)
    await wait_for_replacement(supervisor, second)


@pytest.mark.reliability("the process that watches over workers is killed", "they end by themselves")
async def test_workers_without_a_supervisor_end(deployment: Deployment) -> None:
    _, supervisor = await start(deployment)
    workers = workers_of(supervisor)
    supervisor.kill()
    with anyio.fail_after(PATIENCE):
        while [pid for pid in workers if is_running(pid)]:
            await anyio.sleep(0.05)


@pytest.mark.parametrize(
    ("transport", "reasons"),
    [
        ("http", ["the store is a SQLite file", "shared over Redis"]),
        ("sse", ["is only for --transport http"]),
        ("stdio", ["is only for --transport http"]),
    ],
)
def test_workers_without_what_they_share_are_refused(transport: str, reasons: list[str], tmp_path: Path) -> None:
    config = tmp_path / "roadster.toml"
    config.write_text(
        f'[roadster]\napi_key = "env:KEY"\n[store]\nurl = "sqlite:///{tmp_path}/s.db"\n'
        "[dealers.umazda]\n[callers.local]\n"
    )
    command = ("serve", "--transport", transport, "--workers", "2", "--port", "0", "--config", str(config))
    end = run_cli(*command, KEY="k")
    assert end.returncode == 2
    for reason in reasons:
        assert reason in end.stderr
    assert all(line.startswith("roadster-mcp: --workers 2: ") for line in end.stderr.splitlines())


def test_workers_and_the_embedded_sandbox_exclude_each_other() -> None:
    end = run_cli("serve", "--transport", "http", "--sandbox", "--workers", "2")
    assert (end.returncode, end.stderr) == (
        2,
        "roadster-mcp: --sandbox and --workers exclude each other; leave out one\n",
    )


async def test_workers_serve_every_spelling_of_a_path_and_pages(deployment: Deployment) -> None:
    page = "https://chat.example.com"
    section = f'\n[http]\npath_prefix = "/roadster"\nallowed_origins = ["{page}"]\n'
    deployment.config.write_text(deployment.config.read_text() + section)
    port, _ = await start(deployment)
    asks = {"Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for path in ("/mcp", "/mcp/", "/roadster/mcp", "/roadster/mcp/"):
        url = f"http://127.0.0.1:{port}{path}"
        for _ in range(4):  # each has a connection of its own, so that both workers are asked
            response = httpx2.post(url, headers={"X-Forwarded-Proto": "https"}, timeout=PATIENCE)
            assert response.status_code == 401, path
            preflight = httpx2.options(url, headers=asks, timeout=PATIENCE)
            assert preflight.headers["access-control-allow-origin"] == page
