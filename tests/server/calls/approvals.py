"""A server whose writes wait for a person on a page, and the people who decide there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
from mcp import Client
from mcp.client.extension import ClientExtension
from mcp_types import CallToolResult

from roadster_sandbox import SandboxTransport
from roadster_server.calls.approvals.desk import ApprovalDesk, DeskEntry
from roadster_server.calls.calls import Calls
from roadster_server.calls.context import Timing
from roadster_server.calls.page_links import PageLinks
from roadster_server.calls.results import WAITING_META
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings, RoleSettings
from roadster_server.settings.sections.people import ApprovalSettings
from roadster_server.settings.settings import Settings
from roadster_server.store import open_store
from roadster_server.store.lazy import OpenStore
from roadster_tools import TOOLSETS, Access, Caller
from tests.conftest import ALLOWED, World, kind_of, settings_for

ORIGIN = "http://127.0.0.1:8000"
QUICK = Timing(page_seconds=0.1)


async def _origin() -> str:
    return ORIGIN


def approving_settings(
    store_url: str,
    *,
    approvals: ApprovalSettings | None = None,
    managers: Mapping[str, Any] | None = None,
    **caller: Any,
) -> Settings:
    """Returns settings with a caller whose writes are confirmed, and a manager who may approve all of them."""
    caller = {"access": dict.fromkeys(TOOLSETS, Access.CONFIRM), **caller}
    settings = settings_for(store_url, **caller)
    manager = CallerSettings(role="manager", dealers=list(ALLOWED))
    role = RoleSettings(**{"approves": list(TOOLSETS), **(managers or {})})
    return settings.model_copy(
        update={
            "callers": {**settings.callers, "manager": manager},
            "roles": {"manager": role},
            "approvals": approvals or ApprovalSettings(),
        }
    )


@dataclass
class Office:
    """A server, an assistant's client of it, and the desk at which people decide."""

    live: LiveSettings
    calls: Calls
    client: Client

    @property
    def desk(self) -> ApprovalDesk:
        return ApprovalDesk(self.calls, lambda: self.live.current)

    def person(self, name: str = "manager") -> Caller:
        return self.live.current.caller_as_of_now(name)

    async def entries(self, name: str = "manager") -> list[DeskEntry]:
        """Returns what waits in front of a person, and what was decided."""
        waiting, decided = [await read(self.person(name), None) for read in (self.desk.waiting, self.desk.decided)]
        return waiting.entries + decided.entries

    async def decide(self, approval_id: str, *, by: str = "manager", is_yes: bool = True, reason: str = "") -> bool:
        return await self.desk.decide(lambda: self.person(by), approval_id, is_yes=is_yes, reason=reason)

    async def ask(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Makes a call that must wait, and returns the id of its approval."""
        return approval_of(await self.client.call_tool(tool, dict(arguments)))


class RenamingSandbox(httpx2.AsyncBaseTransport):
    """A sandbox whose documents have another name, once `has_new_name` is set."""

    def __init__(self, world: World) -> None:
        self._sandbox = SandboxTransport(world.app)
        self.has_new_name = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._sandbox.handle_async_request(request)
        if not self.has_new_name or request.method != "GET" or not request.url.path.endswith("/documents"):
            return answer
        body = (await answer.aread()).replace(b"DL Front", b"Contract")
        return httpx2.Response(200, stream=httpx2.ByteStream(body))


def approval_of(result: CallToolResult) -> str:
    """Returns the id of the approval for which a call waits."""
    assert kind_of(result) == "waiting", result
    details = (result.meta or {})[WAITING_META]
    assert details["url"] == f"{ORIGIN}/people/approvals/{details['approval_id']}"
    assert datetime.fromisoformat(details["expires_at"]) > datetime.now(UTC)
    return str(details["approval_id"])


@asynccontextmanager
async def open_office(
    world: World,
    settings: Settings,
    *,
    mode: str = "auto",
    ask: Any = None,
    extensions: Sequence[ClientExtension] = (),
    timing: Timing = QUICK,
    upstream: httpx2.AsyncBaseTransport | None = None,
    open_store: OpenStore = open_store,
    live: LiveSettings | None = None,
    caller: str = "tester",
) -> AsyncIterator[Office]:
    live = live or LiveSettings(settings)
    links = PageLinks(lambda: live.current, _origin)
    async with (
        open_calls(
            live,
            local=True,
            transport=upstream or SandboxTransport(world.app),
            timing=timing,
            open_store=open_store,
            page_links=links,
        ) as calls,
        Client(
            build_server(calls, lambda: live.current.caller_as_of_now(caller)),
            mode=mode,
            elicitation_callback=ask,
            extensions=extensions,
        ) as client,
    ):
        yield Office(live, calls, client)


def change(live: LiveSettings, name: str = "tester", **rights: Any) -> None:
    """Changes rights of a caller, as a reload does."""
    callers = live.current.callers
    section = callers[name].model_copy(update=rights)
    live.current = live.current.model_copy(update={"callers": {**callers, name: section}})
