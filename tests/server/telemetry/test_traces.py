"""Traces: from a client's call to the requests upstream, without anybody's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from roadster_sandbox import SandboxTransport
from roadster_server.telemetry.exporting import AllowlistExporter
from roadster_tools import TOOLS
from tests.conftest import FOREIGN, Connect, World, own_delivery
from tests.tool_examples import STEVE, every_call
from tests.upstreams import WatchedNetwork

pytestmark = pytest.mark.anyio

EXPORTED = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _exporting() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(AllowlistExporter(EXPORTED)))
    trace.set_tracer_provider(provider)  # once in a process


@pytest.fixture(autouse=True)
def spans() -> Iterator[InMemorySpanExporter]:
    EXPORTED.clear()
    yield EXPORTED
    EXPORTED.clear()


def of_upstreams(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if "roadster.api" in (span.attributes or {})]


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_trace_leads_from_the_call_to_each_upstream_request(
    era: str, connect: Connect, world: World, spans: InMemorySpanExporter
) -> None:
    """It continues the client's own trace. Each attempt is a span below the server's span of the call."""
    await world.fault("list_inventory", "status", times=1, status=503)
    async with connect(mode=era) as client:
        spans.clear()
        with trace.get_tracer("an assistant").start_as_current_span("an assistant's work") as work:
            await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1})
    (server,) = [span for span in spans.get_finished_spans() if span.name == "tools/call list_inventory"]
    assert server.kind is trace.SpanKind.SERVER
    requests = of_upstreams(spans)
    assert [dict(span.attributes or {}) for span in requests] == [
        {
            "roadster.api": "roadster",
            "roadster.operation": "list_inventory",
            "roadster.attempt": 1,
            "roadster.outcome": "unavailable",
            "error.type": "unavailable",
            "http.response.status_code": 503,
        },
        {
            "roadster.api": "roadster",
            "roadster.operation": "list_inventory",
            "roadster.attempt": 2,
            "roadster.outcome": "done",
            "http.response.status_code": 200,
        },
    ]
    for span in requests:
        assert span.name == "list_inventory"
        assert span.kind is trace.SpanKind.CLIENT
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
    assert {span.context.trace_id for span in (*requests, server)} == {work.get_span_context().trace_id}


async def test_trace_is_not_in_the_headers_to_an_upstream(connect: Connect, world: World) -> None:
    """An upstream is a third party."""
    upstream = WatchedNetwork(SandboxTransport(world.app).handle_async_request)
    async with connect(upstream=upstream) as client:
        with trace.get_tracer("an assistant").start_as_current_span("work"):
            await client.call_tool("list_inventory", {"dealer": "umazda", "limit": 1})
    assert upstream.requests
    for _, request in upstream.requests:
        assert not {"traceparent", "tracestate", "baggage"} & request.headers.keys()


PLANTED = ("McQueen", "steve", "4155556666", "planted", "Natalie", "Carlos", FOREIGN, "umazda")
STATE = {"_meta": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "vendor=planted"}}


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_traces_of_the_whole_catalogue_hold_nobodys_data(
    era: str, connect: Connect, store_url: str, spans: InMemorySpanExporter
) -> None:
    """Names, attributes, statuses and events are without it, and so is the client's own trace state."""
    attributes = {"planted": "planted"}
    await own_delivery(store_url)
    async with connect(mode=era, name="planted-caller") as client:
        for tool, arguments in every_call("umazda").items():
            await client.call_tool(tool, dict(arguments), meta=dict(STATE["_meta"]))
            await client.call_tool(tool, {**arguments, "dealer": FOREIGN, "planted": "planted"})
        await client.call_tool("planted McQueen", {"customer": STEVE})
        for failing in (
            client.read_resource("roadster://umazda/vehicles/planted"),
            client.get_prompt("planted McQueen"),
            client.get_prompt("quote", {"dealer": "planted"}),
        ):
            with suppress(MCPError):
                await failing
        with (
            suppress(ValueError),
            trace.get_tracer("a library").start_as_current_span("planted", attributes=attributes),
        ):
            raise ValueError("planted")
    finished_spans = spans.get_finished_spans()
    assert {"tools/call unknown unknown", *(f"tools/call {tool}" for tool in TOOLS)} <= {
        span.name for span in finished_spans
    }
    assert of_upstreams(spans)
    for span in finished_spans:
        for value in PLANTED:
            assert value not in span.to_json()
            assert value not in span.context.trace_state.to_header()
