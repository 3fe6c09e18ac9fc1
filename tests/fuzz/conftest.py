"""What every test of this folder watches: errors in the log, and memory that grows with each input."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, settings

from .served import served

INPUTS = int(os.environ.get("ROADSTER_FUZZ_INPUTS", "200"))
"""Inputs of each test. `make fuzz` sets 20,000."""
_ROUND = 1_000
"""Inputs of one run of Hypothesis. It remembers all of them, and takes longer for each the more it remembers."""
_ENOUGH_TO_MEASURE = 5_000
"""Below, caches that fill up grow more than a leak would."""
_MOST_GROWTH = 1.1

fuzzing = settings(
    max_examples=min(INPUTS, _ROUND),
    # The suite tries the same inputs each time: a failure now and then would be taken for a flaky test.
    derandomize=INPUTS <= _ROUND,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("fuzz")
            item.add_marker(pytest.mark.timeout(0 if INPUTS > _ROUND else 300))


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

    def after_input(self) -> None:
        assert self._errors.records == []
        self._count += 1

    def run(self, fuzz: Callable[[], None]) -> None:
        """Tries all inputs. `fuzz` tries those of one round."""
        self._try(fuzz, INPUTS // 2)
        at_half = _peak()
        self._try(fuzz, INPUTS)
        at_end = _peak()
        if INPUTS >= _ENOUGH_TO_MEASURE:
            print(f"{self._count} inputs, peak {at_half:,} after half of them, {at_end:,} at the end")  # noqa: T201
            assert at_end <= at_half * _MOST_GROWTH

    def _try(self, fuzz: Callable[[], None], count: int) -> None:
        while self._count < count:
            before = self._count
            fuzz()
            assert self._count >= before + fuzzing.max_examples, "inputs were left out"


def _peak() -> int:
    """Returns the most memory that this process has had, in the unit of the system: KiB, on a Mac bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def watch() -> Iterator[Watch]:
    errors = _ErrorLog()
    logging.getLogger().addHandler(errors)
    try:
        yield Watch(errors)
    finally:
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
