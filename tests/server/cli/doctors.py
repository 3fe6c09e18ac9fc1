"""Runs of `doctor` on a configuration that a test can change."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.command_line import run_cli
from tests.server.transports.test_http import SECRETS


def doctor(config: Path, **secrets: str) -> subprocess.CompletedProcess[str]:
    end = run_cli("doctor", "--config", str(config), **{**SECRETS, **secrets})
    assert "Traceback" not in end.stderr
    for secret in {**SECRETS, **secrets}.values():
        assert secret not in end.stdout + end.stderr
    return end


def problems(end: subprocess.CompletedProcess[str]) -> list[str]:
    lines = end.stdout.splitlines()
    assert all(line.startswith(("ok       ", "warning  ", "problem  ")) for line in lines)
    return [line.removeprefix("problem  ") for line in lines if line.startswith("problem  ")]


def edit(config: Path, old: str, new: str) -> Path:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    return config
