"""Two people of one role at one dealer, over HTTP: neither can use anything that the other one has begun."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult
from pydantic import SecretStr

from roadster_sandbox import SandboxTransport
from roadster_server.protocol.server import build_server
from roadster_server.protocol.subscriptions import Subscriptions
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import PeopleRule, RoleSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.transports.http.application import caller_of_request
from roadster_tools import Access
from tests.conftest import World, answer_of, kind_of, text_of
from tests.server.calls.writes import NEW_CUSTOMER, agreeing_person
from tests.server.identity.issuers import (
    HERE,
    INITIALIZE,
    ISSUER,
    Issuer,
    initialize,
    issuer_settings,
    open_client,
    token,
)

pytestmark = pytest.mark.anyio

AT_UMAZDA = {"dealer": "umazda"}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@asynccontextmanager
async def serving(issuer: Issuer, world: World, store_url: str, **role: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serves the people of the provider. All of them have one role, and may use one dealer."""
    settings = issuer_settings(issuer.url)
    rule = PeopleRule(match={"iss": ISSUER}, role="sales", dealers=["umazda"])
    settings = settings.model_copy(
        update={
            "callers": {},
            "roles": {"sales": RoleSettings(**role)},
            "identity": {"login": settings.identity["login"].model_copy(update={"people": [rule]})},
            "store": StoreSettings(url=SecretStr(store_url)),
        }
    )
    live = LiveSettings(settings)
    async with open_calls(live, local=False, transport=SandboxTransport(world.app)) as calls:
        subscriptions = Subscriptions(calls, lambda: caller_of_request(settings), live)
        server = build_server(calls, lambda: caller_of_request(settings), subscriptions)
        async with open_client(settings, server) as http:
            yield http


@asynccontextmanager
async def client_of(http: httpx2.AsyncClient, person: str) -> AsyncIterator[Client]:
    http.headers["Authorization"] = f"Bearer {token(sub=person)}"
    transport = streamable_http_client(f"{HERE}/mcp", http_client=http)
    async with Client(transport, mode="2026-07-28", elicitation_callback=agreeing_person()) as client:
        await client.list_tools()  # the schemas say which arguments also go into headers
        yield client


async def test_an_idempotency_key_of_one_is_a_new_key_of_the_other(
    issuer: Issuer, world: World, store_url: str
) -> None:
    ids = []
    async with serving(issuer, world, store_url, access={"customers": Access.WRITE}) as http:
        for person in ("steve", "steve", "carlos"):
            async with client_of(http, person) as client:
                customer = {**NEW_CUSTOMER, "idempotency_key": "order-4711"}
                ids.append(answer_of(await client.call_tool("create_customer", customer))["customer_id"])
    assert [request["operation"] for request in await world.requests()].count("create_customer") == 2
    assert ids[0] == ids[1]


async def test_a_cursor_of_one_is_refused_to_the_other(issuer: Issuer, world: World, store_url: str) -> None:
    async with serving(issuer, world, store_url, access={"forms": Access.READ}) as http:
        async with client_of(http, "steve") as client:
            first = answer_of(await client.call_tool("list_templates", {**AT_UMAZDA, "limit": 1}))
        arguments = {**AT_UMAZDA, "limit": 1, "cursor": first["next_cursor"]}
        async with client_of(http, "carlos") as client:
            refusal = await client.call_tool("list_templates", arguments)
        async with client_of(http, "steve") as client:
            assert answer_of(await client.call_tool("list_templates", arguments))
    assert "cursor:" in text_of(refusal)


async def test_a_question_to_one_is_not_answered_by_the_other(issuer: Issuer, world: World, store_url: str) -> None:
    answer = {"confirm": ElicitResult(action="accept", content={"confirm": True})}
    async with serving(issuer, world, store_url, access={"customers": Access.CONFIRM}) as http:
        async with client_of(http, "steve") as client:
            question = await client.session.call_tool("create_customer", NEW_CUSTOMER, allow_input_required=True)
        assert isinstance(question, InputRequiredResult)
        async with client_of(http, "carlos") as client:
            result = await client.session.call_tool(
                "create_customer",
                NEW_CUSTOMER,
                request_state=question.request_state,
                input_responses=answer,
                allow_input_required=True,
            )
    assert isinstance(result, CallToolResult)
    assert (kind_of(result), "another call's" in text_of(result)) == ("not_confirmed", True)
    assert "create_customer" not in [request["operation"] for request in await world.requests()]


async def test_calls_of_one_leave_the_limit_of_the_other(issuer: Issuer, world: World, store_url: str) -> None:
    kinds: dict[str, list[str | None]] = {"steve": [], "carlos": []}
    async with serving(issuer, world, store_url, access={"dealers": Access.READ}, calls_per_minute=3) as http:
        for person in ("steve", "carlos"):
            async with client_of(http, person) as client:
                for _ in range(4):
                    kinds[person].append(kind_of(await client.call_tool("list_dealers")))
    assert kinds["steve"] == kinds["carlos"]
    assert kinds["carlos"][0] is None
    assert kinds["carlos"][-1] == "limited"


async def test_a_session_of_one_is_unknown_to_the_other(issuer: Issuer, world: World, store_url: str) -> None:
    async with serving(issuer, world, store_url, access={"dealers": Access.READ}, sessions=1) as http:
        bearers = {name: {"Authorization": f"Bearer {token(sub=name)}"} for name in ("steve", "carlos")}
        session = (await initialize(http, token(sub="steve"))).headers["mcp-session-id"]
        others = (await http.post("/mcp", json=INITIALIZE, headers=bearers["carlos"])).headers["mcp-session-id"]
        statuses = [
            (await http.post("/mcp", json=LIST, headers={**bearers[name], "Mcp-Session-Id": each})).status_code
            for name, each in (("carlos", session), ("steve", others), ("steve", session), ("carlos", others))
        ]
    assert statuses == [404, 404, 200, 200], "and each may have one session, beside that of the other"
