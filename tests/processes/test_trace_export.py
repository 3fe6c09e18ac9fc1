"""Traces leave the process: OpenTelemetry's tracer provider is one for the whole process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest

from tests.command_line import run_process
from tests.servers import PATIENCE

CALL = ("call", "list_inventory", '{"dealer": "umazda", "limit": 1}', "--sandbox")


class Collector(BaseHTTPRequestHandler):
    requests: ClassVar[list[tuple[str, bytes]]] = []
    """Path and body of each."""

    def do_POST(self) -> None:
        self.requests.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def collector() -> Iterator[str]:
    """Yields the URL of a server that collects traces."""
    Collector.requests.clear()
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_traces_go_where_opentelemetrys_variables_say() -> None:
    """Also the traces of a process that ends at once."""
    with collector() as url:
        end = run_process(*CALL, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert end.returncode == 0, end.stderr
    assert {path for path, _ in Collector.requests} == {"/v1/traces"}
    traces = b"".join(body for _, body in Collector.requests)
    for part in (b"roadster-mcp", b"tools/call list_inventory", b"roadster.operation"):
        assert part in traces
    assert b"umazda" not in traces


def test_a_service_can_have_a_name_of_its_own() -> None:
    with collector() as url:
        run_process(*CALL, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{url}/traces", OTEL_SERVICE_NAME="a-shop")
    assert {path for path, _ in Collector.requests} == {"/traces"}
    assert b"a-shop" in b"".join(body for _, body in Collector.requests)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_without_opentelemetrys_sdk_one_line_says_so(variable: str) -> None:
    """The server works all the same: assistants set the variable for traces of their own, also for servers."""
    script = "import sys; sys.modules['opentelemetry.sdk'] = None; from roadster_server.__main__ import main; main()"
    end = subprocess.run(
        [sys.executable, "-c", script, *CALL],
        env={variable: "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert end.returncode == 0, end.stderr
    (line,) = [line for line in end.stderr.splitlines() if "traces" in line]
    assert "roadster-mcp[otel]" in line


def test_a_start_without_export_loads_nothing_of_it() -> None:
    script = (
        "import sys, roadster_server.cli.app, roadster_server.runtime;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    end = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert end.stdout.strip() == "[]"
