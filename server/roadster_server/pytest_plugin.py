"""The half of `roadster_sandbox.pytest_plugin` that is a server and its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from mcp_types import Tool as McpTool

from roadster_sandbox import EmbeddedSandbox
from roadster_tools import TOOLS

from .protocol.server import build_server
from .runtime import open_calls
from .sandbox import sandbox_settings
from .settings.defaults import LOCAL_CALLER
from .settings.live import LiveSettings
from .settings.sections import CallerSettings, Settings

Connect = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture
def roadster_caller() -> Mapping[str, Any]:
    """Who calls, as `[callers.NAME]` has it: all rights at two of three dealers. Override it to test with fewer."""
    return {"dealers": ["umazda", "hyundaidemo"], "access": dict.fromkeys(TOOLS, "write"), "personal_data": "masked"}


@pytest.fixture
def roadster_settings(roadster_caller: Mapping[str, Any], tmp_path: Path) -> Settings:
    """The server's configuration, with a store of the test's own."""
    settings = sandbox_settings(f"sqlite:///{tmp_path / 'roadster-mcp.db'}")
    return settings.model_copy(update={"callers": {LOCAL_CALLER: CallerSettings.model_validate(roadster_caller)}})


@pytest.fixture
def roadster_connect(roadster_world: EmbeddedSandbox, roadster_settings: Settings) -> Connect:
    """For asynchronous tests: makes an MCP client of a server over the world, as an asynchronous context manager.

    On asyncio, with whatever runs your tests. A person who is asked to confirm a write agrees.
    """
    live = LiveSettings(roadster_settings)

    @asynccontextmanager
    async def connected() -> AsyncIterator[Client]:
        async with (
            open_calls(live, local=True, transport=roadster_world.transport) as calls,
            Client(
                build_server(calls, lambda: live.current.caller(LOCAL_CALLER)), elicitation_callback=_agrees
            ) as client,
        ):
            yield client

    return connected


async def _agrees(context: Any, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001 - the SDK's names
    return ElicitResult(action="accept", content={"confirm": True})


@dataclass(frozen=True)
class BlockingClient:
    """A connected client whose calls return when they are done."""

    _client: Client
    _portal: BlockingPortal

    def list_tools(self) -> list[McpTool]:
        """The tools that the caller may use."""
        return self._portal.call(self._client.list_tools).tools

    def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None) -> CallToolResult:
        """The answer, also where it says that the call failed: look at `is_error`."""
        result: CallToolResult = self._portal.call(self._client.call_tool, name, dict(arguments or {}))
        return result


@pytest.fixture
def roadster_client(roadster_connect: Connect) -> Iterator[BlockingClient]:
    """For synchronous tests: a client of a server over the world."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(roadster_connect()) as client,
    ):
        yield BlockingClient(client, portal)
