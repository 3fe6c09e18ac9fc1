"""People of an identity provider whose writes wait: who can follow them, and what a revocation ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceUpdatedNotification, TextResourceContents
from pydantic import SecretStr

from roadster_sandbox import SandboxTransport
from roadster_server.calls.results import FAILURE_META, WAITING_META
from roadster_server.sandbox import sandbox_settings
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import PeopleRule, RoleSettings
from roadster_server.settings.sections.http import HttpSettings
from roadster_server.settings.sections.stores import StoreSettings
from roadster_server.store import AuditRecord, open_store
from roadster_tools import TOOLSETS, Access
from tests.conftest import World, kind_of, text_of
from tests.server.calls.writes import NEW_CUSTOMER, records, sent_writes
from tests.server.people.browser import page_browser
from tests.server.transports.listening import listening
from tests.servers import PATIENCE

from .issuers import ISSUER, Issuer, issuer_settings, token

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")]

both_eras = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


@pytest.fixture
def live(issuer: Issuer, store_url: str) -> LiveSettings:
    """The settings of a server whose people ask, and whose manager says yes or no."""
    sandbox, settings = sandbox_settings(store_url), issuer_settings(issuer.url)
    rule = PeopleRule(match={"iss": ISSUER}, role="sales", dealers=["umazda"])
    provider = settings.identity["login"].model_copy(update={"people": [rule], "name_claim": "name"})
    sales = RoleSettings(access=dict.fromkeys(TOOLSETS, Access.CONFIRM))
    return LiveSettings(
        settings.model_copy(
            update={
                "callers": {"manager": sandbox.callers["manager"]},
                "roles": {"manager": sandbox.roles["manager"], "sales": sales},
                "identity": {"login": provider},
                "store": StoreSettings(url=SecretStr(store_url)),
                "http": HttpSettings(),
            }
        )
    )


@pytest.fixture
async def origin(live: LiveSettings, world: World) -> AsyncIterator[str]:
    async with listening(live, SandboxTransport(world.app)) as url:
        yield url


@asynccontextmanager
async def client_of(
    origin: str, person: str, mode: str, on_message: Callable[[Any], Awaitable[None]] | None = None
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token(sub=person, name=person.title())}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(
            streamable_http_client(f"{origin}/mcp", http_client=http), mode=mode, message_handler=on_message
        ) as client,
    ):
        await client.list_tools()  # the schemas say which arguments also go into headers
        yield client


async def ask(client: Client) -> str:
    """Makes a call that must wait, and returns the id of its approval."""
    result = await client.call_tool("create_customer", dict(NEW_CUSTOMER))
    assert kind_of(result) == "waiting", text_of(result)
    return str((result.meta or {})[WAITING_META]["approval_id"])


async def decide(live: LiveSettings, origin: str, approval: str, answer: str = "yes") -> str:
    """Says yes or no on the page, as the manager. Returns the page before the answer, and the one behind it."""
    async with page_browser(origin) as browser:
        await browser.sign_in(live.current)
        before = await browser.open(f"/people/approvals/{approval}")
        return before + await browser.submit(f"/approvals/{approval}", decision=answer, reason="")


@asynccontextmanager
async def update_of(origin: str, person: str, mode: str, uri: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Follows an address. Yields what waits for a notification, and returns its address."""
    heard: list[str] = []
    arrived = anyio.Event()

    async def wait() -> str:
        with anyio.fail_after(PATIENCE):
            await arrived.wait()
        return heard[0]

    async def on_message(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
            arrived.set()

    async with client_of(origin, person, mode, on_message if mode == "legacy" else None) as client:
        if mode == "legacy":
            await client.session.subscribe_resource(uri)
            yield wait
            return
        async with client.listen(resource_subscriptions=[uri]) as stream, anyio.create_task_group() as tasks:

            async def hear() -> None:
                with suppress(SubscriptionLost):
                    async for event in stream:
                        heard.append(event.uri)  # type: ignore[union-attr]
                        arrived.set()

            tasks.start_soon(hear)
            yield wait
            tasks.cancel_scope.cancel()


async def status_at(client: Client, uri: str) -> dict[str, Any]:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    status: dict[str, Any] = json.loads(content.text)
    return status


async def records_of_write(store_url: str, approval: str) -> list[AuditRecord]:
    """Returns the records of the write that an approval is for, without those of looks at its page."""
    rows = [row.record for row in await records(store_url)]
    return [record for record in rows if record.approval == approval and record.tool == "create_customer"]


@both_eras
async def test_the_person_who_asked_follows_the_write_to_its_end(
    mode: str, live: LiveSettings, origin: str, world: World, store_url: str
) -> None:
    async with client_of(origin, "steve", mode) as client:
        approval = await ask(client)
        uri = f"roadster://approvals/{approval}"
        assert (await status_at(client, uri))["status"] == "waiting"
        async with update_of(origin, "steve", mode, uri) as update:
            page = await decide(live, origin, approval)
            assert await update() == uri
        status = await status_at(client, uri)
    assert "Steve (login:steve)" in page
    assert (status["status"], status["answer"]["customer_id"]) == ("done", 1650260)
    assert await sent_writes(world) == ["create_customer"]
    of_approval = await records_of_write(store_url, approval)
    assert {record.principal for record in of_approval if record.phase != "decided"} == {"login:steve"}
    reads = [row.record for row in await records(store_url) if row.record.tool == "get_approval"]
    assert {(record.principal, record.outcome) for record in reads} == {("login:steve", "done")}


@both_eras
async def test_a_colleague_neither_reads_nor_follows_it(mode: str, origin: str) -> None:
    """Not even by the right address. It looks like one that nobody has."""
    async with client_of(origin, "steve", mode) as client:
        approval = await ask(client)
    errors = []
    async with client_of(origin, "carlos", mode) as client:
        for id_ in (approval, "0" * 32):
            with pytest.raises(MCPError) as error:
                await client.read_resource(f"roadster://approvals/{id_}")
            errors.append(error.value.error)
    for id_ in (approval, "0" * 32):
        with pytest.raises((MCPError, ExceptionGroup)) as group:
            async with update_of(origin, "carlos", mode, f"roadster://approvals/{id_}"):
                pytest.fail("the address is followed")
        failure: Any = group.value
        while isinstance(failure, ExceptionGroup):
            failure = failure.exceptions[0]
        errors.append(failure.error)
    assert {error.data[FAILURE_META] for error in errors} == {"not_found"}
    assert len({error.message for error in errors}) == 1


@pytest.mark.reliability(
    "the token of the requester was revoked between asking and the yes",
    "refused; nothing is sent, and the page says so",
)
async def test_a_yes_for_a_person_who_was_revoked_meanwhile_sends_nothing(
    live: LiveSettings, origin: str, world: World, store_url: str
) -> None:
    async with client_of(origin, "steve", "2026-07-28") as client:
        approval = await ask(client)
    async with open_store(store_url) as store:
        record = (await records(store_url))[-1].record
        await store.revoke(["login:steve"], replace(record, call_id="revoked-by-hand"), now=datetime.now(UTC))
    page = await decide(live, origin, approval)
    assert "Approved, and not done." in page
    assert await sent_writes(world) == []
    of_approval = await records_of_write(store_url, approval)
    assert [(record.principal, record.outcome) for record in of_approval][-2:] == [
        ("manager", "approved"),
        ("login:steve", "refused"),
    ]
