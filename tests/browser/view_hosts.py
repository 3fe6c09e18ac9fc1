"""Hosts that show views: a page on each bridge, and a gateway between them and a server in a process of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import uvicorn
from playwright.sync_api import FrameLocator, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from roadster_client import OPERATIONS
from roadster_server.calls.results import CARD_META
from tests.callers import SECRETS, token_of
from tests.conftest import PROJECT
from tests.servers import PATIENCE, free_port, sandbox_server, serving, until

FOLDER = Path(__file__).parent / "hosts"
INSTALLED = FOLDER / "node_modules" / ".installed"
INSPECTOR = (
    FOLDER / "node_modules" / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
)
CALLER = "sales"
CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "sqlite:///{folder}/store.db"
[dealers.umazda]
partner_id = "51101"
[dealers.hyundaidemo]
[callers.sales]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
calls_per_minute = 1000
confirm_by = ["card"]
[callers.sales.access]
inventory = "read"
payments = "read"
customers = "confirm"
documents = "confirm"
"""
Alteration = Callable[[dict[str, Any]], object]
"""Changes a part of an answer on its way to the host."""


def needs_node_modules(folder: Path) -> None:
    if not (folder / "node_modules" / ".installed").exists():
        reason = f"no {(folder / 'node_modules').relative_to(PROJECT)}: make test-browser, which needs npm"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass
class Gateway:
    """Passes the hosts' requests on to the server with the caller's token, and keeps the calls of tools.

    It can be told to be slow, to be out, to alter an answer on its way, or to lose what views send in `_meta`.
    """

    server: str
    upstream: str
    pages: Path
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_out: bool = False
    seconds: float = 0.0
    alter: Alteration | None = None
    """Changes the structured content."""
    alter_card: Alteration | None = None
    """Changes what the view of a card gets."""
    loses_card_answers: bool = False
    most_at_once: int = 0
    url: str = ""
    _at_once: int = 0

    def reset(self) -> None:
        httpx2.delete(f"{self.upstream}/__sandbox/faults", timeout=PATIENCE).raise_for_status()
        self.calls = []
        self.alter_card, self.loses_card_answers = None, False
        self.is_out, self.seconds, self.alter, self.most_at_once = False, 0.0, None, 0

    def fail(self, operation: str, status: int) -> None:
        """Lets the upstream answer the operation with this status from now on."""
        fault = {"operation": operation, "fault": "status", "times": 1000, "status": status}
        httpx2.post(f"{self.upstream}/__sandbox/faults", json=fault, timeout=PATIENCE).raise_for_status()

    def writes(self) -> list[str]:
        """Returns the operations of all writes that the upstream has received."""
        requests = httpx2.get(f"{self.upstream}/__sandbox/requests", timeout=PATIENCE).json()
        return [request["operation"] for request in requests if OPERATIONS[request["operation"]].writes]

    def calls_of(self, tool: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == tool]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/mcp", self._pass_on, methods=["POST", "DELETE"]),
                Route("/proxy.html", lambda _: FileResponse(FOLDER / "proxy.html")),
                Route("/favicon.ico", lambda _: Response(status_code=204)),
                Route("/{name}.js", lambda request: FileResponse(self.pages / f"{request.path_params['name']}.js")),
                Route("/{name}.html", self._page),
            ]
        )

    def _page(self, request: Request) -> Response:
        script = f'<script src="{request.path_params["name"]}.js"></script></body>'
        return HTMLResponse((FOLDER / "host.html").read_text().replace("</body>", script))

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        message = json.loads(body) if body else {}
        is_call = message.get("method") == "tools/call"
        if is_call:
            self.calls.append((message["params"]["name"], message["params"].get("arguments", {})))
            if self.loses_card_answers and message["params"].get("_meta", {}).pop(CARD_META, None):
                body = json.dumps(message).encode()
        if self.is_out:
            return Response(status_code=503)
        self._at_once += is_call
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._answer(request, body, is_call=is_call)
        finally:
            self._at_once -= is_call

    async def _answer(self, request: Request, body: bytes, *, is_call: bool) -> Response:
        left_out = {"host", "origin", "content-length", "accept-encoding", "connection"}
        headers = {name: value for name, value in request.headers.items() if name not in left_out}
        headers["authorization"] = f"Bearer {token_of(CALLER)}"
        async with httpx2.AsyncClient(timeout=PATIENCE) as http:
            answer = await http.request(request.method, self.server, headers=headers, content=body)
        if is_call and self.seconds:
            time.sleep(self.seconds)  # this thread has nothing else to do
        text = self._altered(answer.text) if is_call and (self.alter or self.alter_card) else answer.text
        kept = {name: answer.headers[name] for name in ("content-type", "mcp-session-id") if name in answer.headers}
        return Response(text, answer.status_code, kept)

    def _altered(self, text: str) -> str:
        """Returns the answer, in JSON or as the one event of a stream, with other contents."""
        before, brace, rest = text.partition("{")
        message, end = json.JSONDecoder().raw_decode(brace + rest)
        result = message.get("result", {})
        if self.alter and "structuredContent" in result:
            self.alter(result["structuredContent"])
        if self.alter_card and CARD_META in result.get("_meta", {}):
            self.alter_card(result["_meta"][CARD_META])
        return before + json.dumps(message) + (brace + rest)[end:]


