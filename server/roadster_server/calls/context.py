"""Who calls, and what a call needs of the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CallToolResult, InputRequiredResult

from roadster_server.store.lazy import LazyStore
from roadster_server.telemetry.observer import ServerObserver
from roadster_tools import Caller, Gate

from .idempotency import IdempotencyKeys
from .keys import Keys
from .limiter import Limiter
from .recorder import Recorder

WhoIsCalling = Callable[[], Caller]
"""Returns the caller as the configuration describes it now."""

CallResult = CallToolResult | InputRequiredResult
"""A tool's answer, or a question to a person."""

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True)
class CallServices:
    """What all calls of one server share."""

    gate: Gate
    store: LazyStore
    keys: Keys
    limiter: Limiter
    observer: ServerObserver
    recorder: Recorder
    idempotency_keys: IdempotencyKeys
    refuse_unrecorded_reads: bool
