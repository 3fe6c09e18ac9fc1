"""Writes that wait on a card: their settings, a client whose host shows views, and the answer as the view gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp_types import CallToolResult

from roadster_server.calls.results import CARD_META
from roadster_server.settings.settings import Settings
from tests.conftest import World, kind_of

from .approvals import Office, approving_settings, open_office
from .writes import NEW_CUSTOMER

SHOWS_VIEWS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
CREATE = "create_customer"


def card_settings(store_url: str, **options: Any) -> Settings:
    return approving_settings(store_url, **{"confirm_by": ["card"], **options})


@asynccontextmanager
async def open_host(world: World, settings: Settings, **options: Any) -> AsyncIterator[Office]:
    """A server, and a client of it whose host shows views."""
    async with open_office(world, settings, **{"extensions": [SHOWS_VIEWS], **options}) as office:
        yield office


def card_of(result: CallToolResult) -> dict[str, Any]:
    """Returns what the view gets of a call that waits."""
    assert kind_of(result) == "waiting", result
    return dict((result.meta or {})[CARD_META])


async def ask(office: Office, tool: str = CREATE, arguments: Mapping[str, Any] = NEW_CUSTOMER) -> dict[str, Any]:
    return card_of(await office.client.call_tool(tool, dict(arguments)))


async def answer(office: Office, card: Mapping[str, Any], choice: str = "yes", **changes: Any) -> CallToolResult:
    """Answers as the view does."""
    values = {"approval_id": card["approval_id"], "secret": card["secret"], "answer": choice, **changes}
    return await office.client.call_tool(str(card["tool"]), {}, meta={CARD_META: values})  # type: ignore[typeddict-unknown-key]
