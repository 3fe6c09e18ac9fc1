"""Each level of access on each transport."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from roadster_tools import Access
from tests.callers import NEW_CUSTOMER, SECRETS, agree, customers_created, open_client, write_config
from tests.conftest import kind_of
from tests.servers import free_port, serving

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_world")]

TRANSPORTS = ("stdio legacy", "stdio 2026-07-28", "http legacy", "http 2026-07-28", "http sse")
LEVELS = {level.name.lower(): level for level in Access}


@pytest.fixture(scope="module")
def server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Over HTTP, with a caller at each level."""
    config = write_config(tmp_path_factory.mktemp("policy"), upstream, **{f"at-{level}": level for level in LEVELS})
    port = free_port()
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "transport", ["stdio legacy", "stdio 2026-07-28", "http legacy", "http 2026-07-28", "http sse"]
)
@pytest.mark.parametrize("level", LEVELS)
async def test_the_policy_holds_at_every_level_on_every_transport(
    level: str, transport: str, server: str, upstream: str, tmp_path: Path
) -> None:
    """The level decides which tools are listed, which calls are answered, and whether the write is sent."""
    access = LEVELS[level]
    way, _, mode = transport.partition(" ")
    if way == "stdio":
        config = write_config(tmp_path, upstream, local=level)
        command = ["-m", "roadster_server", "serve", "--config", str(config)]
        parameters = StdioServerParameters(command=sys.executable, args=command, env=SECRETS)
        connection = Client(parameters, mode=mode, elicitation_callback=agree)
    else:
        connection = open_client(server, mode, f"at-{level}")
    async with connection as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        read = await client.call_tool("list_inventory", {"limit": 1})
        write = await client.call_tool("create_customer", NEW_CUSTOMER)
        foreign = await client.call_tool("create_customer", {**NEW_CUSTOMER, "dealer": "hyundaidemo"})
    assert ("list_inventory" in tools) is (access >= Access.READ)
    assert ("create_customer" in tools) is (access >= Access.PREVIEW)
    assert kind_of(read) == (None if access >= Access.READ else "refused")
    assert kind_of(write) == (None if access >= Access.PREVIEW else "refused")
    assert kind_of(foreign) == "refused"
    assert customers_created(upstream) == (1 if access >= Access.CONFIRM else 0)
