"""`roadster-mcp serve`: one process over stdio or HTTP, or several workers at one port."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from roadster_server.settings.defaults import LOCAL_CALLER
from roadster_server.settings.errors import ConfigurationError
from roadster_server.telemetry.logs import configure_logs

from .options import USAGE_ERROR, Transport, open_backend, print_notice, print_problems, run_async

if TYPE_CHECKING:
    from socket import socket

    from roadster_server.backend import Backend


def serve_stdio(backend: Backend) -> None:
    """Serves the caller `local` until stdin ends or a signal comes. Raises ConfigurationError."""
    from roadster_server.protocol.opening import Opening
    from roadster_server.transports.stdin import Stdin

    if LOCAL_CALLER not in backend.settings.callers:
        mend = f"add [callers.{LOCAL_CALLER}], or serve the other callers and people with --transport http"
        raise ConfigurationError([f"callers.{LOCAL_CALLER}: is missing, and over stdio nobody else is served; {mend}"])
    for number in (signal.SIGINT, signal.SIGTERM):  # until the server is loaded and ends in order
        signal.signal(number, lambda *_: sys.exit(0))
    stdin = Stdin(Opening(backend.settings.caller(LOCAL_CALLER), backend.settings.approvals))
    stdin.start()
    from roadster_server.transports.loopback_pages import LoopbackPages
    from roadster_server.transports.stdio import serve_stdio as serve

    async def work() -> None:
        pages = LoopbackPages(backend.live)
        async with backend.open_server(LOCAL_CALLER, pages.links) as (server, calls):
            on_serving = partial(
                _print_to_person, "waiting on stdin for the host that starts this server; Ctrl-C stops it"
            )
            await serve(server, calls, backend, stdin, pages, on_serving)

    run_async(work)


def serve_http(backend: Backend, transport: Literal["http", "sse"], host: str, port: int) -> None:
    """Serves until a signal comes. Raises ConfigurationError."""
    from roadster_server.transports.http.application import url_of
    from roadster_server.transports.http.listening.sockets import listen
    from roadster_server.transports.http.process import serve_backend

    with listen(host, port) as listener:
        on_serving = partial(_print_address, url_of(transport, host, listener.getsockname()[1]))
        run_async(partial(serve_backend, backend, transport, listener, host=host, on_serving=on_serving))


def serve_in_workers(
    backend: Backend, transport: Transport, host: str, port: int, config: Path | None, count: int
) -> int:
    """Serves over HTTP in `count` processes until a signal comes. Returns the exit code. Raises ConfigurationError."""
    from roadster_server.transports.http.application import url_of
    from roadster_server.transports.http.listening.sockets import listen
    from roadster_server.transports.http.workers import require_shared, run_workers

    if transport is not Transport.HTTP:
        raise ConfigurationError([f"--workers {count}: is only for --transport http"])
    require_shared(backend.settings, count)
    with listen(host, port) as listener:
        on_serving = partial(_print_address, url_of("http", host, listener.getsockname()[1]))
        return run_workers(count, partial(serve_as_worker, config, host, count), listener, on_serving)


def serve_as_worker(
    config: Path | None, host: str, count: int, listener: socket, on_serving: Callable[[], None]
) -> None:
    """Serves in a process of its own, which reads the configuration itself."""
    from roadster_server.transports.http.process import serve_backend

    configure_logs()
    try:
        with open_backend(config, sandbox=False) as backend:
            run_async(
                partial(serve_backend, backend, "http", listener, host=host, workers=count, on_serving=on_serving)
            )
    except ConfigurationError as error:
        print_problems(error)
        raise SystemExit(USAGE_ERROR) from None


def _print_address(url: str) -> None:
    _print_to_person(f"serving at {url}; Ctrl-C stops it")


def _print_to_person(line: str) -> None:
    """Prints only where a person looks on: a host or a service manager keeps stderr as a log."""
    if sys.stderr.isatty():
        print_notice(line)
