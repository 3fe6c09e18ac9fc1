"""A token that is revoked at the command line, with two servers of one configuration."""

from __future__ import annotations

import anyio
import httpx2
import pytest

from tests.command_line import run_cli
from tests.server.transports.test_streams import end_of, stream_of
from tests.servers import PATIENCE

from .deployment import TOKEN, Deployment, client_of

pytestmark = pytest.mark.anyio


async def status_of(http: httpx2.AsyncClient, port: int) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return (await http.post(f"http://127.0.0.1:{port}/mcp", json={}, headers=headers)).status_code


@pytest.mark.reliability("a token is revoked", "all servers refuse it within two seconds, and end its streams")
async def test_a_revoked_token_is_refused_by_all_servers_and_ends_its_streams(deployment: Deployment) -> None:
    (first, _), (second, _) = deployment.start(), deployment.start()
    config = ("--config", str(deployment.config))
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        async with client_of(first, second) as client:
            await client.list_tools()
        async with stream_of(http, f"http://127.0.0.1:{second}", "listen", TOKEN) as stream:
            end = await anyio.to_thread.run_sync(
                lambda: run_cli("token", "revoke", *config, stdin=f"{TOKEN}\n", **deployment.secrets)
            )
            assert (end.returncode, end.stderr) == (0, "")
            await end_of(stream)
        with anyio.fail_after(PATIENCE):
            for port in (first, second):
                while await status_of(http, port) != 401:
                    await anyio.sleep(0.05)
        third, _ = deployment.start()
        assert await status_of(http, third) == 401, "a server that starts later knows it from the first request on"
    audit = run_cli("audit", "tail", "--last", "1", *config, **deployment.secrets).stdout
    assert '"tool": "token revoke"' in audit
    assert TOKEN not in audit
