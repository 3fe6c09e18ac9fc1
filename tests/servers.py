"""Servers on sockets: `roadster-mcp` in a process of its own, and the sandbox in a thread of this one."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.types import Receive, Scope, Send

from roadster_sandbox import API_KEY, create_app
from roadster_sandbox.http.server import server_config

PATIENCE = 180.0
"""Seconds. A wait for another process takes as long as the machine needs, so this limit only ends endless ones."""


ROADSTER_MCP = (sys.executable, "-m", "roadster_server")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def sandbox_server(api_key: str = API_KEY) -> Iterator[str]:
    """Serves a sandbox that accepts `api_key`, and yields its URL."""
    sandbox = create_app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (name, value.replace(api_key.encode(), API_KEY.encode()) if name == b"authorization" else value)
            for name, value in scope["headers"]
        ]
        await sandbox({**scope, "headers": headers}, receive, send)

    server = uvicorn.Server(server_config(app, "127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Connections wait in the listener's queue until the thread accepts them.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving(
    *arguments: str,
    url: str,
    command: Sequence[str] = ROADSTER_MCP,
    cwd: Path | None = None,
    log: Path | None = None,
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """A `roadster-mcp` process that listens, from when `url` answers to the end of the block.

    Its stderr goes to the file `log`, and at the end to this process's.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = log or Path(folder) / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=cwd,
                stderr=stderr,
                env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
            )
        try:
            _wait_for(url, process)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                sys.stderr.buffer.write(log.read_bytes())


def until(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds, and fails where it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Waits until `url` answers, with any status."""
    parts = urlsplit(url)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
        try:
            connection.request("GET", parts.path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            if process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode} before it listened") from None
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise AssertionError(f"{url} did not answer")
