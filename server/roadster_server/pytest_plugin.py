"""The fixtures of `roadster_sandbox.pytest_plugin` that need a server: its settings and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from mcp_types import Tool as McpTool

from roadster_sandbox import EmbeddedSandbox, SandboxTransport
from roadster_tools import TOOLS

from .calls.questions.form import yes_to
from .events.webhooks import receivers
from .protocol.server import build_server
from .runtime import open_calls
from .sandbox import sandbox_settings
from .settings.defaults import LOCAL_CALLER
from .settings.live import LiveSettings
from .settings.sections.callers import CallerSettings
from .settings.settings import Settings

Connect = Callable[[], AbstractAsyncContextManager[Client]]
SendEvent = Callable[..., dict[str, Any]]


@pytest.fixture
def roadster_caller() -> Mapping[str, Any]:
    """The caller's section `[callers.NAME]`: all rights at two of three dealers. Override it to test with fewer."""
    return {"dealers": ["umazda", "hyundaidemo"], "access": dict.fromkeys(TOOLS, "write"), "personal_data": "masked"}


@pytest.fixture
def roadster_settings(roadster_caller: Mapping[str, Any], tmp_path: Path) -> Settings:
    """The server's configuration, with a store of the test's own."""
    settings = sandbox_settings(f"sqlite:///{tmp_path / 'roadster-mcp.db'}")
    return settings.model_copy(update={"callers": {LOCAL_CALLER: CallerSettings.model_validate(roadster_caller)}})


@pytest.fixture
def roadster_connect(roadster_world: EmbeddedSandbox, roadster_settings: Settings) -> Connect:
    """For asynchronous tests: opens an MCP client of a server over the sandbox, as an asynchronous context manager.

    It needs asyncio. Every question to a person is answered with yes.
    """
    live = LiveSettings(roadster_settings)

    @asynccontextmanager
    async def open_client() -> AsyncIterator[Client]:
        async with (
            open_calls(live, local=True, transport=roadster_world.transport) as calls,
            Client(
                build_server(calls, lambda: live.current.caller(LOCAL_CALLER)), elicitation_callback=_answer_yes
            ) as client,
        ):
            yield client

    return open_client


async def _answer_yes(context: Any, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001 - the SDK's names
    return yes_to(params)


@dataclass(frozen=True)
class BlockingClient:
    """A connected client for code without `await`."""

    _client: Client
    _portal: BlockingPortal

    def list_tools(self) -> list[McpTool]:
        """Returns the tools that the caller may use."""
        return self._portal.call(self._client.list_tools).tools

    def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> CallToolResult:
        """Returns the answer. If the call has failed, its `is_error` is true."""
        result: CallToolResult = self._portal.call(self._client.call_tool, name, dict(arguments or {}))
        return result


@pytest.fixture
def roadster_client(roadster_connect: Connect) -> Iterator[BlockingClient]:
    """For synchronous tests: a client of a server over the sandbox."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(roadster_connect()) as client,
    ):
        yield BlockingClient(client, portal)


@pytest.fixture
def roadster_send_event(roadster_world: EmbeddedSandbox, roadster_settings: Settings) -> SendEvent:
    """For any test: sends a customer event to the server's web hook as Roadster does, and returns the event.

    It is a plain call, without `await`. The arguments are those of `roadster_world.make_event`: `type`, `dealer`,
    `customer_id`, `message`, or an `event` of your own. Raises ValueError for an event that the web hook refuses.
    """

    def send_event(**fields: Any) -> dict[str, Any]:
        event = roadster_world.make_event(**fields)
        # In a thread of its own, because an asynchronous test has a running loop in this one.
        with start_blocking_portal() as portal:
            answer = portal.call(_post_event, roadster_world, roadster_settings, event)
        if answer.is_error:
            raise ValueError(f"the web hook refused the event with {answer.status_code}: {answer.text}")
        return event

    return send_event


async def _post_event(world: EmbeddedSandbox, settings: Settings, event: Mapping[str, Any]) -> httpx2.Response:
    live = LiveSettings(settings)
    keys = [key.get_secret_value() for key in settings.webhooks.roadster_keys]
    headers = {"authorization": f"Bearer {keys[0]}"} if keys else {}
    async with open_calls(live, local=True, transport=world.transport) as calls:
        receiver = SandboxTransport(receivers(live, calls.services.store, _ignore_change)["/webhooks/roadster"])
        async with httpx2.AsyncClient(transport=receiver, headers=headers) as http:
            return await http.post("http://webhook/webhooks/roadster", json=dict(event))


def _ignore_change(_dealer: str, _customer: str) -> None:
    """Takes the place of the subscriptions. Clients over stdio have none."""
