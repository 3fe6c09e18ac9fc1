"""A sandbox in the same process. Plain calls do what the endpoints below `/__sandbox/` do over HTTP."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from .http.app import make_app
from .http.endpoint import Sandbox
from .http.events import EventFields, make_event
from .http.grading import FaultBody, make_state
from .http.mistakes import describe_mistake
from .http.transport import SandboxTransport
from .world.ids import DEFAULT_SEED


class EmbeddedSandbox:
    """The emulated APIs, as the network of a client or server in the same process.

    Pass `transport` to the client or server under test. The methods are for your test: they set faults, and read what
    was requested and created.
    """

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._sandbox = Sandbox(seed)
        self.transport = SandboxTransport(make_app(self._sandbox))

    def reset(self, seed: int | None = None) -> None:
        """Restores the initial world, or makes that of another seed. Forgets all requests and faults."""
        self._sandbox.reset(seed)

    def state(self) -> dict[str, Any]:
        """Returns a copy of all that was created since the last reset, by kind."""
        state: dict[str, Any] = json.loads(json.dumps(make_state(self._sandbox.world)))
        return state

    def requests(self) -> list[dict[str, Any]]:
        """Returns a copy of the log: every upstream request since the last reset, the oldest first."""
        requests: list[dict[str, Any]] = json.loads(json.dumps(self._sandbox.requests))
        return requests

    def fault(self, operation: str, fault: str, times: int = 1, **options: Any) -> None:
        """Makes the next `times` requests of `operation` go wrong. The operation `*` means any.

        `options` are those of the endpoint `/__sandbox/faults`: `status`, `seconds`, `retry_after`. Raises ValueError
        for an unknown operation or fault, with the valid ones in its text.
        """
        try:
            body = FaultBody(operation=operation, fault=fault, times=times, **options)
        except ValidationError as error:
            raise ValueError(describe_mistake(error)) from None
        self._sandbox.faults.append(body.to_fault())

    def make_event(self, **fields: Any) -> dict[str, Any]:
        """Returns a customer event as Roadster documents it, for a web hook. Each has another id and a later time.

        `fields` are any of `type`, `dealer`, `customer_id` and `message`, as of the endpoint `/__sandbox/events`, or an
        `event` to return as it is. Raises ValueError for another field, for a wrong value, and for fields beside an
        `event`.
        """
        try:
            event_fields = EventFields(**fields)
        except ValidationError as error:
            raise ValueError(describe_mistake(error)) from None
        return make_event(self._sandbox.world, event_fields)
