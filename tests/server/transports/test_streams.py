"""Streams end with the right to them: GET on /mcp, /sse, and subscriptions/listen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from roadster_server.identity import keys as identity_keys
from roadster_server.identity.keys import IssuerKeys
from roadster_server.identity.tokens import TokenVerifier
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_server.transports.http import streams
from roadster_server.transports.http.guards import BearerGuard
from roadster_tools import Access
from tests.conftest import settings_for
from tests.server.identity.issuers import OPAQUE, Clock, Issuer, issuer_settings, token
from tests.servers import PATIENCE

from .listening import listening
from .test_http import INITIALIZE

pytestmark = pytest.mark.anyio

KINDS = ("get", "sse", "listen")
ACCEPT = {"Accept": "application/json, text/event-stream"}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
LISTEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {"notifications": {"toolsListChanged": True}, "_meta": MODERN},
}


@pytest.fixture
def live(issuer: Issuer, store_url: str) -> LiveSettings:
    store = settings_for(store_url).store
    return LiveSettings(issuer_settings(issuer.url).model_copy(update={"store": store}))


def change(live: LiveSettings, **changes: Any) -> None:
    """Puts settings in force in which the caller `machine` is another, as a reload does."""
    machine = live.current.callers["machine"].model_copy(update=changes)
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "machine": machine}})


def change_provider(live: LiveSettings, **changes: Any) -> None:
    """Puts settings in force in which the identity provider is another, as a reload does."""
    provider = live.current.identity["login"].model_copy(update=changes)
    live.current = live.current.model_copy(update={"identity": {"login": provider}})


@asynccontextmanager
async def stream_of(http: httpx2.AsyncClient, url: str, kind: str, bearer: str) -> AsyncIterator[httpx2.Response]:
    """Opens a stream, and yields its answer once it has begun."""
    headers = ACCEPT | {"Authorization": f"Bearer {bearer}"}
    if kind == "listen":
        modern = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
        request = http.build_request("POST", f"{url}/mcp", json=LISTEN, headers=headers | modern)
    elif kind == "sse":
        request = http.build_request("GET", f"{url}/sse", headers=headers)
    else:
        session = (await http.post(f"{url}/mcp", json=INITIALIZE, headers=headers)).headers["mcp-session-id"]
        request = http.build_request("GET", f"{url}/mcp", headers=headers | {"Mcp-Session-Id": session})
    answer = await http.send(request, stream=True)
    try:
        assert answer.status_code == 200
        yield answer
    finally:
        await answer.aclose()


async def end_of(answer: httpx2.Response) -> None:
    """Returns when the answer is complete. Raises RemoteProtocolError where it is cut off."""
    with anyio.fail_after(PATIENCE):
        async for _ in answer.aiter_raw():
            pass


def pass_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Puts the clock by which streams expire so many seconds ahead."""
    ahead = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic)
    monkeypatch.setattr(streams, "time", ahead)


def without_caller(live: LiveSettings) -> None:
    callers = {name: caller for name, caller in live.current.callers.items() if name != "machine"}
    live.current = live.current.model_copy(update={"callers": callers})


def with_token_of_other(live: LiveSettings) -> None:
    change(live, token_sha256=[])
    other = CallerSettings(token_sha256=[live_digest()])
    live.current = live.current.model_copy(update={"callers": {**live.current.callers, "other": other}})


def live_digest() -> str:
    return issuer_settings("https://issuer.example").callers["machine"].token_sha256[0]


LOSSES: dict[str, Callable[[LiveSettings], None]] = {
    "the token is rotated out": lambda live: change(live, token_sha256=["0" * 64]),
    "the token is another caller's": with_token_of_other,
    "the caller is taken out": without_caller,
    "the caller loses a tool": lambda live: change(live, access={}),
    "the caller loses a dealer": lambda live: change(live, dealers=[]),
}


@pytest.mark.reliability(
    "a token, a caller or a right that is taken away while a stream is open",
    "the stream ends within two seconds",
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
async def test_stream_ends_with_the_right_to_it(
    lose: Callable[[LiveSettings], None], kind: str, live: LiveSettings
) -> None:
    async with (
        listening(live) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, kind, OPAQUE) as stream,
    ):
        lose(live)
        await end_of(stream)


@pytest.mark.reliability(
    "a JWT that expires while a stream is open",
    "the stream ends",
)
@pytest.mark.parametrize("kind", KINDS)
async def test_stream_ends_when_its_jwt_expires(kind: str, live: LiveSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        listening(live) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, kind, token(exp=time.time() + 300)) as stream,
    ):
        pass_time(monkeypatch, 301)
        await end_of(stream)


def test_check_of_a_stream_fits_into_two_seconds() -> None:
    """Without a clock: a look and all tries to get an issuer's keys take as long together."""
    assert streams.LOOK_EVERY + identity_keys._STREAM_TRIES * identity_keys._STREAM_TRY_SECONDS < 2


