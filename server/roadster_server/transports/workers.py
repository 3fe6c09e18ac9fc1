"""Several processes at one port: started, replaced where one ends by itself, and ended together.

What they share is the store, which must be PostgreSQL, and Redis. The port is taken once, by the process that starts
them, and the kernel gives each connection to one of them.
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
from roadster_server.settings.sections import Settings
from roadster_server.telemetry.logs import log
from roadster_server.telemetry.observer import MULTIPROCESS

_LOOK_EVERY = 0.2
_AGAIN_AFTER = 2.0
_END_WITHIN = 15.0
"""Seconds. A worker gives itself ten."""

_KILLED = 128


def require_shared(settings: Settings, workers: int) -> None:
    """Raises ConfigurationError where several processes would not know of each other."""
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
"""What a worker does: serves at the socket, and calls the second argument once it does."""


def run_workers(count: int, work: Work, bound: socket.socket, on_serving: Callable[[], None] = lambda: None) -> int:
    """Runs `work` in `count` processes until a signal comes. Returns the exit code.

    `on_serving` is called when the first one serves. `work` and its arguments must be importable by name: each process
    starts anew.
    """
    with TemporaryDirectory(prefix="roadster-mcp-metrics-") as figures:
        os.environ[MULTIPROCESS] = figures
        return _Workers(count, work, bound, on_serving).run()


class _Worker(NamedTuple):
    process: BaseProcess
    serves: Event


class _Workers:
    def __init__(self, count: int, work: Work, bound: socket.socket, on_serving: Callable[[], None]) -> None:
        self._count = count
        self._work = work
        self._bound = bound
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
            return self._first() or self._watch()
        finally:
            self._end()

    def _first(self) -> int:
        """Starts one alone: it migrates the store, and what it cannot start with, the others cannot either."""
        first = self._start()
        while not self._stopping and not first.serves.is_set():
            wait([first.process.sentinel], timeout=_LOOK_EVERY)
            if first.process.exitcode is not None:
                return abs(first.process.exitcode) or 1
        if not self._stopping:
            self._on_serving()
        return 0

    def _watch(self) -> int:
        """Keeps as many as were asked for, also when one cannot start for now: the others serve meanwhile."""
        while not self._stopping:
            if len(self._running) < self._count and time.monotonic() >= self._next_start:
                self._start()
                continue
            wait([worker.process.sentinel for worker in self._running], timeout=_LOOK_EVERY)
            for worker in [worker for worker in self._running if worker.process.exitcode is not None]:
                self._running.remove(worker)
                _forget_figures(worker.process)
                if not self._stopping:
                    code = worker.process.exitcode
                    log.error("a worker has ended, another will take its place", extra={"code": code})
                    self._next_start = time.monotonic() + _AGAIN_AFTER
        return 0

    def _start(self) -> _Worker:
        spawn = multiprocessing.get_context("spawn")
        serves = spawn.Event()
        worker = _Worker(spawn.Process(target=_worker, args=(self._work, self._bound, serves)), serves)
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
        if self._stopping:  # the second one does not wait
            for worker in self._running:
                worker.process.kill()
            os._exit(_KILLED + number)
        self._stopping = True

    def _reload(self, number: int, _frame: Any) -> None:
        # One that does not serve yet would die of it, and reads the file anyway.
        self._signal(number, [worker for worker in self._running if worker.serves.is_set()])

    def _signal(self, number: int, workers: Sequence[_Worker] | None = None) -> None:
        for worker in self._running if workers is None else workers:
            if worker.process.pid is not None and worker.process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)


def _forget_figures(process: BaseProcess) -> None:
    """What a worker that has ended held, for instance its queue, is in no sum any more; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - workers rarely end

    mark_process_dead(process.pid)  # type: ignore[no-untyped-call]


def _worker(work: Work, bound: socket.socket, serves: Event) -> None:
    if hasattr(
        os, "setpgrp"
    ):  # a terminal's Ctrl-C is for the process that watches; to a worker it were a second signal
        os.setpgrp()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    work(bound, serves.set)


def _end_with_the_parent() -> None:
    """A worker that nobody watches would go on listening for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
