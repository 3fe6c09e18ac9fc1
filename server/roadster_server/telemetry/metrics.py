"""Metrics for Prometheus. Only the HTTP server imports this module: over stdio nobody could read them.

The values of each label come from a list that this program or its configuration limits. No label names a caller, a
dealer or a customer, or repeats text of a client or an upstream.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import Response

from roadster_client import ApiName, LeftOut, Operation
from roadster_tools import TOOLS

from .observer import MULTIPROCESS, ServerObserver

_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_EVENT_SECONDS = (1, 5, 30, 60, 300, 1800, 3600, 21_600, 86_400, 604_800)


class Row(NamedTuple):
    """A metric as docs/operate/metrics.md lists it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    description: str


class Metrics(ServerObserver):
    """Counts the events of a server, and answers `/metrics`."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # they double the number of series
        self._registry = CollectorRegistry()
        self.rows: list[Row] = []

        self.calls = self._counter(
            "calls_total", "calls ended; the outcome `replayed` is an idempotency key's first answer", "tool", "outcome"
        )
        self.call_seconds = self._histogram(
            "call_seconds", "how long calls took, a person's time to confirm included", _CALL_SECONDS, "tool"
        )
        self.refusals = self._counter("refusals_total", "calls refused, by the kind of setting that did", "setting")
        self.requests = self._counter(
            "upstream_requests_total", "requests to upstreams, each attempt", "api", "operation", "outcome"
        )
        self.request_seconds = self._histogram(
            "upstream_request_seconds", "how long they took, without waiting", _CALL_SECONDS, "api", "operation"
        )
        self.retries = self._counter(
            "upstream_retries_total", "those that were not the first attempt", "api", "operation"
        )
        self.running = self._gauge("upstream_running", "requests under way", "api")
        self.waiting = self._gauge("upstream_waiting", "requests that wait to be let in", "api")
        self.open = self._gauge("upstream_breakers_open", "operations, each of one dealer, that keep failing", "api")
        self.left_out = self._counter(
            "left_out_total", "values of upstreams' answers that could not be read, by field", "operation", "path"
        )
        self.events = self._counter("events_total", "events received, and what became of them", "source", "outcome")
        self.event_age = self._histogram(
            "event_age_seconds", "from when an event happened to when it came", _EVENT_SECONDS, "source"
        )
        self.records_waiting = self._gauge(
            "audit_records_waiting", "audit records in memory, because the store does not take them"
        )
        self.retention_stopped = self._gauge(
            "retention_stopped", "above 0 while old events are not deleted, because the clock is in doubt"
        )

    def scrape(self, _request: Request) -> Response:
        """Answers `/metrics`, for all processes if there are several. It is slow, so Starlette runs it in a thread."""
        registry = self._registry
        if MULTIPROCESS in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def on_call_end(self, tool: str, outcome: str, refused_by: str | None, seconds: float) -> None:
        self.calls.labels(tool, outcome).inc()
        self.call_seconds.labels(tool).observe(seconds)
        if refused_by is not None:
            self.refusals.labels(_kind(refused_by)).inc()

    def on_left_out(self, kind: LeftOut, count: int) -> None:
        self.left_out.labels(kind.operation, kind.path).inc(count)

    def on_records_waiting(self, count: int) -> None:
        self.records_waiting.set(count)

    def on_tidied(self, *, is_stopped: bool) -> None:
        self.retention_stopped.set(is_stopped)

    def on_event(self, source: str, outcome: str, age: float | None) -> None:
        self.events.labels(source, outcome).inc()
        if age is not None:
            self.event_age.labels(source).observe(age)

    def on_attempt(self, operation: Operation, number: int) -> _Attempt:
        super().on_attempt(operation, number)
        return _Attempt(self, operation, number)

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        self.open.labels(api).set(count)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(self._row(name, "counter", description, labels), description, labels, registry=self._registry)

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        full = self._row(name, "gauge", description, labels)
        # With several processes, the sum over those that are alive.
        return Gauge(full, description, labels, registry=self._registry, multiprocess_mode="livesum")

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        full = self._row(name, "histogram", description, labels)
        return Histogram(full, description, labels, registry=self._registry, buckets=buckets)

    def _row(self, name: str, kind: str, description: str, labels: tuple[str, ...]) -> str:
        row = Row(f"roadster_mcp_{name}", kind, labels, description)
        self.rows.append(row)
        return row.name


class _Attempt:
    """Counts one attempt at an operation."""

    def __init__(self, metrics: Metrics, operation: Operation, number: int) -> None:
        self._metrics = metrics
        self._operation = operation
        self._number = number
        self._start_time: float | None = None
        metrics.waiting.labels(operation.api).inc()

    def on_begin(self) -> None:
        operation = self._operation
        self._start_time = time.perf_counter()
        self._metrics.waiting.labels(operation.api).dec()
        self._metrics.running.labels(operation.api).inc()
        if self._number > 1:
            self._metrics.retries.labels(operation.api, operation.name).inc()

    def on_answer(self, status: int) -> None:
        pass

    def on_end(self, outcome: str) -> None:
        operation = self._operation
        if self._start_time is None:
            self._metrics.waiting.labels(operation.api).dec()
            return
        self._metrics.running.labels(operation.api).dec()
        self._metrics.requests.labels(operation.api, operation.name, outcome).inc()
        self._metrics.request_seconds.labels(operation.api, operation.name).observe(
            time.perf_counter() - self._start_time
        )


def _kind(setting: str) -> str:
    """Returns the kind of a setting: its key without the name of the caller, role, provider, dealer or tool."""
    match setting.split("."):
        case ["callers" | "roles", *_, "access", name]:
            return "access.tool" if name in TOOLS else "access.toolset"
        case ["callers" | "roles", *_, ("access" | "dealers" | "calls_per_minute" | "writes_per_hour") as kind]:
            return kind
        case ["identity", *_, "dealers" | "dealers_claim"]:
            return "dealers"
        case ["dealers", *_, "orders"]:
            return "orders"
        case [("idempotency_key" | "roadie" | "mykaarma") as kind]:
            return kind
    return "other"
