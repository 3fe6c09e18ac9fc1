"""`roadster-mcp` as tests run it: in this process, or in one of its own where signals, streams or the exit matter."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from roadster_server.cli.app import app
from roadster_server.telemetry.logs import flush_logs

from .servers import PATIENCE

_LOG_HANDLERS: list[logging.Handler] = []
"""Those of the command line, whose thread serves all commands of this process."""


def run_cli(
    *arguments: str, stdin: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process. It gets nothing of the tests' environment but PATH and HOME."""
    streams = [io.TextIOWrapper(io.BytesIO(stdin.encode() if n == 0 else b""), "utf-8", newline="") for n in range(3)]
    with (
        chdir(cwd or Path.cwd()),
        patch.dict(os.environ, _environment(environment), clear=True),
        patch.object(sys, "stdin", streams[0]),
        redirect_stdout(streams[1]),
        redirect_stderr(streams[2]),
        separate_logging(),
        ThreadPoolExecutor(1) as thread,  # where no event loop runs
    ):
        code = thread.submit(_exit_code, arguments).result()
    for stream in streams[1:]:
        stream.seek(0)
    return subprocess.CompletedProcess(arguments, code, streams[1].read(), streams[2].read())


def run_process(
    *arguments: str, stdin: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "roadster_server", *arguments],
        input=stdin,
        cwd=cwd,
        env=_environment(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        app(arguments, prog_name="roadster-mcp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        flush_logs()
    return 0


@contextmanager
def separate_logging() -> Iterator[None]:
    """Keeps the command's logging apart from the tests'."""
    root, own = logging.getLogger(), logging.getLogger("roadster_server")
    before = root.handlers, root.level, own.level
    root.handlers = list(_LOG_HANDLERS)
    try:
        yield
    finally:
        _LOG_HANDLERS[:] = root.handlers
        root.handlers = before[0]
        root.setLevel(before[1])
        own.setLevel(before[2])
