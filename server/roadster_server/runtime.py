"""Opens what a running server holds: the pooled upstream client, the gate in front of it, and the store."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from roadster_client import (
    OPERATIONS,
    ApiName,
    AuthScheme,
    MyKaarmaApi,
    Observer,
    RoadieApi,
    RoadsterApi,
    Upstream,
    basic_key,
    open_upstream,
    operations_of,
)
from roadster_tools import Gate, Services, UploadFolder

from .calls.calls import Calls
from .calls.context import CallServices
from .calls.idempotency import IdempotencyKeys
from .calls.keys import Keys
from .calls.limiter import Limiter
from .calls.recorder import Recorder
from .store.lazy import lazy_store
from .stored import StoredEvents, StoredOwnership
from .telemetry.observer import ServerObserver
from .telemetry.traces import Traced, exported_traces

if TYPE_CHECKING:
    import httpx2

    from .replicas import Replicas
    from .settings.live import LiveSettings
    from .settings.sections import Settings


@asynccontextmanager
async def open_calls(
    live: LiveSettings,
    *,
    local: bool,
    transport: httpx2.AsyncBaseTransport | None = None,
    random: Callable[[int], bytes] = os.urandom,
    observer: ServerObserver | None = None,
    replicas: Replicas | None = None,
) -> AsyncIterator[Calls]:
    """What carries out calls at the configured upstream, closed at the end of the block.

    `local` says that the caller sits at this machine, so that it may upload from the configured
    folder. `transport` replaces the network, and `random` the system's, for the embedded sandbox.
    `observer` counts what happens.
    """
    observer = observer or ServerObserver()
    settings = live.current
    api_key = settings.roadster.api_key.get_secret_value()
    keys = Keys.derive(api_key)
    async with AsyncExitStack() as stack:
        stack.enter_context(exported_traces())
        store = await stack.enter_async_context(lazy_store(settings.store.url.get_secret_value()))
        gate = Gate(
            await _services(settings, stack, transport, random, replicas, Traced(observer)),
            lambda dpid: live.current.dealer_ref(dpid),  # noqa: PLW0108 - in the settings in force when the gate asks
            ownership=lambda dealer: StoredOwnership(store, dealer),
            events=lambda dealer, personal_data: StoredEvents(store, dealer, personal_data),
            cursor_key=keys.cursors,
            uploads=UploadFolder(settings.uploads.folder) if local and settings.uploads else None,
        )
        redis_url = settings.replicas.redis_url.get_secret_value() if settings.replicas else None
        recorder = Recorder(store)
        stack.push_async_callback(recorder.closed)
        yield Calls(
            CallServices(
                gate,
                store,
                keys,
                Limiter(redis_url, keys.deployment),
                observer,
                recorder,
                IdempotencyKeys(keys),
                settings.store.refuse_unrecorded_reads,
            )
        )


def _open_breaker(upstream: Upstream, settings: Settings, of: tuple[str, ...]) -> None:
    """What another process has told; a dealer or an operation that is not ours is left alone."""
    match of:
        case (dealer, operation) if operation in OPERATIONS and (not dealer or dealer in settings.dealers):
            upstream.open_breaker(dealer or None, operation)


async def _services(
    settings: Settings,
    stack: AsyncExitStack,
    transport: httpx2.AsyncBaseTransport | None,
    random: Callable[[int], bytes],
    replicas: Replicas | None,
    observer: Observer,
) -> Services:
    async def connected(api: ApiName, base_url: str, key: str, scheme: AuthScheme) -> Upstream:
        upstream = await stack.enter_async_context(
            open_upstream(base_url, api_key=key, auth_scheme=scheme, transport=transport, observer=observer)
        )
        if replicas is not None:
            topic = f"breaker of {api}"
            upstream.breaker_opened = lambda dealer, operation: replicas.tell(topic, dealer or "", operation)
            replicas.hear(topic, partial(_open_breaker, upstream, settings))
        return upstream

    roadster, roadie, mykaarma = settings.roadster, settings.roadie, settings.mykaarma
    return Services(
        RoadsterApi(
            await connected("roadster", roadster.base_url, roadster.api_key.get_secret_value(), roadster.auth_scheme),
            settings.operations(),
            random,
        ),
        RoadieApi(
            await connected("roadie", roadie.base_url, roadie.token.get_secret_value(), "Bearer"),
            operations_of("roadie"),
        )
        if roadie
        else None,
        MyKaarmaApi(
            await connected(
                "mykaarma",
                mykaarma.base_url,
                basic_key(mykaarma.username.get_secret_value(), mykaarma.password.get_secret_value()),
                "Basic",
            ),
            operations_of("mykaarma"),
            mykaarma.requester_user_uuid,
        )
        if mykaarma
        else None,
    )
