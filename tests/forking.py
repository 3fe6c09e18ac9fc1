"""A process that has loaded the command line, and forks for each command: most of a command's time is its loading.

What a command loads, and that it starts from nothing, has tests of its own, which start real interpreters. Here
everything else is as it would be: a process with arguments, environment, folder and streams of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

_MOST_BYTES = 1 << 20


@cache
def _forker() -> socket.socket:
    """The one of this test process, which ends with it."""
    ours, its = socket.socketpair()
    process = subprocess.Popen([sys.executable, "-m", "tests.forking", str(its.fileno())], pass_fds=[its.fileno()])
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def run(
    arguments: Sequence[str], *, stdin: str, cwd: Path | None, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of `roadster-mcp` with what it printed."""
    order = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": dict(env)}
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        forker = _forker()
        socket.send_fds(forker, [json.dumps(order).encode()], [given.fileno(), out.fileno(), err.fileno()])
        forker.settimeout(None)
        pid = int(forker.recv(64))
        forker.settimeout(timeout)
        try:
            code = int(forker.recv(64))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            forker.settimeout(None)
            forker.recv(64)
            raise
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())


def _serve(orders: socket.socket) -> None:
    from roadster_server import __main__, store  # noqa: F401, PLC0415
    from roadster_server.cli import app, call, demo, doctor, formats, script_run  # noqa: F401, PLC0415
    from roadster_server.store import sql  # noqa: F401, PLC0415

    while True:
        order, streams, _, _ = socket.recv_fds(orders, _MOST_BYTES, 3)
        if not order:
            return
        pid = os.fork()
        if pid == 0:
            orders.close()
            _become(json.loads(order), streams)
            __main__.main()
            return
        for stream in streams:
            os.close(stream)
        orders.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        orders.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(order: Mapping[str, object], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(str(order["cwd"]))
    os.environ.clear()
    os.environ.update(order["env"])  # type: ignore[call-overload]
    sys.argv = ["roadster-mcp", *order["arguments"]]  # type: ignore[misc]


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
