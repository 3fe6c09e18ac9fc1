"""Approvals as they run: two servers on one store, and kill -9 after the yes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.lowlevel import checkpoint
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.settings import Settings
from roadster_server.store import AuditQuery, open_store
from roadster_tools import APPROVAL_RESOURCE
from tests.callers import CALLER, NEW_CUSTOMER, SECRETS, customers_created, token_of, write_config
from tests.conftest import answer_of, kind_of, on_both_databases, text_of
from tests.server.people.browser import SAME_ORIGIN, page_browser
from tests.server.store.databases import execute
from tests.servers import PATIENCE, free_port, serving, until
from tests.tool_examples import every_call

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


async def approve(
    port: int, approval: str, settings: Settings = SANDBOX, wait: Callable[[], Awaitable[None]] = checkpoint
) -> int | None:
    """Opens the page at one server, waits, and says yes. Returns the answer's status, None if the server has died."""
    origin = f"http://127.0.0.1:{port}"
    async with page_browser(origin) as browser:
        await browser.sign_in(settings)
        await browser.open(f"/people/approvals/{approval}")
        form = browser.form(f"/approvals/{approval}")
        await wait()
        try:
            answer = await browser.http.post(
                form.action,
                data={**form.fields, "decision": "yes", "certain": "yes"},
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
    people = ports * 2
    openers: list[int] = []
    all_have_opened = anyio.Event()
    statuses: list[int | None] = []

    async def decide(port: int) -> None:
        async def wait_for_all() -> None:
            openers.append(port)
            if len(openers) == len(people):
                all_have_opened.set()
            await all_have_opened.wait()

        statuses.append(await approve(port, approval, wait=wait_for_all))

    with serve(config, ports[0]), serve(config, ports[1]):
        approval = (await ask(ports[0]))["approval_id"]
        assert (await ask(ports[1]))["approval_id"] == approval
        async with anyio.create_task_group() as tasks:
            for port in people:
                tasks.start_soon(decide, port)
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
        query = AuditQuery(approval=approval, tool="create_customer")
        rows = [row.record async for row in store.records(query)]
        assert (await store.verify()).first_broken is None
    assert [(row.phase, row.outcome) for row in rows][:3] == [
        ("ended", "waiting"),
        ("decided", "approved"),
        ("sent", "sent"),
    ]
    assert "done" not in [row.outcome for row in rows]


@on_both_databases
@pytest.mark.reliability(
    "kill -9 between a person's yes and the sending",
    "nothing is sent, also later, and the call says so after two minutes",
)
async def test_kill_9_between_the_yes_and_the_sending_sends_nothing(
    upstream: str, tmp_path: Path, store_url: str
) -> None:
    """The server dies while it looks up again what the write is about."""
    config, ports = config_with_manager(tmp_path, upstream, store_url), (free_port(), free_port())
    more = CALLER.format(name="clerk", level="write", digest=hashlib.sha256(token_of("clerk").encode()).hexdigest())
    text = config.read_text().replace('approves = ["customers"]', 'approves = ["documents"]') + more
    config.write_text(re.sub('inventory = "(.*)"', r'documents = "\1"', text))
    with serve(config, ports[0]) as server, serve(config, ports[1]):
        deletion = await deletion_of_a_new_document(ports[0])
        approval = (await ask(ports[0], "delete_documents", deletion))["approval_id"]
        looked_up = requests_of(upstream, "list_documents")
        delay = {"operation": "list_documents", "fault": "delay", "seconds": 20, "times": 1}
        httpx2.post(f"{upstream}/__sandbox/faults", json=delay, timeout=PATIENCE).raise_for_status()
        async with anyio.create_task_group() as people:
            people.start_soon(approve, ports[0], approval)
            await anyio.to_thread.run_sync(until, lambda: requests_of(upstream, "list_documents") > looked_up)
            server.kill()
        assert (await ask(ports[1], "delete_documents", deletion))["approval_id"] == approval
        assert await offers_no_second_yes(ports[1], approval)
        await execute(store_url, "UPDATE roadster_approvals SET decided = decided - 121000")
        await execute(store_url, "UPDATE roadster_claims SET claimed = claimed - 121000")
        async with assistant(ports[1]) as client:
            again = await client.call_tool("delete_documents", deletion)
    assert kind_of(again) == "upstream"
    assert "before it sent anything. Nothing was sent" in text_of(again)
    assert requests_of(upstream, "delete_documents") == 0
    async with open_store(store_url) as store:
        phases = [row.record.phase async for row in store.records(AuditQuery(approval=approval))]
        assert (await store.verify()).first_broken is None
    assert "decided" in phases
    assert "sent" not in phases


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


async def deletion_of_a_new_document(port: int) -> dict[str, Any]:
    async with assistant(port, "clerk") as client:
        customer = answer_of(await client.call_tool("create_customer", NEW_CUSTOMER))["customer_id"]
        document = {**every_call("umazda")["upload_document"], "customer_id": customer}
        answer_of(await client.call_tool("upload_document", document))
        documents = answer_of(await client.call_tool("list_documents", {"customer_id": customer}))["documents"]
    return {"customer_id": customer, "document_ids": [each["document_id"] for each in documents]}


def requests_of(upstream: str, operation: str) -> int:
    requests = httpx2.get(f"{upstream}/__sandbox/requests", timeout=PATIENCE).json()
    return sum(request["operation"] == operation for request in requests)


async def offers_no_second_yes(port: int, approval: str) -> bool:
    """Returns whether the page of another server offers no second yes."""
    async with page_browser(f"http://127.0.0.1:{port}") as browser:
        await browser.sign_in(SANDBOX)
        page = await browser.open(f"/people/approvals/{approval}")
    return "being sent" in page and 'name="decision"' not in page
