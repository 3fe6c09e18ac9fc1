"""Parts that the tests of tools share: the dealer that most of them call, and what they read from a result."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from mcp import Client
from mcp_types import CallToolResult, ResourceLink

from tests.conftest import World, answer_of

AT_UMAZDA = {"dealer": "umazda"}


class FixedAnswer(httpx2.AsyncBaseTransport):
    """An upstream that answers every request alike: with these bytes, or with a value as JSON."""

    def __init__(self, body: Any) -> None:
        self._content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(self._content))


async def some_vin(client: Client) -> str:
    """Returns the first VIN in stock."""
    answer = answer_of(await client.call_tool("list_inventory", {**AT_UMAZDA, "limit": 1}))
    vin: str = answer["vehicles"][0]["vin"]
    return vin


async def operations(world: World) -> list[str]:
    """Returns the operations of the upstream that were called, in order."""
    return [request["operation"] for request in await world.requests()]


async def last_request(world: World, operation: str) -> dict[str, Any]:
    """Returns the last request of an operation. A quote also looks its vehicle up in the feed."""
    return [request for request in await world.requests() if request["operation"] == operation][-1]


def links_of(result: CallToolResult) -> list[tuple[str, str, str | None, int | None]]:
    """Returns URI, name, type and size of each file that a result links to. Its text comes first."""
    text, *links = result.content
    assert text.type == "text"
    assert all(isinstance(link, ResourceLink) for link in links)
    return [(link.uri, link.name, link.mime_type, link.size) for link in links if isinstance(link, ResourceLink)]
