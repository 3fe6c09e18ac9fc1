"""What every test of this folder watches: errors in the log, and memory that grows with each input."""

from __future__ import annotations

import gc
import logging
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, settings

from .served import served

INPUTS = int(os.environ.get("ROADSTER_FUZZ_INPUTS", "200"))
"""Inputs of each test. `make fuzz` sets 20,000."""
_ENOUGH_TO_MEASURE = 5_000
"""Below, caches that fill up grow more than a leak would."""
_MOST_GROWTH = 1.1
_SPARE = 256 * 1024
"""Bytes of growth that a test with hardly any memory may have."""

fuzzing = settings(
    max_examples=INPUTS,
    # The suite tries the same inputs each time: a failure now and then would be taken for a flaky test.
    derandomize=INPUTS < _ENOUGH_TO_MEASURE,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("fuzz")
            item.add_marker(pytest.mark.timeout(0 if INPUTS >= _ENOUGH_TO_MEASURE else 300))


class _ErrorLog(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(f"{record.name}: {record.getMessage()} {record.__dict__.get('at', '')} {record.exc_text}")


class Watch:
    """Fails if the log has an error after an input, and if the second half of all inputs needs more memory."""

    def __init__(self, errors: _ErrorLog) -> None:
        self._errors = errors
        self._count = 0
        self._at_half = 0

    def after_input(self) -> None:
        assert self._errors.records == []
        self._count += 1
        if INPUTS >= _ENOUGH_TO_MEASURE and self._count == INPUTS // 2:
            self._at_half = _traced_bytes()

    def end(self) -> None:
        if self._at_half:
            at_end = _traced_bytes()
            print(f"{self._count} inputs, {self._at_half:,} bytes after half of them, {at_end:,} at the end")  # noqa: T201
            assert at_end <= self._at_half * _MOST_GROWTH + _SPARE


def _traced_bytes() -> int:
    """Returns the memory of everything except the tests and Hypothesis, which remembers all inputs."""
    gc.collect()
    others = (
        "*/hypothesis/*",
        "*/sortedcontainers/*",
        "*/_pytest/*",
        "*/tests/*",
        "*/roadster_sandbox/*",
        "<*",
        "*/random.py",
    )
    snapshot = tracemalloc.take_snapshot()
    filters = [tracemalloc.Filter(inclusive=False, filename_pattern=pattern) for pattern in others]
    return sum(statistic.size for statistic in snapshot.filter_traces(filters).statistics("filename"))


@pytest.fixture
def watch() -> Iterator[Watch]:
    errors = _ErrorLog()
    logging.getLogger().addHandler(errors)
    if INPUTS >= _ENOUGH_TO_MEASURE:
        tracemalloc.start()
    watch = Watch(errors)
    try:
        yield watch
        watch.end()
    finally:
        tracemalloc.stop()
        logging.getLogger().removeHandler(errors)


@pytest.fixture
def client(portal: BlockingPortal, store_url: str) -> Iterator[httpx2.AsyncClient]:
    with portal.wrap_async_context_manager(served(store_url)) as client:
        yield client


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    """A loop that outlives the single input."""
    with start_blocking_portal() as portal:
        yield portal
