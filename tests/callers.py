"""A configuration with callers at chosen levels, and clients for them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from tests.servers import PATIENCE
from tests.tool_examples import STEVE

SECRETS = {"ROADSTER_API_KEY": "sandbox-key"}
NEW_CUSTOMER = {"customer": STEVE}
CONFIG = """
[roadster]
base_url = "{upstream}/v1"
api_key = "env:ROADSTER_API_KEY"
[store]
url = "{store}"
[dealers.umazda]
partner_id = "51101"
[dealers.hyundaidemo]
"""
CALLER = """
[callers.{name}]
token_sha256 = ["{digest}"]
dealers = ["umazda"]
[callers.{name}.access]
inventory = "{level}"
customers = "{level}"
"""


def write_config(folder: Path, upstream: str, store: str | None = None, **levels: str) -> Path:
    """Writes a configuration whose callers have the levels that stand behind their names."""
    callers = [
        CALLER.format(name=name, level=level, digest=hashlib.sha256(token_of(name).encode()).hexdigest())
        for name, level in levels.items()
    ]
    path = folder / "roadster.toml"
    head = CONFIG.format(upstream=upstream, store=store or f"sqlite:///{folder}/store.db")
    path.write_text("".join([head, *callers]))
    return path


def token_of(name: str) -> str:
    return f"{name}-token"


async def agree(_ctx: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


@asynccontextmanager
async def open_client(url: str, mode: str, name: str) -> AsyncIterator[Client]:
    """A client over HTTP in either era, or over SSE, for a person who agrees."""
    headers = {"Authorization": f"Bearer {token_of(name)}"}
    if mode == "sse":
        sse = sse_client(f"{url}/sse", headers=headers)
        async with Client(sse, mode="legacy", elicitation_callback=agree) as client:
            yield client
        return
    async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        streamable = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(streamable, mode=mode, elicitation_callback=agree) as client:
            yield client


def customers_created(upstream: str) -> int:
    requests = httpx2.get(f"{upstream}/__sandbox/requests", timeout=PATIENCE).json()
    return sum(request["operation"] == "create_customer" for request in requests)
