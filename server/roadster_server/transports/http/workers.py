"""Several processes at one port. They are started and ended together, and one that ends by itself is replaced.

They share the store, which must be PostgreSQL, and Redis. The process that starts them takes the port once, and the
kernel gives each connection to one of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.settings import Settings
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.observer import MULTIPROCESS
from roadster_server.transports.shutdown import SIGNALLED

_LOOK_EVERY = 0.2
"""Seconds between two looks at a signal that has come meanwhile."""
_REPLACE_AFTER = 2.0
"""Seconds. A worker that cannot start would otherwise be started again all the time."""
_END_WITHIN = 15.0
"""Seconds for the workers to end. A worker gives itself ten."""


def require_shared(settings: Settings, workers: int) -> None:
    """Raises ConfigurationError where several processes could not share the store or the limits."""
    problems = []
    if settings.store.url.get_secret_value().startswith("sqlite:"):
        problems.append(
            f"--workers {workers}: the store is a SQLite file, which is for one serving process; set [store] url to a "
            "PostgreSQL database, or leave out --workers"
        )
    if settings.replicas is None:
        problems.append(
            f"--workers {workers}: limits and update notifications are shared over Redis; give [replicas] a "
            "redis_url, or leave out --workers"
        )
    if problems:
        raise ConfigurationError(problems)


Work = Callable[[socket.socket, Callable[[], None]], None]
"""The work of one process: it serves at the socket, and calls the second argument once it takes calls."""


def run_workers(count: int, work: Work, listener: socket.socket, on_serving: Callable[[], None] = lambda: None) -> int:
    """Runs `work` in `count` processes until a signal comes. Returns the exit code.

    `on_serving` is called when the first one serves. `work` and its arguments must be importable by name: each process
    starts anew.
    """
    with TemporaryDirectory(prefix="roadster-mcp-metrics-") as figures:
        os.environ[MULTIPROCESS] = figures
        return _Workers(count, work, listener, on_serving).run()


class _Worker(NamedTuple):
    process: BaseProcess
    is_serving: Event


class _Workers:
    def __init__(self, count: int, work: Work, listener: socket.socket, on_serving: Callable[[], None]) -> None:
        self._count = count
        self._work = work
        self._listener = listener
        self._on_serving = on_serving
        self._running: list[_Worker] = []
        self._next_start = 0.0
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)
        try:
            return self._start_first() or self._watch()
        finally:
            self._end()

    def _start_first(self) -> int:
        """Starts one before the others: it migrates the store, and where it cannot start, the others cannot either.

        Returns its exit code where it ended, else 0.
        """
        first = self._start()
        while not self._stopping and not first.is_serving.is_set():
            wait([first.process.sentinel], timeout=_LOOK_EVERY)
            if first.process.exitcode is not None:
                return abs(first.process.exitcode) or 1
        if not self._stopping:
            self._on_serving()
        return 0

    def _watch(self) -> int:
        """Keeps `count` workers running. Where one cannot start for now, the others serve meanwhile."""
        while not self._stopping:
            if len(self._running) < self._count and time.monotonic() >= self._next_start:
                self._start()
                continue
            wait([worker.process.sentinel for worker in self._running], timeout=_LOOK_EVERY)
            for worker in [worker for worker in self._running if worker.process.exitcode is not None]:
                self._running.remove(worker)
                _drop_gauges(worker.process)
                if not self._stopping:
                    code = worker.process.exitcode
                    log.error("a worker has ended, another will take its place", extra={"code": code})
                    self._next_start = time.monotonic() + _REPLACE_AFTER
        return 0

    def _start(self) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        is_serving = spawn.Event()
        worker = _Worker(spawn.Process(target=_run_worker, args=(self._work, self._listener, is_serving)), is_serving)
        worker.process.start()
        self._running.append(worker)
        return worker

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        until = time.monotonic() + _END_WITHIN
        for worker in self._running:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()

    def _stop(self, number: int, _frame: Any) -> None:
        if self._stopping:  # the second signal does not wait
            for worker in self._running:
                worker.process.kill()
            os._exit(SIGNALLED + number)
        self._stopping = True

    def _reload(self, number: int, _frame: Any) -> None:
        # A worker that does not serve yet has no handler and would die. It is about to read the file anyway.
        self._signal(number, [worker for worker in self._running if worker.is_serving.is_set()])

    def _signal(self, number: int, workers: Sequence[_Worker] | None = None) -> None:
        for worker in self._running if workers is None else workers:
            if worker.process.pid is not None and worker.process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)


def _drop_gauges(process: BaseProcess) -> None:
    """Takes a worker's gauges, such as its queue, out of the sums once it has ended. Its counters stay."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - workers rarely end

    mark_process_dead(process.pid)  # type: ignore[no-untyped-call]


def _run_worker(work: Work, listener: socket.socket, is_serving: Event) -> None:
    # A terminal's Ctrl-C goes to a whole process group. A worker is to get it only from the process that watches it.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(listener, is_serving.set)


def _end_with_parent() -> None:
    """Ends a worker that nobody watches any more. It would go on listening for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
