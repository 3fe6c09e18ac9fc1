"""Sessions of protocol 2025-11-25: a share for each caller, and the oldest idle one ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from roadster_sandbox import create_app
from roadster_sandbox.http.transport import SandboxTransport
from roadster_server.calls.results import FAILURE_META
from roadster_server.settings.live import LiveSettings
from tests.conftest import settings_for
from tests.servers import PATIENCE

from .listening import listening
from .test_http import INITIALIZE, LIST_TOOLS

pytestmark = pytest.mark.anyio

CALL = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_dealers", "arguments": {}}}
SHARE = 2


class PatientUpstream(httpx2.AsyncBaseTransport):
    """A sandbox that answers once `release` is set."""

    def __init__(self) -> None:
        self.requested, self.release = anyio.Event(), anyio.Event()
        self._sandbox = SandboxTransport(create_app())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requested.set()
        await self.release.wait()
        return await self._sandbox.handle_async_request(request)


def live_settings(store_url: str, **caller: Any) -> LiveSettings:
    """Returns settings with the callers `one` and `two`, each with its name as its token."""
    sections = {}
    for name in ("one", "two"):
        digest = hashlib.sha256(name.encode()).hexdigest()
        sections |= settings_for(store_url, name, token_sha256=[digest], sessions=SHARE, **caller).callers
    return LiveSettings(settings_for(store_url).model_copy(update={"callers": sections}))


class Sessions:
    """The sessions of one caller."""

    def __init__(self, http: httpx2.AsyncClient, url: str, caller: str = "one") -> None:
        self._http = http
        self._url = f"{url}/mcp"
        self._headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {caller}"}

    async def open(self) -> str:
        answer = await self.post(INITIALIZE)
        assert answer.status_code == 200
        return str(answer.headers["mcp-session-id"])

    async def post(self, message: Any, session: str | None = None) -> httpx2.Response:
        return await self._http.post(self._url, json=message, headers=self._with(session))

    async def are_open(self, *sessions: str) -> list[bool]:
        statuses = [(await self.post(LIST_TOOLS, session)).status_code for session in sessions]
        assert {*statuses} <= {200, 404}
        return [status == 200 for status in statuses]

    @asynccontextmanager
    async def stream(self, session: str) -> AsyncIterator[httpx2.Response]:
        async with self._http.stream("GET", self._url, headers=self._with(session)) as answer:
            assert answer.status_code == 200
            yield answer

    async def stream_status(self, session: str) -> int:
        async with self._http.stream("GET", self._url, headers=self._with(session)) as answer:
            return answer.status_code

    async def end(self, session: str) -> None:
        assert (await self._http.delete(self._url, headers=self._with(session))).status_code == 200

    def _with(self, session: str | None) -> dict[str, str]:
        return self._headers | ({"Mcp-Session-Id": session} if session else {})


@asynccontextmanager
async def connected(
    store_url: str, upstream: httpx2.AsyncBaseTransport | None = None, **caller: Any
) -> AsyncIterator[tuple[Sessions, Sessions]]:
    """The sessions of two callers of one server."""
    async with (
        listening(live_settings(store_url, **caller), upstream) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
    ):
        yield Sessions(http, url), Sessions(http, url, "two")


@pytest.mark.reliability(
    "a caller that opens session after session",
    "the session that is idle for longest ends; the newest works",
)
async def test_one_session_more_ends_the_one_that_is_idle_for_longest(store_url: str) -> None:
    async with connected(store_url) as (sessions, _):
        first, second = await sessions.open(), await sessions.open()
        assert await sessions.are_open(first) == [True], "it is used after the second"
        third = await sessions.open()
        assert await sessions.are_open(first, second, third) == [True, False, True]


@pytest.mark.reliability(
    "one caller has all its sessions",
    "another caller opens its own",
)
async def test_sessions_of_one_caller_leave_those_of_another(store_url: str) -> None:
    async with connected(store_url) as (sessions, others):
        other = await others.open()
        for _ in range(5 * SHARE):
            await sessions.open()
        assert await others.are_open(other) == [True]


async def test_session_with_a_stream_outlives_one_without(store_url: str) -> None:
    """Of those with a stream, the oldest one ends too, and its stream with it."""
    async with connected(store_url) as (sessions, _):
        first = await sessions.open()
        async with sessions.stream(first) as stream:
            second, third = await sessions.open(), await sessions.open()
            assert await sessions.are_open(first, second, third) == [True, False, True]
            async with sessions.stream(third):
                await sessions.open()
                with anyio.fail_after(PATIENCE):
                    async for _ in stream.aiter_raw():
                        pass
                assert await sessions.are_open(first, third) == [False, True]


async def test_session_with_a_call_under_way_is_not_ended(store_url: str) -> None:
    upstream = PatientUpstream()
    answers: list[httpx2.Response] = []
    async with connected(store_url, upstream) as (sessions, _):

        async def call(session: str) -> None:
            answers.append(await sessions.post(CALL, session))

        async with anyio.create_task_group() as tasks:
            for session in [await sessions.open() for _ in range(SHARE)]:
                upstream.requested = anyio.Event()
                tasks.start_soon(call, session)
                with anyio.fail_after(PATIENCE):
                    await upstream.requested.wait()
            refusal = await sessions.post(INITIALIZE)
            assert refusal.status_code == 503
            assert "Too many sessions" in refusal.json()["error"]["message"]
            upstream.release.set()
        assert [answer.status_code for answer in answers] == [200] * SHARE
        await sessions.open()


async def test_requests_that_open_nothing_end_nothing(store_url: str) -> None:
    async with connected(store_url) as (sessions, _):
        opened = [await sessions.open() for _ in range(SHARE)]
        for message in (LIST_TOOLS, CALL, {**INITIALIZE, "id": None}):
            assert (await sessions.post(message)).status_code == 400
        assert await sessions.are_open(*opened) == [True] * SHARE


@pytest.mark.reliability(
    "a caller introduces itself beyond its limit of calls",
    "it gets no session; those that it has go on",
)
@pytest.mark.parametrize(
    ("introduction", "limits"),
    [
        pytest.param(INITIALIZE, {"calls_per_minute": SHARE}, id="limited"),
        pytest.param({**INITIALIZE, "params": {"protocolVersion": 7}}, {}, id="malformed"),
    ],
)
async def test_refused_introduction_opens_no_session_and_ends_none(
    introduction: dict[str, Any], limits: dict[str, int], store_url: str
) -> None:
    async with connected(store_url, **limits) as (sessions, _):
        opened = [await sessions.open() for _ in range(SHARE)]
        for _ in range(8 * SHARE):
            refusal = await sessions.post(introduction)
            assert "error" in json.loads(refusal.text.partition("data: ")[2])
            assert "mcp-session-id" not in refusal.headers
        # Only a ping does not count as a call.
        pings = [await sessions.post({**LIST_TOOLS, "method": "ping"}, session) for session in opened]
        assert [ping.status_code for ping in pings] == [200] * SHARE


async def test_ended_session_makes_room(store_url: str) -> None:
    async with connected(store_url) as (sessions, _):
        first, second = await sessions.open(), await sessions.open()
        await sessions.end(second)
        third = await sessions.open()
        assert await sessions.are_open(first, second, third) == [True, False, True]


async def test_each_session_counts_as_a_call(store_url: str) -> None:
    async with connected(store_url, calls_per_minute=3) as (sessions, others):
        for _ in range(3):
            await sessions.open()
        assert "callers.one.calls_per_minute allows 3 calls a minute" in (await sessions.post(INITIALIZE)).text
        await others.open()


@pytest.mark.reliability(
    "a caller lists without end",
    "lists count for `calls_per_minute`",
)
async def test_lists_count_as_calls(store_url: str) -> None:
    """A ping does not, because a client must be able to find out whether the server is there."""
    async with connected(store_url, calls_per_minute=5) as (sessions, _):
        session = await sessions.open()
        lists = [
            await sessions.post({**LIST_TOOLS, "method": f"{name}/list"}, session)
            for name in ("tools", "prompts", "resources", "resources/templates", "tools")
        ]
        call = await sessions.post(CALL, session)
        assert ["Limit reached" in answer.text for answer in (*lists, call)] == [False] * 4 + [True] * 2
        error = json.loads(lists[-1].text.partition("data: ")[2])["error"]
        assert error["data"] == {FAILURE_META: "limited"}
        assert "result" in (await sessions.post({**LIST_TOOLS, "method": "ping"}, session)).text
