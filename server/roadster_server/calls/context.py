"""The caller of a request, and the parts of the server that every call uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolResult, InputRequiredResult

from roadster_client import ApiName, Upstream
from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.observer import ServerObserver
from roadster_tools import Caller, Gate

from .idempotency import IdempotencyKeys
from .keys import Keys
from .limiter import Limiter
from .page_links import PageLinks
from .recorder import Recorder
from .refusals import RefusalSums

CurrentCaller = Callable[[], Caller]
"""Returns the caller of the request, with the rights that the configuration gives it at this moment."""

CallResult = CallToolResult | InputRequiredResult
"""A tool's answer, or a question to a person."""

Context = ServerRequestContext[Any, Any]


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
    upstreams: Mapping[ApiName, Upstream]
    """The clients of the configured APIs, for the state of their breakers. Calls go through the gate."""
    refuse_unrecorded_reads: bool
