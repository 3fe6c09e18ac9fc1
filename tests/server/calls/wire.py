"""A client that writes its messages itself, and so can answer a question in ways that no SDK would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    CallToolResult,
    JSONRPCRequest,
    JSONRPCResponse,
)

from tests.servers import PATIENCE

_CAPABILITIES = {"elicitation": {"form": {}}}
_CLIENT = {"name": "wire", "version": "0"}


class Wire:
    """One connection in either era. `forms` holds the form of each question."""

    def __init__(self, streams: Any, mode: str) -> None:
        self._read, self._write = streams
        self._mode = mode
        self._ids = count(1)
        self.forms: list[dict[str, Any]] = []

    async def start(self) -> None:
        if self._mode == "legacy":
            await self._request(
                "initialize",
                {"protocolVersion": "2025-11-25", "capabilities": _CAPABILITIES, "clientInfo": _CLIENT},
                {},
            )

    async def call(self, tool: str, arguments: dict[str, Any], answer: Any) -> CallToolResult:
        """Makes a call. `answer` is the result with which the client answers the question, whatever it is."""
        if self._mode == "legacy":
            params = {"name": tool, "arguments": arguments}
            return CallToolResult.model_validate(await self._request("tools/call", params, answer))
        return await self.call_again(tool, arguments, {"confirm": answer})

    async def call_again(self, tool: str, arguments: dict[str, Any], answers: Any) -> CallToolResult:
        """Makes a call of protocol 2026-07-28, and repeats it with `answers`."""
        params = {"name": tool, "arguments": arguments}
        meta = {
            PROTOCOL_VERSION_META_KEY: self._mode,
            CLIENT_INFO_META_KEY: _CLIENT,
            CLIENT_CAPABILITIES_META_KEY: _CAPABILITIES,
        }
        question = await self._request("tools/call", {**params, "_meta": meta}, None)
        if "inputRequests" not in question:
            return CallToolResult.model_validate(question)
        (request,) = question["inputRequests"].values()
        self.forms.append(request["params"]["requestedSchema"])
        more = {"requestState": question["requestState"], "inputResponses": answers, "_meta": meta}
        return CallToolResult.model_validate(await self._request("tools/call", {**params, **more}, None))

    async def _request(self, method: str, params: dict[str, Any], answer: Any) -> dict[str, Any]:
        id_ = next(self._ids)
        await self._send(JSONRPCRequest(jsonrpc="2.0", id=id_, method=method, params=params))
        with anyio.fail_after(PATIENCE):
            while True:
                message = (await self._read.receive()).message
                if isinstance(message, JSONRPCRequest):
                    assert message.method == "elicitation/create"
                    self.forms.append((message.params or {})["requestedSchema"])
                    await self._send(JSONRPCResponse(jsonrpc="2.0", id=message.id, result=answer))
                elif getattr(message, "id", None) == id_:
                    assert isinstance(message, JSONRPCResponse), message
                    return message.result

    async def _send(self, message: Any) -> None:
        await self._write.send(SessionMessage(message))


@asynccontextmanager
async def open_wire(server: Server[Any], mode: str) -> AsyncIterator[Wire]:
    async with create_client_server_memory_streams() as (client, (read, write)), anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, read, write, server.create_initialization_options())
        wire = Wire(client, mode)
        await wire.start()
        yield wire
        tasks.cancel_scope.cancel()
