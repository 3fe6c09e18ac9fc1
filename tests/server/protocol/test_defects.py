"""A defect of the server is answered in its own words, in both eras."""

from __future__ import annotations

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from roadster_sandbox import SandboxTransport
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_tools import Caller
from tests.conftest import World, settings_for

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_defects_own_text_reaches_no_client(
    mode: str, world: World, store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It may name a file, a host or a value."""
    live = LiveSettings(settings_for(store_url))
    is_broken = False

    def current_caller() -> Caller:
        if is_broken:
            raise OSError(2, "No such file", "/etc/roadster/secrets")
        return live.current.caller("tester")

    async with (
        open_calls(live, local=False, transport=SandboxTransport(world.app)) as calls,
        Client(build_server(calls, current_caller), mode=mode) as client,
    ):
        is_broken = True
        for request in (
            client.list_tools(),
            client.list_prompts(),
            client.list_resources(),
            client.call_tool("list_dealers"),
            client.read_resource("roadster://umazda"),
        ):
            with pytest.raises(MCPError) as error:
                await request
            assert str(error.value) == "The server failed on this request; its operator finds why in the log."
    assert "crash" in caplog.messages
