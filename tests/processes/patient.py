"""`roadster-mcp` with time to stop: `python -m tests.processes.patient DRAIN serve …`.

A server gives itself seconds to stop, for the person who waits. A busy machine needs longer than that, and then a test
of the order in which things end would meet that limit instead.
"""

from __future__ import annotations

import sys
from types import ModuleType

from roadster_server.transports import shutdown, stdio
from roadster_server.transports.http import process as http_process
from tests.servers import PATIENCE

AMPLE = PATIENCE / 2


def patient(*arguments: str, drain: float = AMPLE) -> list[str]:
    """Returns the command of a server that lets calls end for `drain` seconds, and has all the time for the rest."""
    return [sys.executable, "-m", __name__, str(drain), *arguments]


def _replace(module: ModuleType, **seconds: float) -> None:
    for name, value in seconds.items():
        assert hasattr(module, name)
        setattr(module, name, value)


if __name__ == "__main__":
    from roadster_server.__main__ import main

    drain_seconds = float(sys.argv[1])
    _replace(stdio, DRAIN_SECONDS=drain_seconds, _EXIT_SECONDS=PATIENCE)
    _replace(http_process, DRAIN_SECONDS=drain_seconds, EXIT_SECONDS=PATIENCE)
    _replace(shutdown, INTERRUPTED_SECONDS=AMPLE)
    sys.argv[:2] = ["roadster-mcp"]
    main()
