"""The events of a server that metrics count. They carry numbers and this program's own names, and nobody's data."""

from __future__ import annotations

from roadster_client import Attempt, LeftOut, NoObserver, Operation

from .logs import log

SCOPE = "roadster-mcp"
"""The name of this program in traces."""

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with prometheus_client's folder for several processes. It is read at the import."""


class ServerObserver(NoObserver):
    """Only logs repeated attempts. Over stdio and on the command line nobody could read the metrics."""

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        if number > 1:
            log.warning("upstream failed, and is asked again", extra={"operation": operation.name, "attempt": number})
        return super().on_attempt(operation, number)

    def on_call_end(self, tool: str, outcome: str, refused_by: str | None, seconds: float) -> None:
        """Called when a call has ended. `tool` may be `unknown`. `refused_by` is the setting that refused the call."""

    def on_left_out(self, kind: LeftOut, count: int) -> None:
        """Called when a call has ended, with a kind of values that were left out of the answers that it read."""

    def on_records_waiting(self, count: int) -> None:
        """Called with the number of audit records that wait for the store, when it changes."""

    def on_tidied(self, *, is_stopped: bool) -> None:
        """Called when the store was tidied. `is_stopped` says that old events stay, because of the clock."""

    def on_event(self, source: str, outcome: str, age: float | None) -> None:
        """Called when a web hook has received an event. `age` is in seconds, None if the event could not be read."""
