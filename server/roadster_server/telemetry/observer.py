"""What a server tells of its work, for figures. Only names of this program's own and numbers: nobody's data."""

from __future__ import annotations

from roadster_client import NoObserver

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names prometheus_client's folder for several processes. It is read when that is imported."""


class ServerObserver(NoObserver):
    """Observes nothing by itself: over stdio and on the command line nobody could ask for the figures."""

    def on_call_end(self, tool: str, outcome: str, refused_by: str | None, seconds: float) -> None:
        """Called when a call has ended. `tool` may be `unknown`. `refused_by` is the setting that refused the call."""

    def on_event(self, source: str, outcome: str, age: float | None) -> None:
        """Called when a web hook has received an event. `age` is in seconds, None if the event could not be read."""


SCOPE = "roadster-mcp"
