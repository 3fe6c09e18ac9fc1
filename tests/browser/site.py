"""A server in a process of its own with pages to look at: an assistant that needs a yes, and a manager who gives it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page

from roadster_sandbox import API_KEY
from roadster_server.calls.keys import Keys
from roadster_server.people.local_links import make_local_key
from tests.servers import PATIENCE, free_port, sandbox_server, serving

CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[roadie]
base_url = "{upstream}/roadie/v1"
token = "env:ROADSTER_API_KEY"
[store]
url = "sqlite:///{folder}/store.db"
[http]
anonymous_caller = "assistant"
[dealers.umazda]
partner_id = "51101"
express_host = "express.umazda.com"
[dealers.hyundaidemo]
[callers.assistant]
dealers = ["umazda"]
personal_data = "contact"
access = {{ dealers = "read", inventory = "read", customers = "confirm", documents = "confirm", events = "read" }}
[callers.manager]
role = "manager"
dealers = ["umazda", "hyundaidemo"]
[roles.manager]
access = {{ dealers = "read", inventory = "read", customers = "read", documents = "read" }}
personal_data = "contact"
approves = ["customers", "documents"]
console = true
[people]
local_caller = "manager"
[webhooks]
roadster_keys = ["env:ROADSTER_API_KEY"]
"""

PROTOCOL = "2026-07-28"


@dataclass(frozen=True)
class Site:
    """The running server. `upstream` is the URL of its sandbox."""

    url: str
    upstream: str

    def call(self, tool: str, arguments: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Calls a tool as a client that cannot ask anybody anything. Returns the result of the protocol."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientInfo": {"name": "an assistant", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": tool, "arguments": dict(arguments), "_meta": meta, **more}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": PROTOCOL,
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        if "dealer" in arguments:
            headers["Mcp-Param-dealer"] = arguments["dealer"]
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        response = httpx2.post(f"{self.url}/mcp", json=message, headers=headers, timeout=PATIENCE, trust_env=False)
        text = response.text
        if response.headers["content-type"].startswith("text/event-stream"):
            text = next(line for line in text.splitlines() if line.startswith("data: {")).removeprefix("data: ")
        answer: dict[str, Any] = json.loads(text)
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def sign_in(self, page: Page, caller: str = "manager") -> None:
        """Signs in by a link of this computer, as `roadster-mcp people open` prints it."""
        key = make_local_key(Keys.derive(API_KEY).people, caller, datetime.now(UTC))
        page.goto(f"{self.url}/people/link?key={key}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Signed in as").wait_for()


@contextmanager
def running_site(folder: Path, config: str = CONFIG) -> Iterator[Site]:
    port = free_port()
    path = folder / "roadster.toml"
    with sandbox_server() as upstream:
        path.write_text(config.format(upstream=upstream, folder=folder))
        command = ("serve", "--transport", "http", "--port", str(port), "--config", str(path))
        with serving(*command, url=f"http://127.0.0.1:{port}/readyz", ROADSTER_API_KEY=API_KEY):
            yield Site(f"http://127.0.0.1:{port}", upstream)
