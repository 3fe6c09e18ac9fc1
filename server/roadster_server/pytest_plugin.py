"""The fixtures of `roadster_sandbox.pytest_plugin` that need a server: its settings and its clients."""

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

from .calls.form import yes_to
from .protocol.server import build_server
from .runtime import open_calls
from .sandbox import sandbox_settings
from .settings.defaults import LOCAL_CALLER
from .settings.live import LiveSettings
from .settings.sections import CallerSettings, Settings

Connect = Callable[[], AbstractAsyncContextManager[Client]]


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
