"""An assistant at a server with pages, whose writes wait for a person's yes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from roadster_server.settings.live import LiveSettings
from roadster_server.settings.sections.callers import CallerSettings
from roadster_tools import TOOLSETS, Access
from tests.conftest import kind_of, text_of


def let_writes_wait(live: LiveSettings) -> None:
    """Gives the sandbox's caller `confirm` for everything."""
    local = CallerSettings(dealers=["umazda", "hyundaidemo"], access=dict.fromkeys(TOOLSETS, Access.CONFIRM))
    change(live, "local", **{name: getattr(local, name) for name in local.model_fields_set})


def change(live: LiveSettings, name: str, **rights: Any) -> None:
    """Changes rights of a caller, as a reload does."""
    callers = live.current.callers
    section = callers[name].model_copy(update=rights)
    live.current = live.current.model_copy(update={"callers": {**callers, name: section}})


@asynccontextmanager
async def assistant(origin: str) -> AsyncIterator[Client]:
    async with Client(streamable_http_client(f"{origin}/mcp"), mode="2026-07-28") as client:
        await client.list_tools()
        yield client


async def waiting_call(origin: str, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a call that waits, and returns what a program learns of it."""
    async with assistant(origin) as client:
        result = await client.call_tool(tool, dict(arguments))
    assert kind_of(result) == "waiting", text_of(result)
    waiting: dict[str, Any] = (result.meta or {})["roadster-mcp/waiting"]
    return waiting
