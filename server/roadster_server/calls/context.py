"""The caller of a request, and the parts of the server that every call uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolResult, InputRequiredResult
from mcp_types.version import is_version_at_least

from roadster_client import ApiName, Upstream
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.observer import ServerObserver
from roadster_tools import Caller, Gate

from .approvals.approvals import Approvals
from .idempotency import IdempotencyKeys
from .keys import Keys
from .limiter import Limiter
from .page_links import PageLinks
from .recorder import Recorder
from .refusals import RefusalSums
from .view_hosts import shows_views

CurrentCaller = Callable[[], Caller]
"""Returns the caller of the request, with the rights that the configuration gives it at this moment."""

CallResult = CallToolResult | InputRequiredResult
"""A tool's answer, or a question to a person."""

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True)
class PageOrigin:
    """Stands for the request of a call that a page makes for a caller: the client and protocol that first asked."""

    client: str
    protocol_version: str


CallContext = Context | PageOrigin


def is_stateless(ctx: Context) -> bool:
    """Returns whether the client repeats a call to answer a question, instead of answering in the middle of it."""
    return is_version_at_least(ctx.protocol_version, "2026-07-28")


def client_name(ctx: CallContext) -> str:
    """Returns the client's own name, with only the characters of program names. The client chooses this text."""
    if isinstance(ctx, PageOrigin):
        return ctx.client
    params = ctx.session.client_params
    return re.sub(r"[^A-Za-z0-9 ._/-]", "", params.client_info.name)[:64] if params is not None else ""


def has_views(ctx: CallContext) -> bool:
    """Returns whether the client has said that its host shows views."""
    if isinstance(ctx, PageOrigin):
        return False
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and shows_views(capabilities.extensions)


class Requesters(Protocol):
    """Describes the makers of requests, so that a call can go on later with the rights that they have then."""

    def describe(self, caller: Caller) -> str:
        """Returns the maker of the current request as JSON, which belongs under a seal."""

    def name_of(self, caller: Caller) -> str:
        """Returns a name of the maker of the current request, to show to other people."""

    async def open(self, text: str) -> CurrentCaller:
        """Returns what gives the rights of the moment to somebody who was described. Raises StoreError."""


class Ask(Exception):
    """Ends a call with a question to a person, which is in `result`."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person is asked")
        self.result = result


API_NAMES: Mapping[ApiName, str] = {"roadster": "Roadster", "roadie": "Roadie", "mykaarma": "myKaarma"}
"""The upstreams, as a person knows them."""


@dataclass(frozen=True)
class Timing:
    """How long calls wait. Tests wait less."""

    confirmation: timedelta = timedelta(minutes=10)
    """For a person's answer to a question."""

    record_seconds: float = 2.0
    """How long the answer of a read waits for its audit record."""

    refusal_seconds: float = 10.0
    """Between two audit records of refusals by the same limit."""

    page_seconds: float = 40.0
    """For a decision on a page that a person has agreed to open. Many clients give a call up after 60 seconds."""

    progress_seconds: float = 2.0
    """Between two reports of a call's progress."""

    file_seconds: float = 1.0
    """Between two looks whether a person has handed over the file that the call waits for."""

    ownership_pauses: Sequence[float] = (0.1, 0.5)
    """Seconds before each further attempt to record what belongs to a dealer."""


@dataclass(frozen=True)
class CallServices:
    """The parts of the server that all its calls share."""

    gate: Gate
    store: LazyStore
    keys: Keys
    limiter: Limiter
    observer: ServerObserver
    recorder: Recorder
    refusals: RefusalSums
    idempotency_keys: IdempotencyKeys
    timing: Timing
    page_links: PageLinks
    approvals: Approvals
    requesters: Requesters
    upstreams: Mapping[ApiName, Upstream]
    """The clients of the configured APIs, for the state of their breakers. Calls go through the gate."""
    refuse_unrecorded_reads: bool
