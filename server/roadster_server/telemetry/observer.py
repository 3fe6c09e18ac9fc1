"""What a server tells of its work, for figures. Only names of this program's own and numbers: nobody's data."""

from __future__ import annotations

from roadster_client import NoObserver

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names prometheus_client's folder for several processes. It is read when that is imported."""


class ServerObserver(NoObserver):
    """Observes nothing by itself: over stdio and on the command line nobody could ask for the figures."""

    def call_ended(self, tool: str, outcome: str, refused_by: str | None, seconds: float) -> None:
        """A call has ended; `tool` is one of the catalogue or `unknown`, `refused_by` the setting that refused it."""

    def event_came(self, source: str, outcome: str, age: float | None) -> None:
        """Somebody has sent an event to `source`; `age` is in seconds since it happened, where that could be read."""


SCOPE = "roadster-mcp"
