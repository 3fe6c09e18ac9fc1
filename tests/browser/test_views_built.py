"""The views' documents in the server's package are what their sources give."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import PROJECT
from tests.servers import PATIENCE

from .view_hosts import FOLDER, needs_node_modules

VIEWS = PROJECT / "views"


def test_documents_are_up_to_date_and_their_sources_have_sound_types() -> None:
    needs_node_modules(VIEWS)
    process = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=VIEWS, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (process.returncode, process.stdout + process.stderr) == (0, "")


def test_no_source_makes_markup_of_text() -> None:
    sources = "".join(path.read_text() for path in (VIEWS / "src").glob("*.ts"))
    assert "node.append(" in sources
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("):
        assert way not in sources


def test_no_source_has_a_form() -> None:
    """A sandbox without allow-forms swallows it."""
    for path in (VIEWS / "src").glob("*.ts"):
        assert '"form"' not in path.read_text()


@pytest.mark.parametrize("folder", [VIEWS, FOLDER], ids=["views", "hosts"])
def test_lock_names_no_host(folder: object) -> None:
    lock = json.loads((PROJECT / str(folder) / "package-lock.json").read_text())
    assert len(lock["packages"]) > 10
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
