"""Throw-away PostgreSQL and Redis servers: one of each for a test run, started by the first test that needs it.

A keeper process starts the server and stops it again. Each test process holds a shared lock on one file for as long
as it lives, and the keeper waits until it gets the exclusive lock. So the server ends after the last test process,
also after a failure, Ctrl-C or kill -9, and with it goes everything that the tests wrote.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fcntl import LOCK_EX, LOCK_SH, flock
from functools import cache
from pathlib import Path
from typing import IO

from redis import Redis
from redis.exceptions import RedisError

_START_SECONDS = 120.0
"""Generous: a busy machine may need long for what usually takes one second."""

_STOP_SECONDS = 20.0
_KEEPERS: list[subprocess.Popen[str]] = []
_LOCKS: list[IO[str]] = []
"""Both are held until this process ends."""


class NotInstalled(Exception):
    """The server's program is not on this machine."""


def postgresql_server(folder: Path) -> str:
    """Returns the URL of a database on the run's PostgreSQL server, as its superuser.

    `folder` is the same for all test processes of the run. Raises NotInstalled.
    """
    _postgresql_programs()
    return _address("postgresql", folder)


def redis_server(folder: Path) -> str:
    """Returns the URL of the run's Redis server. Raises NotInstalled."""
    _redis_program()
    return _address("redis", folder)


def start_redis() -> tuple[subprocess.Popen[bytes], str]:
    """Starts a Redis server for the caller to stop, and returns it with its URL. Raises NotInstalled."""
    program, password = _redis_program(), secrets.token_hex()
    for _ in range(5):  # another process may take the free port first
        port = _free_port()
        options = {"port": port, "bind": "127.0.0.1", "requirepass": password, "save": "", "dir": tempfile.gettempdir()}
        command = [program, *(text for name, value in options.items() for text in (f"--{name}", str(value)))]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        if _starts(server, lambda url=url: _answers(url)):
            return server, url
    raise RuntimeError("redis-server ends as soon as it is started")


def _address(service: str, folder: Path) -> str:
    # The lock is taken first: a keeper that is about to stop the server holds it until the server is gone.
    users = (folder / f"{service}.users").open("w")
    flock(users, LOCK_SH)
    _LOCKS.append(users)
    address = folder / f"{service}.url"
    with (folder / f"{service}.start").open("w") as start:
        flock(start, LOCK_EX)
        if not address.exists():
            _start_keeper(service, folder)
    return address.read_text()


def _start_keeper(service: str, folder: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, service, str(folder)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in a terminal reaches the tests, and the keeper ends after them
    )
    _KEEPERS.append(keeper)
    assert keeper.stdout is not None
    with keeper.stdout as ready:
        assert ready.readline() == "ready\n", f"the keeper of {service} ended; its error is on stderr"


def _keep(service: str, folder: Path) -> None:
    address = folder / f"{service}.url"
    start, how_to_stop = _SERVICES[service]
    home = Path(tempfile.mkdtemp(prefix=f"roadster-{service}-"))
    try:
        server, url = start(home)
        try:
            address.write_text(url)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            with (folder / f"{service}.users").open("w") as users:
                flock(users, LOCK_EX)
                address.unlink(missing_ok=True)
                _stop(server, how_to_stop)
        finally:
            _stop(server, how_to_stop)
    finally:
        shutil.rmtree(home)


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    server.send_signal(how)
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _start_postgresql(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Starts it on a Unix socket in `home`, which only its user may enter."""
    initdb, postgres = _postgresql_programs()
    data = home / "data"
    identity = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(home, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    options = {"username": "postgres", "auth": "trust", "encoding": "UTF8", "locale": "C"}
    command = [initdb, *(f"--{name}={value}" for name, value in options.items()), "--no-sync", "-D", str(data)]
    subprocess.run(command, check=True, cwd=home, env=environment, stdout=subprocess.DEVNULL, **identity)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": home,
        "max_connections": 200,
        # A crash of the machine may lose everything.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
    }
    command = [
        postgres,
        "-D",
        str(data),
        *(text for name, value in settings.items() for text in ("-c", f"{name}={value}")),
    ]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **identity
        )
    state = data / "postmaster.pid"
    if not _starts(server, lambda: state.exists() and "ready" in state.read_text()):
        raise RuntimeError((home / "log").read_text())
    return server, f"postgresql://postgres@{str(home).replace('/', '%2F')}/postgres"


_SERVICES: dict[str, tuple[Callable[[Path], tuple[subprocess.Popen[bytes], str]], signal.Signals]] = {
    "postgresql": (_start_postgresql, signal.SIGINT),  # it does not wait for its clients
    "redis": (lambda _home: start_redis(), signal.SIGTERM),
}


def _starts(server: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    """Waits until the server is ready. Returns False where it has ended instead."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        if ready():
            return True
        time.sleep(0.02)
    server.kill()
    server.wait()
    raise TimeoutError(f"{server.args} was not ready after {_START_SECONDS:.0f} seconds")


def _answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


@cache
def _postgresql_programs() -> Sequence[str]:
    """Returns the paths of initdb and postgres, of one version. Debian keeps both off the PATH."""
    folders = [os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    if pg_config := shutil.which("pg_config"):
        output = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True).stdout
        folders.insert(1, output.strip())
    for folder in folders:
        programs = [shutil.which(name, path=folder) for name in ("initdb", "postgres")]
        if all(programs):
            return programs
    raise NotInstalled("no initdb and postgres on PATH, in pg_config --bindir or in /usr/lib/postgresql")


@cache
def _redis_program() -> str:
    if program := shutil.which("redis-server"):
        return program
    raise NotInstalled("no redis-server on PATH")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]))
