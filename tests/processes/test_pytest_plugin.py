"""The pytest plugin, as a stranger uses it: a package of its own, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roadster_sandbox import EmbeddedSandbox
from tests.conftest import PROJECT

STRANGER = PROJECT / "tests" / "stranger"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_a_strangers_package_tests_its_assistant_with_the_plugin_alone(tmp_path: Path) -> None:
    """Synchronous and asynchronous tests, each with a world of its own; warnings are errors there too."""
    folder = Path(shutil.copytree(STRANGER, tmp_path / "stranger"))
    run = run_pytest(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "7 passed" in run.stdout


def test_the_plugin_says_what_its_fixtures_are_for(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "-p", "roadster_sandbox.pytest_plugin", "--fixtures")
    for fixture in ("roadster_world", "roadster_caller", "roadster_settings", "roadster_connect", "roadster_client"):
        assert f"\n{fixture} -- " in run.stdout


def test_nothing_is_there_without_it(tmp_path: Path) -> None:
    """The plugin is asked for; installing the project changes nobody's tests."""
    assert "roadster_world" not in run_pytest(tmp_path, "--fixtures").stdout


@pytest.mark.parametrize(
    "order",
    [
        {"operation": "no_such", "fault": "status"},
        {"operation": "get_dealer", "fault": "no_such"},
        {"operation": "get_dealer", "fault": "status", "times": 0},
    ],
)
def test_a_fault_that_there_is_not_is_an_error(order: dict[str, Any]) -> None:
    """A misspelt one would make a test of what happens when nothing does."""
    with pytest.raises(ValueError, match=r"unknown|greater"):
        EmbeddedSandbox().fault(**order)


def test_what_was_looked_at_does_not_change_the_world() -> None:
    world = EmbeddedSandbox()
    world.state()["customers"].append("somebody")
    assert world.state()["customers"] == []


def test_the_test_in_the_document_is_the_strangers() -> None:
    blocks = (PROJECT / "docs" / "develop" / "pytest.md").read_text().split("```python\n")[1:]
    shown = [block.partition("```")[0] for block in blocks if "def test_" in block]
    assert [test in (STRANGER / "test_salesbot.py").read_text() for test in shown] == [True]
