"""The audit names each person, logs and metrics name nobody, and each person has streams of their own."""

from __future__ import annotations

import json
import logging
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from roadster_sandbox import SandboxTransport, create_app
from roadster_server.calls.keys import Keys
from roadster_server.identity.tokens import Identity, TokenVerifier, caller_of
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import PeopleRule, RoleSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import open_store
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import caller_of_request
from roadster_tools import TOOLS, Access, verdict
from tests.conftest import World, kind_of, settings_for
from tests.server.calls.writes import NEW_CUSTOMER
from tests.server.transports.listening import listening
from tests.server.transports.test_streams import ACCEPT, KINDS, stream_of
from tests.servers import PATIENCE

from .issuers import HERE, ISSUER, Issuer, issuer_settings, open_client, token

pytestmark = pytest.mark.anyio

STEVE, CARLOS = "steve.mcqueen@example.com", "carlos.silva@example.com"


def people(issuer: Issuer, store_url: str, role: RoleSettings) -> Settings:
    """Returns settings in which all people of the provider have one role at one dealer."""
    settings = issuer_settings(issuer.url)
    rule = PeopleRule(match={"iss": ISSUER}, role="sales", dealers=["umazda"])
    provider = settings.identity["login"].model_copy(update={"people": [rule], "name_claim": "email"})
    changes = {"callers": {}, "roles": {"sales": role}, "identity": {"login": provider}}
    return settings.model_copy(update={**changes, "store": settings_for(store_url).store})


async def test_calls_are_on_record_by_person_and_nowhere_else(
    issuer: Issuer, world: World, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Done, refused, unknown, asked and limited calls: each of them has other fields and labels."""
    caplog.set_level(logging.DEBUG, "roadster_server")
    role = RoleSettings(
        access={"inventory": Access.READ, "dealers": Access.READ, "customers": Access.PREVIEW}, calls_per_minute=9
    )
    settings, metrics = people(issuer, store_url, role), Metrics()
    transport = SandboxTransport(world.app)
    kinds = []
    async with (
        open_calls(LiveSettings(settings), local=False, transport=transport, observer=metrics) as calls,
        open_client(settings, build_server(calls, lambda: caller_of_request(settings))) as http,
    ):
        for subject in (STEVE, CARLOS):
            http.headers["Authorization"] = f"Bearer {token(sub=subject, email=subject, name='Planted')}"
            async with Client(streamable_http_client(f"{HERE}/mcp", http_client=http), mode="legacy") as client:
                for tool, arguments in (
                    ("list_inventory", {"limit": 1}),
                    ("list_inventory", {"dealer": "hyundaidemo"}),
                    ("create_customer", NEW_CUSTOMER),
                    ("upload_document", {}),
                    *[("list_dealers", {})] * 8,
                ):
                    kinds.append(kind_of(await client.call_tool(tool, dict(arguments))))
        hash_of_steve = calls.services.keys.hash(f"login:{STEVE}")
    assert {None, "refused", "limited"} <= {*kinds}

    async with open_store(store_url) as store:
        records = [row.record async for row in store.records()]
    assert {record.caller for record in records} == {"login:sales"}
    of_steve = [record.outcome for record in records if record.principal == f"login:{STEVE}"]
    assert of_steve == [record.outcome for record in records if record.principal == f"login:{CARLOS}"]
    assert "limited" in of_steve

    logged = json.dumps([vars(record) for record in caplog.records], default=str)
    assert '"login:sales"' in logged
    assert hash_of_steve in logged
    scraped = bytes(metrics.scrape(None).body).decode()  # type: ignore[arg-type]
    assert 'outcome="refused"' in scraped
    for text in (logged, scraped):
        for value in ("mcqueen", "silva", "Planted"):
            assert value not in text
    assert "login" not in scraped


async def test_person_without_a_rule_has_no_name_in_logs_and_metrics(issuer: Issuer, store_url: str) -> None:
    """After a reload that takes the rule away, the person is refused, and still on record."""
    settings = people(issuer, store_url, RoleSettings(access={"inventory": Access.READ}))
    identity = await TokenVerifier(lambda: settings).verify_token(token(sub=STEVE))
    assert isinstance(identity, Identity)
    for left in ({}, {"login": settings.identity["login"].model_copy(update={"people": []})}):
        caller = caller_of(settings.model_copy(update={"identity": left}), identity)
        assert (caller.name, caller.principal) == ("login:", f"login:{STEVE}")
        answer = verdict(caller, TOOLS["list_inventory"])
        assert not answer.is_allowed
        assert answer.setting == "identity.login.people"


async def test_each_refusal_of_a_person_is_a_log_line_with_the_hash_of_calls(
    issuer: Issuer, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Before a call there is no audit record, so the log is the only place that has them."""
    caplog.set_level(logging.INFO, "roadster_server")
    settings = people(issuer, store_url, RoleSettings(access={"inventory": Access.READ}))
    call = {"name": "list_inventory", "arguments": {"dealer": "umazda"}, "_meta": META}
    refusals: list[tuple[str, dict[str, str], str, Any]] = [
        (token(sub=STEVE, scope=...), {}, "/mcp", (403, "insufficient_scope")),
        (token(sub=STEVE), {}, "/mcp?dealers=toyotademo", (400, -32600)),
        (token(sub=STEVE), {"Mcp-Param-dealer": "toyotademo"}, "/mcp", (400, -32020)),
    ]
    async with (
        open_calls(LiveSettings(settings), local=False, transport=SandboxTransport(create_app())) as calls,
        open_client(settings, build_server(calls, lambda: caller_of_request(settings))) as http,
    ):
        for bearer, more, path, (status, error) in refusals:
            caplog.clear()
            headers = {"Authorization": f"Bearer {bearer}", **MODERN_HEADERS, **more}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            answer = await http.post(path, json=message, headers=headers)
            assert answer.status_code == status, answer.text
            (line,) = [vars(record) for record in caplog.records if record.message == "request refused"]
            assert (line["caller"], line["status"], line["error"]) == ("login:sales", status, error)
            assert line["person"] == calls.services.keys.hash(f"login:{STEVE}")
        caplog.clear()
        nobody = {"login": settings.identity["login"].model_copy(update={"people": []})}
        async with open_client(settings.model_copy(update={"identity": nobody})) as without_rules:
            bearer = {"Authorization": f"Bearer {token(sub=STEVE)}"}
            assert (await without_rules.post("/mcp", json={}, headers=bearer)).status_code == 403
        (line,) = [vars(record) for record in caplog.records if record.message == "jwt refused"]
        assert line["person"] == calls.services.keys.hash(f"login:{STEVE}")
        assert "mcqueen" not in caplog.text


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN_HEADERS = {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "list_inventory",
    "Accept": "application/json, text/event-stream",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_person_of_a_role_has_streams_of_their_own(kind: str, issuer: Issuer, store_url: str) -> None:
    settings = people(issuer, store_url, RoleSettings(access={"dealers": Access.READ}, streams=1))
    async with (
        listening(LiveSettings(settings)) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        AsyncExitStack() as stack,
    ):
        for subject in (STEVE, CARLOS):
            await stack.enter_async_context(stream_of(http, url, kind, token(sub=subject)))
        headers = ACCEPT | {"Authorization": f"Bearer {token(sub=STEVE)}"}
        one_more = await http.get(f"{url}/sse", headers=headers)
        assert one_more.status_code >= 400
        assert "roles.sales.streams allows 1" in one_more.text


def test_the_hash_in_the_log_needs_the_key() -> None:
    one, other = (Keys.derive(secret).hash(f"login:{STEVE}") for secret in ("one", "other"))
    assert one != other
