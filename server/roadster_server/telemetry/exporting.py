"""Exports traces without any text of a client.

The SDK's spans hold such text: names of tools that do not exist, ids of requests, texts of errors, a trace state. So
each span is copied, and the copy has only the attributes on the allowlist below, with values of the right form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mcp_types.methods import (
    CLIENT_NOTIFICATIONS,
    CLIENT_REQUESTS,
    SERVER_NOTIFICATIONS,
    SERVER_REQUESTS,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status, set_tracer_provider

from roadster_client import OPERATIONS
from roadster_prompts import PROMPTS
from roadster_tools import TOOLS

from .observer import SCOPE

UNKNOWN = "unknown"

_METHODS = frozenset(
    method
    for methods in (CLIENT_REQUESTS, CLIENT_NOTIFICATIONS, SERVER_REQUESTS, SERVER_NOTIFICATIONS)
    for method, _ in methods
)
_WORDS = _METHODS | TOOLS.keys() | PROMPTS.keys() | OPERATIONS.keys() | {"MCP", "send"}


def _one_of(*values: Any) -> Callable[[Any], Any]:
    return lambda value: value if value in values else UNKNOWN


def _matching(pattern: str) -> Callable[[Any], Any]:
    return lambda value: value if re.fullmatch(pattern, str(value), re.ASCII) else UNKNOWN


_ATTRIBUTES: Mapping[str, Callable[[Any], Any]] = {
    "mcp.method.name": _one_of(*_METHODS),
    "mcp.protocol.version": _matching(r"\d{4}-\d{2}-\d{2}"),
    "gen_ai.operation.name": _one_of("execute_tool"),
    "gen_ai.tool.name": _one_of(*TOOLS),
    "gen_ai.prompt.name": _one_of(*PROMPTS),
    "error.type": _matching(r"-?\d{1,6}|[A-Za-z_]{1,40}"),  # a JSON-RPC code, a class or an outcome
    "rpc.response.status_code": _matching(r"-?\d{1,6}"),
    "http.response.status_code": _matching(r"\d{3}"),
    "roadster.api": _one_of(*{operation.api for operation in OPERATIONS.values()}),
    "roadster.operation": _one_of(*OPERATIONS),
    "roadster.attempt": _matching(r"\d"),
    "roadster.outcome": _matching(r"[a-z_]{1,40}"),
}
"""The attributes that are exported. Each has a function that replaces unexpected values by `unknown`."""


class AllowlistExporter(SpanExporter):
    """Exports only the attributes on the allowlist, through another exporter."""

    def __init__(self, other: SpanExporter) -> None:
        self._other = other

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._other.export([_filter(span) for span in spans])

    def shutdown(self) -> None:
        self._other.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._other.force_flush(timeout_millis)


def start_exporting() -> Callable[[], None]:
    """Exports the spans of this process from now on, where OpenTelemetry's variables say. Returns what ends that."""
    own = Resource({"service.name": SCOPE, "service.version": version("roadster-mcp")})
    provider = TracerProvider(
        resource=Resource.create().merge(own).merge(OTELResourceDetector().detect()),
        shutdown_on_exit=False,  # it would wait for a collector that does not answer
    )
    provider.add_span_processor(BatchSpanProcessor(AllowlistExporter(OTLPSpanExporter())))
    set_tracer_provider(provider)
    return provider.shutdown


def _filter(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    words = span.name.split(" ", 3)
    return ReadableSpan(
        name=" ".join(word if word in _WORDS else UNKNOWN for word in words),
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes={name: check(attributes[name]) for name, check in _ATTRIBUTES.items() if name in attributes},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_state(context: SpanContext | None) -> SpanContext | None:
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
