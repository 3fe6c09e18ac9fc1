"""The pytest plugin as a stranger uses it: in a package of its own, in a process of its own."""

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
from tests.servers import PATIENCE

STRANGER = PROJECT / "tests" / "stranger"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_a_strangers_package_needs_only_the_plugin(tmp_path: Path) -> None:
    """Synchronous and asynchronous tests, each with a world of its own. Warnings are errors there too."""
    folder = Path(shutil.copytree(STRANGER, tmp_path / "stranger"))
    end = run_pytest(folder)
    assert end.returncode == 0, end.stdout + end.stderr
    assert "10 passed" in end.stdout


def test_the_plugin_describes_its_fixtures(tmp_path: Path) -> None:
    end = run_pytest(tmp_path, "-p", "roadster_sandbox.pytest_plugin", "--fixtures")
    names = ("world", "caller", "settings", "connect", "client", "send_event")
    for fixture in (f"roadster_{name}" for name in names):
        assert f"\n{fixture} -- " in end.stdout


def test_the_plugin_changes_nothing_unless_it_is_loaded(tmp_path: Path) -> None:
    """Installing the project changes nobody's tests."""
    assert "roadster_world" not in run_pytest(tmp_path, "--fixtures").stdout


@pytest.mark.parametrize(
    "order",
    [
        {"operation": "no_such", "fault": "status"},
        {"operation": "get_dealer", "fault": "no_such"},
        {"operation": "get_dealer", "fault": "status", "times": 0},
    ],
)
def test_an_impossible_fault_is_an_error(order: dict[str, Any]) -> None:
    """A misspelt one would let a test pass in which nothing fails."""
    with pytest.raises(ValueError, match=r"unknown|greater"):
        EmbeddedSandbox().fault(**order)


def test_changing_a_copy_of_the_state_does_not_change_the_world() -> None:
    world = EmbeddedSandbox()
    world.state()["customers"].append("somebody")
    assert world.state()["customers"] == []


def test_the_document_shows_the_strangers_test() -> None:
    blocks = (PROJECT / "docs" / "develop" / "pytest.md").read_text().split("```python\n")[1:]
    tests = [block.partition("```")[0] for block in blocks if "def test_" in block]
    assert [test in (STRANGER / "test_salesbot.py").read_text() for test in tests] == [True, True]


def test_the_documents_tests_run_as_they_are(tmp_path: Path) -> None:
    plugin, *tests = (PROJECT / "docs" / "develop" / "pytest.md").read_text().split("```python\n")[1:]
    (tmp_path / "conftest.py").write_text(plugin.partition("```")[0])
    (tmp_path / "test_own.py").write_text("\n\n".join(block.partition("```")[0] for block in tests))
    end = run_pytest(tmp_path)
    assert end.returncode == 0, end.stdout + end.stderr
    assert "2 passed" in end.stdout
