"""Approvals as they run: two servers on one store, and kill -9 after the yes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.sections import Settings
from roadster_server.store import AuditQuery, open_store
from roadster_tools import APPROVAL_RESOURCE
from tests.callers import NEW_CUSTOMER, SECRETS, customers_created, token_of, write_config
from tests.conftest import answer_of, kind_of, on_both_databases, text_of
from tests.server.people.browser import SAME_ORIGIN, page_browser
from tests.servers import PATIENCE, free_port, serving, until

from .deployment import Deployment, client_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_world")]

MANAGER = """
[callers.manager]
role = "manager"
dealers = ["umazda"]
[roles.manager]
approves = ["customers"]
[people]
local_caller = "manager"
"""


def config_with_manager(folder: Path, upstream: str, store_url: str) -> Path:
    path = write_config(folder, upstream, store_url, bot="confirm")
    path.write_text(path.read_text() + MANAGER)
    return path


def serve(config: Path, port: int) -> Any:
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    return serving(*command, url=f"http://127.0.0.1:{port}/readyz", **SECRETS)


@asynccontextmanager
async def assistant(port: int, name: str = "bot") -> AsyncIterator[Client]:
    """A client that cannot ask anybody."""
    headers = {"Authorization": f"Bearer {token_of(name)}"}
    async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(transport, mode="2026-07-28") as client:
            yield client


async def ask(port: int, tool: str = "create_customer", arguments: Mapping[str, Any] = NEW_CUSTOMER) -> dict[str, str]:
    async with assistant(port) as client:
        result = await client.call_tool(tool, dict(arguments))
    assert kind_of(result) == "waiting", text_of(result)
    waiting: dict[str, str] = (result.meta or {})["roadster-mcp/waiting"]
    return waiting


SANDBOX = sandbox_settings("sqlite:///unused")


async def approve(port: int, approval: str, settings: Settings = SANDBOX) -> int | None:
    """Says yes at one server. Returns the status of the answer, None where the server dies meanwhile."""
    origin = f"http://127.0.0.1:{port}"
    async with page_browser(origin) as browser:
        await browser.sign_in(settings)
        await browser.open(f"/people/approvals/{approval}")
        form = browser.form(f"/approvals/{approval}")
        try:
            answer = await browser.http.post(
                form.action,
                data={**form.fields, "decision": "yes"},
                headers={"origin": origin, **SAME_ORIGIN},
                timeout=PATIENCE,
            )
        except httpx2.TransportError:
            return None
    return answer.status_code


@on_both_databases
async def test_two_servers_on_one_store_send_an_approved_write_once(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    config, ports = config_with_manager(tmp_path, upstream, store_url), (free_port(), free_port())
    statuses: list[int | None] = []

    async def decide(port: int) -> None:
        statuses.append(await approve(port, approval))

    with serve(config, ports[0]), serve(config, ports[1]):
        approval = (await ask(ports[0]))["approval_id"]
        assert (await ask(ports[1]))["approval_id"] == approval
        async with anyio.create_task_group() as people:
            for port in ports * 2:
                people.start_soon(decide, port)
        async with assistant(ports[1]) as client:
            result = await client.call_tool("create_customer", NEW_CUSTOMER)
    assert not result.is_error, text_of(result)
    assert 200 in statuses
    assert customers_created(upstream) == 1
    async with open_store(store_url) as store:
        phases = [row.record.phase async for row in store.records(AuditQuery(approval=approval))]
        assert (await store.verify()).first_broken is None
    assert phases.count("decided") == phases.count("sent") == 1


@on_both_databases
async def test_kill_9_after_the_yes_leaves_the_truth_on_record(upstream: str, tmp_path: Path, store_url: str) -> None:
    """The write is on its way when the server dies. Another server does not send it again."""
    config, ports = config_with_manager(tmp_path, upstream, store_url), (free_port(), free_port())
    delay = {"operation": "create_customer", "fault": "delay", "seconds": 20, "times": 1}
    httpx2.post(f"{upstream}/__sandbox/faults", json=delay, timeout=PATIENCE).raise_for_status()
    with serve(config, ports[0]) as server, serve(config, ports[1]):
        approval = (await ask(ports[0]))["approval_id"]
        async with anyio.create_task_group() as people:
            people.start_soon(approve, ports[0], approval)
            await anyio.to_thread.run_sync(until, lambda: customers_created(upstream) == 1)
            server.kill()
        async with assistant(ports[1]) as client:
            again = await client.call_tool("create_customer", NEW_CUSTOMER)
        assert await offers_no_second_yes(ports[1], approval)
    assert kind_of(again) == "waiting"  # the sender has two minutes
    assert customers_created(upstream) == 1
    async with open_store(store_url) as store:
        rows = [row.record async for row in store.records(AuditQuery(approval=approval))]
        assert (await store.verify()).first_broken is None
    assert [(row.phase, row.outcome) for row in rows][:3] == [
        ("ended", "waiting"),
        ("decided", "approved"),
        ("sent", "sent"),
    ]
    assert "done" not in [row.outcome for row in rows]


async def test_a_decision_at_one_server_reaches_a_subscriber_at_the_other(deployment: Deployment) -> None:
    deployment.configure(level="confirm")
    deployment.config.write_text(deployment.config.read_text() + MANAGER)
    (first, _), (second, _) = deployment.start(), deployment.start()
    roadster = SANDBOX.roadster.model_copy(update={"api_key": SecretStr(deployment.api_key)})
    settings = SANDBOX.model_copy(update={"roadster": roadster})
    async with client_of(first) as client:
        result = await client.call_tool("create_customer", NEW_CUSTOMER)
        approval = (result.meta or {})["roadster-mcp/waiting"]["approval_id"]
        address = APPROVAL_RESOURCE.address(approval_id=approval)
        async with client.listen(resource_subscriptions=[address]) as updates:
            assert await approve(second, approval, settings) == 200
            with anyio.fail_after(PATIENCE):
                update: Any = await anext(aiter(updates))
        assert update.uri == address
        answer = answer_of(await client.call_tool("get_approval", {"approval_id": approval}))
    assert answer["status"] in {"sending", "done"}
    assert deployment.writes() == 1


async def offers_no_second_yes(port: int, approval: str) -> bool:
    """Returns whether the page of another server offers no second yes."""
    async with page_browser(f"http://127.0.0.1:{port}") as browser:
        await browser.sign_in(SANDBOX)
        page = await browser.open(f"/people/approvals/{approval}")
    return "being sent" in page and 'name="decision"' not in page
