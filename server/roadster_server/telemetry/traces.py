"""Traces: one span for each request to an upstream, below the SDK's span of the call.

Spans use OpenTelemetry's API. The SDK loads it anyway, and without an exporter it does nothing. An upstream is a third
party, so no request has a header with the trace.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, StatusCode, get_tracer

from roadster_client import ApiName, Attempt, Observer, Operation

from .logs import log
from .observer import SCOPE

_tracer = get_tracer(SCOPE)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LAST_EXPORT_SECONDS = 1.0
"""Time for the last spans when the server ends. A collector that is down must not delay the exit."""


class TracingObserver:
    """Makes a span for each attempt, and passes all events on to another observer."""

    def __init__(self, other: Observer) -> None:
        self._other = other

    def on_attempt(self, operation: Operation, number: int) -> Attempt:
        return _Attempt(operation, number, self._other.on_attempt(operation, number))

    def on_breakers_open(self, api: ApiName, count: int) -> None:
        self._other.on_breakers_open(api, count)


class _Attempt:
    def __init__(self, operation: Operation, number: int, other: Attempt) -> None:
        self._operation = operation
        self._number = number
        self._other = other
        self._span: Span | None = None

    def on_begin(self) -> None:
        self._other.on_begin()
        # No URL and no body, because they hold ids and names of people.
        self._span = _tracer.start_span(
            self._operation.name,
            kind=SpanKind.CLIENT,
            attributes={
                "roadster.api": self._operation.api,
                "roadster.operation": self._operation.name,
                "roadster.attempt": self._number,
            },
        )

    def on_answer(self, status: int) -> None:
        self._other.on_answer(status)
        if self._span is not None:
            self._span.set_attribute("http.response.status_code", status)

    def on_end(self, outcome: str) -> None:
        self._other.on_end(outcome)
        if self._span is not None:
            self._span.set_attribute("roadster.outcome", outcome)
            if outcome != "done":
                self._span.set_attribute("error.type", outcome)
                self._span.set_status(StatusCode.ERROR)
            self._span.end()


@contextmanager
def exported_traces() -> Iterator[None]:
    """Exports traces within the block, if OpenTelemetry's own variables name a collector.

    Without the packages for that, it logs a warning and goes on. Assistants set these variables for their own traces,
    and pass them on to each server that they start.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        yield
        return
    try:
        from .exporting import start_exporting  # noqa: PLC0415 - an optional dependency, slow to import
    except ImportError:
        log.warning("traces are not exported: pip install 'roadster-mcp[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT")
        yield
        return
    stop = start_exporting()
    try:
        yield
    finally:
        thread = threading.Thread(target=stop, name="traces", daemon=True)
        thread.start()
        thread.join(_LAST_EXPORT_SECONDS)
