"""What follows from the code stands in the documents as it follows."""

from __future__ import annotations

import sys

from tests.conftest import PROJECT

sys.path.insert(0, str(PROJECT / "packaging"))
from generate_docs import stale


def test_nothing_is_stale() -> None:
    """`make generate` writes it anew."""
    assert stale() == []
