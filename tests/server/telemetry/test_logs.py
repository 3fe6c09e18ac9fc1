"""Log lines wait in a bounded queue for a thread that writes them."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading

import pytest

from roadster_server.telemetry.logs import configure_logs, flush_logs, log
from tests.command_line import separate_logging


class Stalled(io.StringIO):
    """A stderr that nobody reads until `resumed` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed = threading.Event()

    def write(self, text: str) -> int:
        self.resumed.wait()
        return super().write(text)


def test_a_stalled_stderr_costs_lines_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5,000 lines some are lost, and those that were first are written in their order."""
    stderr = Stalled()
    monkeypatch.setattr(sys, "stderr", stderr)
    with separate_logging():
        logging.getLogger().handlers.clear()
        configure_logs()
        for number in range(5_000):
            log.info("line", extra={"number": number})
        stderr.resumed.set()
        while len(stderr.getvalue().splitlines()) < 1_000:
            flush_logs()
    numbers = [json.loads(line)["number"] for line in stderr.getvalue().splitlines()]
    assert numbers == [*range(len(numbers))]
    assert len(numbers) < 5_000
