"""The report of an evaluation in Chromium: nothing is loaded, nothing is logged, and it can be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.servers import PATIENCE

from .conftest import SCHEMES, WIDTHS, OpenPage, scrolls_sideways, serious_findings


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the report of real runs: solved and unsolved trials, and attacks that were obeyed.

    They run in other processes, because Playwright has an event loop in this thread.
    """
    folder = tmp_path_factory.mktemp("report")
    results, page = folder / "results.jsonl", folder / "report.html"
    for arguments in (
        ("--only", "planted", "--trials", "2", "--results", str(results)),
        ("report", str(results), "--out", str(page)),
    ):
        command = [sys.executable, "-m", "roadster_evals", *arguments]
        process = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert process.returncode == 0, process.stderr
    return page


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_report_loads_nothing_and_can_be_read(width: int, scheme: str, report: Path, open_page: OpenPage) -> None:
    with open_page(width, scheme) as page:
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(report.as_uri())
        assert addresses == [report.as_uri()]
        assert page.locator("svg").first.is_visible()
        assert page.get_by_text("obedient").first.is_visible()
        assert serious_findings(page) == []
        assert not scrolls_sideways(page)