@pytest.mark.parametrize("kind", KINDS)
async def test_stream_ends_when_the_issuer_is_another(kind: str, live: LiveSettings) -> None:
    async with (
        listening(live) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, kind, token()) as stream,
    ):
        change_provider(live, audiences=["https://else.example.com"])
        await end_of(stream)


@pytest.mark.parametrize("kind", KINDS)
async def test_stream_stays_open_through_changes_that_take_nothing(
    kind: str, live: LiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second token and more access. A stream that is opened later, and loses its token, ends before this one."""
    async with (
        listening(live) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, kind, OPAQUE) as stream,
        anyio.create_task_group() as tasks,
    ):
        has_ended = anyio.Event()

        async def read() -> None:
            await end_of(stream)
            has_ended.set()

        tasks.start_soon(read)
        digest = live.current.callers["machine"].token_sha256[0]
        change(live, token_sha256=["0" * 64, digest], access={"dealers": Access.READ, "inventory": Access.READ})
        async with stream_of(http, url, kind, token(exp=time.time() + 100)) as short:
            pass_time(monkeypatch, 101)
            await end_of(short)
        assert not has_ended.is_set()
        tasks.cancel_scope.cancel()


@pytest.mark.reliability(
    "an issuer that does not answer at a reload",
    "is asked again before the streams of its callers end",
)
async def test_stream_stays_open_while_its_issuer_hesitates(
    live: LiveSettings, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity_keys, "_STREAM_TRIES", 100)  # on a busy machine more than one may come too late
    requests = 0

    async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal requests
        requests += 1
        if requests == 1:
            await receive()
            await receive()  # until the server gives up
            return
        await JSONResponse({"keys": issuer.keys})(scope, receive, send)

    async with (
        listening(live) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, "get", token()) as stream,
        anyio.create_task_group() as tasks,
    ):
        has_ended = anyio.Event()

        async def read() -> None:
            await end_of(stream)
            has_ended.set()

        tasks.start_soon(read)
        issuer.answer = hesitate
        change_provider(live, jwks_url=f"{issuer.base}/other")
        with anyio.fail_after(PATIENCE):
            while requests < 2:
                await anyio.sleep(0.05)
        async with stream_of(http, url, "get", token(exp=time.time() + 100)) as short:
            pass_time(monkeypatch, 101)
            await end_of(short)
        assert not has_ended.is_set()
        tasks.cancel_scope.cancel()


@pytest.mark.reliability(
    "an issuer that fails at a reload, for streams that are open",
    "they stay open with keys that are at most an hour old",
)
async def test_stream_outlasts_a_failure_of_its_issuer(
    live: LiveSettings, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked again meanwhile, and ends if the issuer still fails after an hour."""
    monkeypatch.setattr(streams, "_STALE_SECONDS", 0.0)
    clock = Clock()
    verifier = TokenVerifier(lambda: live.current, IssuerKeys(clock))
    async with (
        listening(live, verifier=verifier) as url,
        httpx2.AsyncClient(timeout=PATIENCE) as http,
        stream_of(http, url, "get", token()) as stream,
        anyio.create_task_group() as tasks,
    ):
        has_ended = anyio.Event()

        async def read() -> None:
            await end_of(stream)
            has_ended.set()

        tasks.start_soon(read)
        issuer.answer = Response(status_code=503)
        clock.now = 1700.0
        change(live, access={"dealers": Access.READ, "inventory": Access.READ})
        with anyio.fail_after(PATIENCE):
            while len(issuer.paths) < 4:  # the first was good
                clock.now += 10
                await anyio.sleep(0.05)
        assert not has_ended.is_set()
        clock.now = 1000.0 + 3601
        await has_ended.wait()


async def test_check_that_fails_ends_its_stream_and_no_other_check(
    live: LiveSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    async with listening(live) as url, httpx2.AsyncClient(timeout=PATIENCE) as http:
        async with stream_of(http, url, "get", OPAQUE) as stream:
            with monkeypatch.context() as patch:
                patch.setattr(BearerGuard, "authenticate", fail)
                change(live, access={"dealers": Access.READ, "inventory": Access.READ})
                await end_of(stream)
        assert "crash" in caplog.messages
        async with stream_of(http, url, "get", OPAQUE) as stream:
            without_caller(live)
            await end_of(stream)


@pytest.mark.parametrize("path", ["sse", "mcp"])
async def test_head_opens_no_stream(path: str, live: LiveSettings) -> None:
    async with listening(live) as url, httpx2.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.head(f"{url}/{path}", headers=ACCEPT | {"Authorization": f"Bearer {OPAQUE}"})
    assert answer.status_code == 405
