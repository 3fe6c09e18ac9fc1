"""MCP messages over HTTP: every answer is JSON-RPC, or says with a 4xx status why there is none."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal
from hypothesis import given, note
from hypothesis import strategies as st
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY

from tests.tool_examples import TOOL_EXAMPLES

from .conftest import Watch, fuzzing
from .inputs import Edit, edits
from .served import TOKEN

_CLIENT = {"name": "fuzz", "version": "0"}
_META = {
    PROTOCOL_VERSION_META_KEY: "2026-07-28",
    CLIENT_INFO_META_KEY: _CLIENT,
    CLIENT_CAPABILITIES_META_KEY: {"elicitation": {"form": {}}},
}
_PROMPT = {"ref": {"type": "ref/prompt", "name": "work_a_lead"}, "argument": {"name": "dealer", "value": "u"}}
_REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("initialize", "", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _CLIENT}),
    ("server/discover", "", {}),
    ("ping", "", {}),
    ("tools/list", "", {}),
    ("prompts/list", "", {"cursor": "50"}),
    ("resources/list", "", {}),
    ("resources/templates/list", "", {}),
    ("logging/setLevel", "", {"level": "info"}),
    ("prompts/get", "name", {"name": "work_a_lead", "arguments": {"dealer": "umazda"}}),
    ("resources/read", "uri", {"uri": "roadster://umazda"}),
    ("resources/read", "uri", {"uri": "roadster://umazda/customers/1650260/documents"}),
    ("resources/subscribe", "", {"uri": "roadster://umazda/customers/1650260"}),
    ("completion/complete", "", _PROMPT),
    *(("tools/call", "name", {"name": tool, "arguments": row.at("umazda")}) for tool, row in TOOL_EXAMPLES.items()),
]


def _seeds() -> list[tuple[bytes, dict[str, str]]]:
    """Returns each request in both eras with its headers, and messages that are no requests."""
    seeds: list[tuple[bytes, dict[str, str]]] = []
    for method, name, params in _REQUESTS:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        seeds.append((json.dumps(message).encode(), {}))
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
        headers |= {"mcp-name": params[name]} if name else {}
        seeds.append((json.dumps({**message, "params": {**params, "_meta": _META}}).encode(), headers))
    others: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}},
    ]
    return [*seeds, *((json.dumps(message).encode(), {}) for message in others)]


_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
_ODD_HEADERS = st.dictionaries(
    st.sampled_from(["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "accept", "content-type"]),
    st.sampled_from(["2025-11-25", "2026-07-28", "1", "", "*/*", "application/json", "text/plain", "tools/call"])
    | st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    max_size=2,
)


async def _send(client: httpx2.AsyncClient, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    return await client.post("/mcp", content=body, headers=headers)


def _messages(response: httpx2.Response) -> list[Any]:
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = [line.removeprefix("data:").strip() for line in response.text.splitlines() if line.startswith("data:")]
        return [json.loads(line) for line in lines if line]
    return [json.loads(response.content)] if response.content else []


def test_message_of_any_kind_is_answered_in_json_rpc(
    portal: BlockingPortal, watch: Watch, client: httpx2.AsyncClient
) -> None:
    @fuzzing
    @given(st.sampled_from(_seeds()), edits, st.just({}) | st.just({}) | _ODD_HEADERS)
    def send(seed: tuple[bytes, dict[str, str]], edit: Edit, odd_headers: dict[str, str]) -> None:
        body, headers = seed
        headers = {**_HEADERS, "content-type": "application/json", **headers, **odd_headers}
        body = edit(body)
        note(repr(body))
        response = portal.call(_send, client, body, headers)
        assert response.status_code < 500, response.text
        messages = _messages(response)
        assert messages or response.status_code == 202, response.status_code
        for message in messages:
            assert message["jsonrpc"] == "2.0"
            assert "method" in message or ("error" in message) != ("result" in message)
            # The SDK's words for an exception that nobody has expected.
            assert message.get("error", {}).get("message") != "Internal server error"
        watch.after_input()

    watch.run(send)
