"""Fixtures of the tests that need real processes."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest

from .deployment import deployment

__all__ = ["deployment"]


@pytest.fixture(autouse=True)
def collect_abandoned_connections() -> Iterator[None]:
    """Collects what a test's clients leave open, before a later test pays for it with a warning that is an error.

    The SDK's clients leave streams and sockets to the garbage collector where their server is killed or stops. The
    servers under test are processes of their own, so this hides nothing of them.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
