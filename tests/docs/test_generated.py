"""What follows from the code stands in the documents as it follows."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT


def test_nothing_is_stale() -> None:
    """`make generate` writes it anew."""
    done = subprocess.run(
        [sys.executable, PROJECT / "packaging" / "generate_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
