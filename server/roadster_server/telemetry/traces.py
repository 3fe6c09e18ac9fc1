"""One trace from a client's call to the requests upstream: a span for each of these, below the SDK's span of the call.

Spans are made by OpenTelemetry's API, which the SDK loads anyway, and which does nothing until somebody exports.
The trace stays here: an upstream is a third party, and gets no header of it.
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
"""For what is left when the server ends. A collector that is gone must not hold up the exit."""


class TracingObserver:
    """A `roadster_client.Observer` that makes spans, and tells another one what it is told."""

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
        # Neither URL nor body: they hold ids and people.
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
    """Exports traces within the block, where OpenTelemetry's own variables say whereto.

    Without the packages for it a line in the log says so, and the server goes on: assistants set these variables for
    traces of their own, and hand them on to each server that they start.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        yield
        return
    try:
        from .exporting import start_exporting  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        log.warning("traces are not exported: pip install 'roadster-mcp[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT")
        yield
        return
    stop = start_exporting()
    try:
        yield
    finally:
        stopping = threading.Thread(target=stop, name="traces", daemon=True)
        stopping.start()
        stopping.join(_LAST_EXPORT_SECONDS)
