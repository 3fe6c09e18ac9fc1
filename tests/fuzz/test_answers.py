"""Answers of the upstreams: whatever they hold, a tool gives a result or a failure of a known kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, get_args

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import given, note
from hypothesis import strategies as st
from mcp import Client

from roadster_client import Upstream
from roadster_sandbox import SandboxTransport, create_app
from roadster_server.protocol.server import build_server
from roadster_server.runtime import open_calls
from roadster_server.settings.live import LiveSettings
from roadster_tools import FailureKind
from tests.conftest import kind_of, settings_for, text_of
from tests.tool_examples import TOOL_EXAMPLES

from .conftest import Watch, fuzzing
from .inputs import Edit, edits

# Without those after which the client waits or tries again: a fuzz of pauses finds nothing, slowly.
_STATUSES = st.sampled_from([200, 200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 422, 500])
_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-encoding", "x-request-id", "content-length", "set-cookie"]),
    st.sampled_from(["text/html", "application/json; charset=utf-16", "gzip", "br", "0", "-1", "a=b", "x" * 9000]),
    max_size=1,
)


class _Tampering(httpx2.AsyncBaseTransport):
    """The sandbox, with changed answers while `edit` is set."""

    def __init__(self) -> None:
        self._sandbox = SandboxTransport(create_app())
        self.edit: Edit | None = None
        self.status = 200
        self.headers: dict[str, str] = {}
        self.last = b""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._sandbox.handle_async_request(request)
        if self.edit is None:
            return response
        self.last = body = self.edit(await response.aread())
        headers = {"content-type": "application/json", **self.headers}
        return httpx2.Response(self.status, headers=headers, stream=httpx2.ByteStream(body))


class _Server(NamedTuple):
    client: Client
    network: _Tampering
    upstreams: list[Upstream]


@asynccontextmanager
async def _served(store_url: str) -> AsyncIterator[_Server]:
    network = _Tampering()
    live = LiveSettings(settings_for(store_url))
    async with (
        open_calls(live, local=True, transport=network) as calls,
        Client(build_server(calls, lambda: live.current.caller("tester"))) as client,
    ):
        services = calls.services.gate._services
        apis = [services.roadster, services.roadie, services.mykaarma]
        for tool, row in TOOL_EXAMPLES.items():  # what they make is there for the reads
            await client.call_tool(tool, row.at("umazda"))
        yield _Server(client, network, [api.upstream for api in apis if api is not None])


@pytest.fixture
def server(portal: BlockingPortal, store_url: str) -> Iterator[_Server]:
    with portal.wrap_async_context_manager(_served(store_url)) as server:
        yield server


def test_answer_of_any_kind_is_a_result_or_a_known_failure(
    portal: BlockingPortal, watch: Watch, server: _Server
) -> None:
    async def call(tool: str) -> Any:
        for api in server.upstreams:
            api._breakers.clear()  # they would refuse to ask after five failures
        return await server.client.call_tool(tool, TOOL_EXAMPLES[tool].at("umazda"))

    @fuzzing
    @given(st.sampled_from(list(TOOL_EXAMPLES)), edits, _STATUSES, _HEADERS)
    def answer(tool: str, edit: Edit, status: int, headers: dict[str, str]) -> None:
        network = server.network
        network.edit, network.status, network.headers = edit, status, headers
        result = portal.call(call, tool)
        note(repr(network.last))
        assert kind_of(result) in {None, *get_args(FailureKind)}
        assert "The server failed" not in text_of(result)
        watch.after_input()

    watch.run(answer)
