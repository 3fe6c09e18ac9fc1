"""Starts `roadster-mcp` in a process of its own, for the measurements."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 60


def cpu_clock(pid: int) -> int:
    """Returns the clock of all CPU time that a process has used, as Linux numbers it (clock_getcpuclockid)."""
    return (~pid << 3) | 2


def memory_of(pid: int, line: str = "VmRSS") -> float:
    """Returns the resident memory of a process in MiB, as Linux counts it: its size now, or with `VmHWM` its peak."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(text.split()[1]) for text in lines if text.startswith(f"{line}:")) / 1024


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any]) -> None:
    """Returns when something listens at the port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens at {port}")


@contextmanager
def start_process(*arguments: str, path: str, **secrets: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yields the URL and the process of a command that listens on a free port, after its `path` has answered.

    `secrets` are added to its environment, which is otherwise empty.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "roadster_server", *arguments, "--port", str(port)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **secrets},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"{url}{path}", process)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"a process ended with {process.returncode} before it listened")
        try:
            urllib.request.urlopen(url, timeout=START_SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} did not answer")
