"""A sandbox in the same process: its network, and by plain calls what `/__sandbox/` answers over HTTP."""

from __future__ import annotations

import json
from typing import Any

from .http.app import app_of
from .http.endpoint import Sandbox
from .http.grading import FaultBody, state_of
from .http.transport import SandboxTransport


class EmbeddedSandbox:
    """`transport` stands for the network of a server; the rest is for those who test or grade."""

    def __init__(self, seed: int = 7) -> None:
        self._sandbox = Sandbox(seed)
        self.transport = SandboxTransport(app_of(self._sandbox))

    def reset(self, seed: int | None = None) -> None:
        """Back to the initial world, or to that of another seed; no request and no fault is left."""
        self._sandbox.reset(seed)

    def state(self) -> dict[str, Any]:
        """What has been created since the last reset, as a copy."""
        copied: dict[str, Any] = json.loads(json.dumps(state_of(self._sandbox.world)))
        return copied

    def requests(self) -> list[dict[str, Any]]:
        """Every upstream request seen since the last reset, in order, as a copy."""
        copied: list[dict[str, Any]] = json.loads(json.dumps(self._sandbox.requests))
        return copied

    def fault(self, operation: str, fault: str, times: int = 1, **more: Any) -> None:
        """The next `times` requests of `operation` go wrong. Raises ValueError for what there is not."""
        order = FaultBody(operation=operation, fault=fault, times=times, **more)
        self._sandbox.faults.append(order.fault_of())
