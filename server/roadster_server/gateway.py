"""Opens what a running server holds: the pooled upstream client, and the gate in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roadster_client import RoadsterApi, open_upstream
from roadster_tools import CursorKey, Gate, UploadFolder

if TYPE_CHECKING:
    import httpx2

    from .settings import Settings


@asynccontextmanager
async def open_gate(
    settings: Settings, *, local: bool, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Gate]:
    """The gate to the configured upstream, closed at the end of the block.

    `local` says that the caller sits at this machine, so that it may upload from the configured
    folder. `transport` replaces the network, for the embedded sandbox.
    """
    api_key = settings.roadster.api_key.get_secret_value()
    async with open_upstream(
        settings.roadster.base_url,
        api_key=api_key,
        auth_scheme=settings.roadster.auth_scheme,
        transport=transport,
    ) as upstream:
        yield Gate(
            RoadsterApi(upstream, settings.operations()),
            settings.dealer_refs(),
            cursor_key=CursorKey(api_key),
            uploads=UploadFolder(settings.uploads.folder) if local and settings.uploads else None,
        )
