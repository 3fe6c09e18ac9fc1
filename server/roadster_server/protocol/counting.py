"""Counts requests that take no tool's work as calls: each takes as much work as a call from memory."""

from __future__ import annotations

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from roadster_server.calls.limiter import Limiter
from roadster_server.calls.results import FAILURE_META
from roadster_tools import Caller, ToolFailure


async def count_request(limiter: Limiter, caller: Caller) -> None:
    """Counts one request. Raises MCPError if the caller has made all its calls of this minute."""
    try:
        await limiter.count_call(caller)
    except ToolFailure as refusal:
        raise MCPError(INTERNAL_ERROR, refusal.message(), {FAILURE_META: refusal.kind}) from None
