"""The assembly of a running server: the upstream clients, the gate before them, the store, and the calls."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import httpx2

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
from roadster_tools import Caller, Gate, Services, UploadFolder, Uploads

from .calls.approvals.approvals import Approvals
from .calls.calls import Calls
from .calls.context import CallServices, Timing
from .calls.idempotency import IdempotencyKeys
from .calls.keys import Keys
from .calls.limiter import Limiter
from .calls.page_links import PageLinks
from .calls.progress import ProgressObserver, set_step
from .calls.recorder import Recorder
from .calls.refusals import RefusalSums
from .identity.requesters import CurrentIdentity, Requesters
from .inventory.mirrors import Mirrors
from .inventory.vehicles import StoredVehicles
from .settings.live import LiveSettings
from .settings.settings import Settings
from .store import open_store
from .store.lazy import LazyStore, OpenStore, lazy_store
from .stored import StoredCustomers, StoredEvents, StoredOwnership
from .telemetry.observer import ServerObserver
from .telemetry.traces import TracingObserver, exported_traces
from .turns import turn_given_back
from .uploads.clamd import scan_with
from .uploads.downloads import DownloadLinks
from .uploads.waiting import FileKeys, LinkTo, StoredFiles

if TYPE_CHECKING:  # for start time: it imports Redis
    from .replicas import Replicas


@asynccontextmanager
async def open_calls(
    live: LiveSettings,
    *,
    local: bool,
    transport: httpx2.AsyncBaseTransport | None = None,
    random: Callable[[int], bytes] = os.urandom,
    observer: ServerObserver | None = None,
    replicas: Replicas | None = None,
    timing: Timing | None = None,
    open_store: OpenStore = open_store,
    page_links: PageLinks | None = None,
    current_identity: CurrentIdentity = lambda: None,
    link_random: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[Calls]:
    """Opens all that a server holds, in the order in which it is needed, and closes it at the end of the block.

    `local` means that the caller sits at this machine, so it may upload files from the configured folder. The
    embedded sandbox replaces the network with `transport`, and the system's random numbers with `random`. `observer`
    counts calls and requests. `replicas` are the other processes of the deployment. `page_links` finds the pages for
    people. `current_identity` describes the maker of the current request over HTTP. Tests give a shorter `timing`, or
    another way to open the store. An evaluation replaces the random numbers of links to pages and of approvals with
    `link_random`, so that the same calls have the same answers.
    """
    settings = live.current
    keys = Keys.derive(settings.roadster.api_key.get_secret_value())
    observer = observer or ServerObserver()
    timing = timing or Timing()
    page_links = page_links or PageLinks(lambda: live.current)
    async with AsyncExitStack() as stack:
        stack.enter_context(exported_traces())
        url = settings.store.url.get_secret_value()
        store = await stack.enter_async_context(lazy_store(url, contact_key=keys.contacts, open_store=open_store))
        file_keys = FileKeys(keys.files, keys.hash, link_random)
        requesters = Requesters(lambda: live.current, store.revocations, current_identity)
        approvals = Approvals(store, keys, page_links, lambda: live.current, link_random)
        mirrors = Mirrors(store, lambda: live.current.inventory.fresh_for, set_step)
        services, upstreams = await _open_services(settings, stack, transport, random, replicas, observer)
        gate = Gate(
            services,
            lambda dpid: live.current.dealer_ref(dpid),  # noqa: PLW0108 - in the settings in force when the gate asks
            lambda: live.current.own_keys,
            ownership=lambda dealer: StoredOwnership(store, dealer, timing.ownership_pauses),
            events=lambda dealer, reader, on_left_out: StoredEvents(store, dealer, reader, on_left_out),
            customers=lambda dealer, reader, on_left_out: StoredCustomers(store, dealer, reader, on_left_out),
            vehicles=partial(StoredVehicles, mirrors),
            approvals=approvals.of_caller,
            cursor_key=keys.cursors,
            disclosure_wording=lambda dpid: live.current.disclosure_wording(dpid),  # noqa: PLW0108 - as the dealer above
            uploads=_uploads(settings, local, store, file_keys, page_links.url),
            download_links=partial(DownloadLinks, store, file_keys, page_links.url, requesters.describe),
        )
        redis_url = settings.replicas.redis_url.get_secret_value() if settings.replicas else None
        limiter = Limiter(redis_url, keys.deployment)
        recorder = Recorder(store, timing.record_seconds, observer.on_records_waiting)
        stack.push_async_callback(recorder.close)
        refusals = RefusalSums(recorder.put, timing.refusal_seconds)
        stack.push_async_callback(refusals.close)
        stack.push_async_callback(mirrors.close)
        yield Calls(
            CallServices(
                gate=gate,
                store=store,
                keys=keys,
                limiter=limiter,
                observer=observer,
                recorder=recorder,
                refusals=refusals,
                idempotency_keys=IdempotencyKeys(keys),
                timing=timing,
                page_links=page_links,
                approvals=approvals,
                requesters=requesters,
                upstreams=upstreams,
                refuse_unrecorded_reads=settings.store.refuse_unrecorded_reads,
            )
        )


def _uploads(
    settings: Settings, local: bool, store: LazyStore, keys: FileKeys, link_to: LinkTo
) -> Callable[[Caller, str], Uploads]:
    """Returns the function that opens the ways in which a caller at a dealer hands over files."""
    folder = settings.uploads.folder if local and settings.uploads else None
    upload_folder = None if folder is None else UploadFolder(folder)
    scan = scan_with(settings.uploads.clamd if settings.uploads else None)
    return lambda caller, dealer: Uploads(upload_folder, StoredFiles(store, keys, link_to, caller, dealer), scan)


async def _open_services(
    settings: Settings,
    stack: AsyncExitStack,
    transport: httpx2.AsyncBaseTransport | None,
    random: Callable[[int], bytes],
    replicas: Replicas | None,
    observer: Observer,
) -> tuple[Services, Mapping[ApiName, Upstream]]:
    """Returns the clients of the configured APIs, and the upstreams below them. `stack` closes them."""
    upstreams: dict[ApiName, Upstream] = {}

    async def connect(api: ApiName, base_url: str, key: str, scheme: AuthScheme) -> Upstream:
        upstream = await stack.enter_async_context(
            open_upstream(
                base_url,
                api_key=key,
                auth_scheme=scheme,
                transport=transport,
                network=settings.network.path(),
                observer=ProgressObserver(TracingObserver(observer)),
                waiting=turn_given_back,
            )
        )
        upstreams[api] = upstream
        if replicas is not None:
            _share_breakers(api, upstream, settings, replicas)
        return upstream

    api_key, auth_scheme = settings.roadster.api_key.get_secret_value(), settings.roadster.auth_scheme
    roadster = await connect("roadster", settings.roadster.base_url, api_key, auth_scheme)
    services = Services(RoadsterApi(roadster, settings.operations(), random))
    if settings.roadie:
        token = settings.roadie.token.get_secret_value()
        roadie = await connect("roadie", settings.roadie.base_url, token, "Bearer")
        services = replace(services, roadie=RoadieApi(roadie, operations_of("roadie")))
    if settings.mykaarma:
        section = settings.mykaarma
        key = basic_key(section.username.get_secret_value(), section.password.get_secret_value())
        mykaarma = await connect("mykaarma", section.base_url, key, "Basic")
        api = MyKaarmaApi(mykaarma, operations_of("mykaarma"), section.requester_user_uuid)
        services = replace(services, mykaarma=api)
    return services, upstreams


def _share_breakers(api: ApiName, upstream: Upstream, settings: Settings, replicas: Replicas) -> None:
    """Tells the other processes when a breaker opens here, and opens it here when they tell."""
    topic = f"breaker of {api}"

    def on_message(arguments: tuple[str, ...]) -> None:
        # Another configuration may share the Redis: a dealer or an operation that is not ours is ignored.
        match arguments:
            case (dealer, operation) if operation in OPERATIONS and (not dealer or dealer in settings.dealers):
                upstream.open_breaker(dealer or None, operation)

    upstream.on_breaker_open = lambda dealer, operation: replicas.tell(topic, dealer or "", operation)
    replicas.subscribe(topic, on_message)
