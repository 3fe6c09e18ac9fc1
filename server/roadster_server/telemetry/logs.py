"""Logs: one JSON object a line on stderr, without values of arguments or answers.

A log record of another library can hold a request's body, so only its place in the code is logged. Of an exception,
only the type and the place are logged. A thread writes the lines from a bounded queue. If a host does not read stderr,
lines are lost, but the server goes on.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("roadster_server")

_QUEUED_LINES = 1000
_FLUSH_SECONDS = 0.5
_OWN_LOGGERS = ("roadster_",)
_STANDARD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure_logs(level: int = logging.INFO) -> None:
    """Sends all logging of this process to stderr as JSON, that of other libraries from WARNING.

    A second call only sets the level.
    """
    if not any(isinstance(handler, _Handler) for handler in logging.getLogger().handlers):
        handler = _Handler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    log.setLevel(level)
    logging.getLogger("stamina").disabled = True  # it logs repeated attempts, which we log with operation and number


def flush_logs() -> None:
    """Waits until the queued lines are written, but not for long: a host may not read stderr."""
    for handler in logging.getLogger().handlers:
        handler.flush()


@contextmanager
def hold_logs() -> Iterator[None]:
    """Holds log lines back until the end of the block: none stands between a question and its answer."""
    flush_logs()
    with ExitStack() as stack:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, _Handler):
                stack.enter_context(handler.writing)
        yield


def log_crash(error: BaseException, **fields: Any) -> None:
    """Logs a defect by its type and its place. Its text may quote an argument, so it is left out."""
    log.error("crash", extra={**_type_and_place(error), **fields})


def _type_and_place(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {"error": type(error).__name__, "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.name.startswith(_OWN_LOGGERS):
            line["event"] = record.getMessage()
            line.update({name: value for name, value in record.__dict__.items() if name not in _STANDARD_FIELDS})
        else:
            line["event"] = f"{record.module}.{record.funcName}:{record.lineno}"
            if record.exc_info and record.exc_info[1] is not None:
                line.update(_type_and_place(record.exc_info[1]))
        return json.dumps(line, default=str)


class _Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.Queue[str] = queue.Queue(_QUEUED_LINES)
        self.writing = threading.Lock()
        threading.Thread(target=self._write, name="logs", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):  # stderr is not being read
            self._lines.put_nowait(self.format(record))

    def flush(self) -> None:
        # logging calls it at the exit too.
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, _FLUSH_SECONDS)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with self.writing:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
            self._lines.task_done()
