"""The official conformance suite of MCP, against a server in a process of its own, once for each era.

The suite judges by itself which failures are expected: it also fails where one of them passes.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.servers import PATIENCE, free_port, serving

FOLDER = Path(__file__).parent / "conformance"
SUITE = FOLDER / "node_modules" / ".bin"
eras = pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    port = free_port()
    command = ("serve", "--sandbox", "--transport", "http", "--port", str(port))
    with serving(*command, url=f"http://127.0.0.1:{port}/readyz"):
        yield f"http://127.0.0.1:{port}/mcp"


@eras
def test_server_fails_only_where_it_is_expected(era: str, server: str, tmp_path: Path) -> None:
    if not (FOLDER / "node_modules" / ".installed").exists() and not os.environ.get("CI"):
        pytest.skip(f"no {(FOLDER / 'node_modules').relative_to(PROJECT)}: make conformance, which needs npm")
    if subprocess.run(["node", "--version"], env=path(), capture_output=True, check=False).returncode:
        pytest.skip("no Node 22 for this machine")
    options = ["--expected-failures", FOLDER / f"expected-{era}.yaml", "--output-dir", tmp_path]
    process = subprocess.run(
        [SUITE / "conformance", "server", "--url", server, "--requirements", era, *options],
        env=path(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "=== SUMMARY ===" in process.stdout, process.stderr
    assert process.returncode == 0, process.stdout.partition("=== SUMMARY ===")[2]


def path() -> dict[str, str]:
    """Returns an environment whose Node is the suite's own, if npm has one for this machine."""
    return {"PATH": os.pathsep.join([str(SUITE), os.environ["PATH"]]), "HOME": os.environ.get("HOME", "/")}


@eras
def test_expected_failure_has_a_reason(era: str) -> None:
    lines = (FOLDER / f"expected-{era}.yaml").read_text().splitlines()
    entries = [line for line in lines if not line.startswith("#")][1:]
    assert entries
    for entry in entries:
        assert re.fullmatch(r"  - \S+ # \S.+", entry), entry