@contextmanager
def open_gateway(folder: Path) -> Iterator[Gateway]:
    """A gateway to a server over a sandbox."""
    needs_node_modules(FOLDER)
    pages = folder / "pages"
    subprocess.run(["node", FOLDER / "build.mjs", pages], check=True, timeout=PATIENCE)
    port = free_port()
    with sandbox_server() as upstream:
        digest = hashlib.sha256(token_of(CALLER).encode()).hexdigest()
        config = folder / "roadster.toml"
        config.write_text(CONFIG.format(upstream=upstream, folder=folder, digest=digest))
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(config))
        with serving(*command, url=f"http://127.0.0.1:{port}/healthz", **SECRETS):
            gateway = Gateway(f"http://127.0.0.1:{port}/mcp", upstream, pages)
            with _listening(gateway.app()) as gateway.url:
                yield gateway


@contextmanager
def _listening(app: Starlette) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Bridge:
    """A page on the bridge of ext-apps or of @mcp-ui/client. The sandbox has another origin."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        self.name = name
        self._gateway = gateway

    def show(self, page: Page, tool: str, arguments: dict[str, Any], **options: Any) -> FrameLocator:
        """Calls the tool, and returns the frame of the view that shows the answer."""
        query = {
            "tool": tool,
            "arguments": json.dumps(arguments),
            "proxy": self._gateway.url.removeprefix("http://").replace("127.0.0.1", "localhost"),
            **{name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()},
        }
        page.goto(f"{self._gateway.url}/{self.name}.html?{urlencode(query)}")
        return page.frame_locator("iframe").frame_locator("iframe")

    def messages(self, page: Page) -> list[str]:
        return list(page.evaluate("window.messages"))

    def contexts(self, page: Page) -> list[str]:
        """What the view told the model, in words."""
        return [context["content"][0]["text"] for context in page.evaluate("window.contexts")]


class Inspector:
    """The Inspector itself, opened by its link for reviews of views."""

    name = "inspector"

    def __init__(self, url: str, token: str, gateway: Gateway) -> None:
        self._url, self._token, self._gateway = url, token, gateway

    def show(self, page: Page, tool: str, arguments: dict[str, Any], **_options: Any) -> FrameLocator:
        encoded = base64.urlsafe_b64encode(json.dumps(arguments).encode()).decode().rstrip("=")
        query = {
            "serverUrl": f"{self._gateway.url}/mcp",
            "transport": "http",
            "autoConnect": self._token,
            "openApp": tool,
            "appArgs": encoded,
            "autoOpen": self._token,
        }
        page.goto(f"{self._url}/?{urlencode(query)}")
        return page.frame_locator('[data-testid="apps-form"] iframe').frame_locator("iframe")

    def messages(self, page: Page) -> list[str]:
        return page.get_by_test_id("apps-messages").all_inner_texts()


@contextmanager
def open_inspector(gateway: Gateway, folder: Path) -> Iterator[Inspector]:
    port, sandbox_port, token = free_port(), free_port(), secrets.token_hex(24)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HOST": "127.0.0.1",
        "CLIENT_PORT": str(port),
        "MCP_SANDBOX_PORT": str(sandbox_port),
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_INSPECTOR_API_TOKEN": token,
        "MCP_INSPECTOR_SECRET_STORE": "memory",
    }
    with (folder / "inspector.log").open("wb") as log:
        process = subprocess.Popen(["node", INSPECTOR, "--web"], env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            until(lambda: _is_up(port, process))
            yield Inspector(f"http://127.0.0.1:{port}", token, gateway)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _is_up(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the Inspector ended before it listened"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
