"""A server behind a proxy: all spellings of its paths, a prefix, and the headers that its own proxy adds."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp.server import Server
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from roadster_server.events.webhooks import receivers
from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.http import HttpSettings
from roadster_server.telemetry.metrics import Metrics
from roadster_server.transports.http.application import http_app
from tests.conftest import kind_of
from tests.server.identity.issuers import METADATA, issuer_settings
from tests.servers import PATIENCE, free_port, serving

from .test_http import INITIALIZE, SALES, SECRETS, connect_over, write_config

pytestmark = pytest.mark.anyio

PREFIX = "/roadster"
KEY = "hook-key-0123456789"
RESOURCE = "https://mcp.example.com/roadster/mcp"
HTTP_SECTION = """
[http]
allowed_hosts = ["mcp.example.com", "127.0.0.1:{proxy}"]
resource_url = "https://mcp.example.com/roadster/mcp"
path_prefix = "{prefix}"

[webhooks]
roadster_keys = ["env:WEBHOOK_KEY"]
roadie_keys = ["env:WEBHOOK_KEY"]

[identity.login]
issuer = "https://issuer.example"
audiences = ["https://mcp.example.com/roadster/mcp"]
jwks_url = "https://issuer.example/keys"
"""

OPEN = {"/healthz", "/readyz", "/metrics", METADATA}
ROUTES = {*OPEN, "/mcp", "/sse", "/messages", "/webhooks/roadster", "/webhooks/roadie"}


@contextmanager
def roadster_server(folder: Path, upstream: str, prefix: str, proxy: int) -> Iterator[str]:
    port = free_port()
    config = write_config(folder, upstream, HTTP_SECTION.format(prefix=prefix, proxy=proxy))
    command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
    with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS, WEBHOOK_KEY=KEY):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module", params=["", PREFIX, "/webhooks", "/mcp"])
def server(request: pytest.FixtureRequest, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with roadster_server(tmp_path_factory.mktemp("http"), upstream, request.param, 1) as url:
        yield url, request.param


def test_routes_are_all_routes() -> None:
    live, metrics = LiveSettings(issuer_settings("https://issuer.example/keys")), Metrics()

    async def no_outage() -> str | None:
        return None

    webhooks = receivers(live, None, lambda *_: None, metrics)  # type: ignore[arg-type] # no event comes
    app = http_app(
        None,  # type: ignore[arg-type] # no request comes
        live,
        no_outage,
        "http",
        host="127.0.0.1",
        port=8123,
        webhooks=webhooks,
        metrics=metrics,
    )
    assert {*(route.path for route in app.routes if isinstance(route, Route)), *webhooks} == ROUTES
    assert all(isinstance(route, Route) for route in app.routes), "a mount would redirect"


async def answer_to(http: httpx2.AsyncClient, method: str, url: str, headers: dict[str, str]) -> tuple[Any, ...]:
    async with http.stream(method, url, headers=headers, json=INITIALIZE if method == "POST" else None) as response:
        seen = response.headers
        return response.status_code, seen.get("www-authenticate"), seen.get("content-type"), seen.get("location")


@pytest.mark.parametrize("token", [None, "wrong", SALES])
async def test_all_spellings_of_a_route_are_the_same_route(token: str | None, server: tuple[str, str]) -> None:
    """With and without the prefix, with and without a slash. None is redirected, and none needs less than another."""
    url, prefix = server
    headers = {
        "Accept": "application/json, text/event-stream",
        "Host": "mcp.example.com",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        for route in sorted(ROUTES):
            for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD"):
                answers = [
                    await answer_to(http, method, url + path, headers)
                    for path in dict.fromkeys((route, f"{route}/", prefix + route, f"{prefix}{route}/"))
                ]
                assert len(set(answers)) == 1, (method, route, answers)
                status = answers[0][0]
                assert status not in range(300, 400), (method, route)
                assert status != 404, (method, route)
                if route not in OPEN and not (route == "/sse" and method != "GET"):
                    assert (status == 401) == (token != SALES or "/webhooks/" in route) or status == 405, (
                        method,
                        route,
                    )


@pytest.mark.parametrize(
    "path", ["/", "//", "//mcp", "/mcp//", "/mcpx", "/roadstermcp", "/x/mcp", "/roadster/roadster/mcp"]
)
async def test_no_other_path_is_a_route(path: str, server: tuple[str, str]) -> None:
    url, _ = server
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {SALES}"}, timeout=PATIENCE) as http:
        assert (await http.get(url + path)).status_code == 404


# A real proxy, and real clients behind it


@contextmanager
def proxy_to(server: str, port: int, *, takes_off: str) -> Iterator[str]:
    """Serves `server` below the prefix, as a proxy that ends TLS does."""

    async def forward(request: Request) -> StreamingResponse:
        path = request.url.path.removeprefix(takes_off)
        url = f"{server}{path}" + (f"?{request.url.query}" if request.url.query else "")
        headers = [*request.headers.raw, (b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"203.0.113.7")]
        http = httpx2.AsyncClient(timeout=PATIENCE)
        answer = await http.send(
            http.build_request(request.method, url, headers=headers, content=request.stream()), stream=True
        )

        async def parts() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await http.aclose()

        response = StreamingResponse(parts(), answer.status_code)
        response.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw]
        return response

    methods = ["GET", "POST", "DELETE", "OPTIONS"]
    app = Starlette(routes=[Route("/{path:path}", forward, methods=methods)])
    running = uvicorn.Server(
        uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module", params=["takes the prefix off", "leaves the prefix"])
def proxy(request: pytest.FixtureRequest, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    takes_off = PREFIX if request.param == "takes the prefix off" else ""
    with (
        roadster_server(tmp_path_factory.mktemp("http"), upstream, PREFIX, port) as server,
        proxy_to(server, port, takes_off=takes_off) as url,
    ):
        yield url


@pytest.mark.parametrize("way", ["legacy", "2026-07-28", "auto", "sse"])
async def test_clients_call_tools_below_the_prefix(way: str, proxy: str) -> None:
    async with connect_over(proxy + PREFIX, way) as client:
        for _ in range(2):
            assert kind_of(await client.call_tool("list_dealers")) is None


async def test_challenge_leads_to_the_metadata_below_the_prefix(proxy: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        challenge = (await http.post(f"{proxy}{PREFIX}/mcp/", json=INITIALIZE)).headers["www-authenticate"]
        assert f'resource_metadata="https://mcp.example.com{METADATA}"' in challenge
        assert (await http.get(f"{proxy}{METADATA}")).json()["resource"] == RESOURCE


async def test_event_of_a_web_hook_comes_below_the_prefix(proxy: str) -> None:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        for path in ("/webhooks/roadster", "/webhooks/roadster/"):
            response = await http.post(f"{proxy}{PREFIX}{path}", json={}, headers={"Authorization": f"Bearer {KEY}"})
            assert (response.status_code, "not the documented event" in response.text) == (400, True)


# Forwarded headers


@asynccontextmanager
async def anonymous_server(trusted: list[str], peer: str) -> AsyncIterator[httpx2.AsyncClient]:
    settings = issuer_settings(
        "https://issuer.example/keys", anonymous_caller="machine", trusted_proxies=trusted, resource_url=None
    )

    async def no_outage() -> str | None:
        return None

    app = http_app(
        Server("s"), LiveSettings(settings), no_outage, "http", host="127.0.0.1", port=8123, webhooks={},
        metrics=Metrics(),
    )  # fmt: skip
    transport = httpx2.ASGITransport(app, client=(peer, 4000))
    headers = {"Accept": "application/json, text/event-stream"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8123", headers=headers) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "status"),
    [
        ([], "127.0.0.1", "203.0.113.7", 200),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.7", 401),
        (["127.0.0.0/8"], "127.0.0.1", "127.0.0.1, 203.0.113.7", 401),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.7, 127.0.0.1", 401),
        (["127.0.0.1"], "127.0.0.1", "localhost.evil.example", 401),
        (["127.0.0.1"], "127.0.0.1", None, 401),
        (["127.0.0.1"], "127.0.0.1", "", 401),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.7, ", 401),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.7, unknown", 401),
        (["127.0.0.1"], "127.0.0.1", "localhost", 401),
        (["127.0.0.1"], "127.0.0.1", "127.0.0.1", 200),
        (["127.0.0.1"], "127.0.0.1", "::1", 200),
        (["127.0.0.2"], "127.0.0.1", "203.0.113.7", 200),
        ([], "203.0.113.7", "127.0.0.1", 401),
        (["127.0.0.1"], "203.0.113.7", "127.0.0.1", 401),
    ],
)
async def test_only_a_trusted_proxy_says_who_its_client_is(
    trusted: list[str], peer: str, forwarded: str | None, status: int
) -> None:
    """The anonymous caller is for clients on this machine."""
    async with anonymous_server(trusted, peer) as client:
        headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
        assert (await client.post("/mcp", json=INITIALIZE, headers=headers)).status_code == status


@pytest.mark.parametrize("header", ["Forwarded", "X-Real-IP", "X-Client-IP"])
@pytest.mark.parametrize("address", ["203.0.113.7", "127.0.0.1", "for=127.0.0.1"])
async def test_client_in_a_header_that_is_not_read_is_not_anonymous(header: str, address: str) -> None:
    async with anonymous_server(["127.0.0.1"], "127.0.0.1") as client:
        assert (await client.post("/mcp", json=INITIALIZE, headers={header: address})).status_code == 401


@pytest.mark.parametrize("name", ["*", "0.0.0.0/0", "::/0", "10.0.0.1/8", "proxy.example.com", "", "127.0.0.1:80"])
def test_trusted_proxy_is_an_address_or_a_network(name: str) -> None:
    with pytest.raises(ValidationError, match=r"expected an IP address|names every address"):
        HttpSettings(trusted_proxies=[name])


@pytest.mark.parametrize(
    "prefix", ["roadster", "/a b", "/a//b", "//a", "/..", "/a/./b", "/a?b", "/a#b", "https://a/b", "/é"]
)
def test_path_prefix_is_a_plain_path(prefix: str) -> None:
    with pytest.raises(ValidationError, match="expected a path such as /roadster"):
        HttpSettings(path_prefix=prefix)


@pytest.mark.parametrize(("prefix", "plain"), [("/roadster/", "/roadster"), ("/a/b-1", "/a/b-1"), ("/", ""), ("", "")])
def test_path_prefix_may_end_with_a_slash(prefix: str, plain: str) -> None:
    assert HttpSettings(path_prefix=prefix).path_prefix == plain
