"""Opens what a running server holds: the pooled upstream client, the gate in front of it, and the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roadster_client import RoadsterApi, open_upstream
from roadster_tools import Gate, UploadFolder

from .calls import Calls
from .keys import Keys
from .opening import lazy_store

if TYPE_CHECKING:
    import httpx2

    from .live import LiveSettings


@asynccontextmanager
async def open_calls(
    live: LiveSettings, *, local: bool, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Calls]:
    """What carries out calls at the configured upstream, closed at the end of the block.

    `local` says that the caller sits at this machine, so that it may upload from the configured
    folder. `transport` replaces the network, for the embedded sandbox.
    """
    settings = live.current
    api_key = settings.roadster.api_key.get_secret_value()
    keys = Keys.derive(api_key)
    async with (
        open_upstream(
            settings.roadster.base_url,
            api_key=api_key,
            auth_scheme=settings.roadster.auth_scheme,
            transport=transport,
        ) as upstream,
        lazy_store(settings.store.url.get_secret_value()) as store,
    ):
        gate = Gate(
            RoadsterApi(upstream, settings.operations()),
            lambda: live.current.dealer_refs(),  # noqa: PLW0108 - of the settings in force then, not now
            cursor_key=keys.cursors,
            uploads=UploadFolder(settings.uploads.folder) if local and settings.uploads else None,
        )
        yield Calls(gate, store, keys, refuse_unrecorded_reads=settings.store.refuse_unrecorded_reads)
