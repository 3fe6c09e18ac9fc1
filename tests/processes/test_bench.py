"""All measurements run."""

from __future__ import annotations

import subprocess
import sys

import pytest
from bench import speed
from bench.growth import calls
from bench.tables import PARTS

from tests.conftest import PROJECT


@pytest.mark.skipif(sys.platform != "linux", reason="the measurements read the CPU time of other processes")
def test_every_measurement_fills_its_table() -> None:
    command = [sys.executable, "-m", "bench", "--quick"]
    bench = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert bench.returncode == 0, bench.stderr
    for heading in PARTS:
        assert f"### {heading}" in bench.stdout
    for way in speed.WAYS:
        assert way in bench.stdout
    for server in ("roadster-mcp", "MCPServer", "low-level Server"):
        assert bench.stdout.count(f"| {server} |") == len(speed.WAYS) * len(speed.TOOLS)
    for size in (*calls.DEALERS[:2], *calls.CALLERS[:2]):
        assert f"{size:,}" in bench.stdout
