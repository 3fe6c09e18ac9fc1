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
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory
from typing import Any

from .logs import log
from .observing import MULTIPROCESS
from .settings import ConfigurationError, Settings

CANNOT_START = 2
"""The exit code of a worker that another one in its place would end with too."""

_AGAIN_AFTER = 1.0
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


def run_workers(count: int, work: Callable[[socket.socket], None], bound: socket.socket) -> int:
    """Runs `work` in `count` processes until a signal comes. Returns the exit code.

    `work` and its arguments must be importable by name: each process starts anew.
    """
    return _Workers(count, work, bound).run()


class _Workers:
    def __init__(self, count: int, work: Callable[[socket.socket], None], bound: socket.socket) -> None:
        self._count = count
        self._work = work
        self._bound = bound
        self._running: list[BaseProcess] = []
        self._stopping = False

    def run(self) -> int:
        with TemporaryDirectory(prefix="roadster-mcp-metrics-") as figures:
            os.environ[MULTIPROCESS] = figures
            return self._run()

    def _run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)
        for _ in range(self._count):
            self._start()
        log.info("workers", extra={"count": self._count})
        try:
            return self._watch()
        finally:
            self._end()

    def _start(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_worker, args=(self._work, self._bound))
        process.start()
        self._running.append(process)

    def _watch(self) -> int:
        while not self._stopping:
            wait([process.sentinel for process in self._running], timeout=0.2)
            for process in [process for process in self._running if process.exitcode is not None]:
                self._running.remove(process)
                if self._stopping:
                    break
                _forget_figures(process)
                if process.exitcode == CANNOT_START:
                    return CANNOT_START
                log.error("a worker has ended, another takes its place", extra={"code": process.exitcode})
                time.sleep(_AGAIN_AFTER)
                self._start()
        return 0

    def _end(self) -> None:
        self._signal(signal.SIGTERM)
        until = time.monotonic() + _END_WITHIN
        for process in self._running:
            process.join(max(0.0, until - time.monotonic()))
        for process in self._running:
            if process.exitcode is None:
                process.kill()
                process.join()

    def _stop(self, number: int, _frame: Any) -> None:
        if self._stopping:  # the second one does not wait
            for process in self._running:
                process.kill()
            os._exit(_KILLED + number)
        self._stopping = True

    def _reload(self, number: int, _frame: Any) -> None:
        self._signal(number)

    def _signal(self, number: int) -> None:
        for process in self._running:
            if process.pid is not None and process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)


def _forget_figures(process: BaseProcess) -> None:
    """What a worker that has ended held, for instance its queue, is in no sum any more; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - workers rarely end

    mark_process_dead(process.pid)  # type: ignore[no-untyped-call]


def _worker(work: Callable[[socket.socket], None], bound: socket.socket) -> None:
    if hasattr(
        os, "setpgrp"
    ):  # a terminal's Ctrl-C is for the process that watches; to a worker it were a second signal
        os.setpgrp()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    work(bound)


def _end_with_the_parent() -> None:
    """A worker that nobody watches would go on listening for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
