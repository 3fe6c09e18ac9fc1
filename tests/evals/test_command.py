"""`python -m roadster_evals`. tests/docs runs the example of its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from roadster_evals.__main__ import app
from tests.conftest import PROJECT

from .conftest import FOLDER


@pytest.fixture(autouse=True)
def example_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in the project, with the modules of examples/evals on the path."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.syspath_prepend(FOLDER)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_command_exits_with_1_if_the_agent_fails() -> None:
    result = invoke("--agent", "own_agent:agent", "--only", "payments_finance", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["success"] is False


def test_command_exits_with_2_after_a_mistake(tmp_path: Path) -> None:
    for arguments, text in (
        (("--agent", "own_agent:nobody"), "MODULE:NAME"),
        (("--scenarios", str(tmp_path)), "no scenario"),
        (("--only", "payment_leese"), "payments_lease"),
        (("--everything",), "No such option"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert text in result.stderr
        assert result.stdout == ""


def test_command_writes_the_table_between_the_markers(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("Before\n<!-- table -->\nold\n<!-- /table -->\nAfter\n")
    result = invoke("--only", "payments_lease", "--write", str(document))
    assert (result.exit_code, result.stdout) == (0, "")
    before, table = document.read_text().split("<!-- table -->\n")
    assert before == "Before\n"
    assert table == invoke("--only", "payments_lease").stdout + "<!-- /table -->\nAfter\n"
    assert "| `payments_lease` | payments | 1 |" in table


def test_help_names_the_options_and_exit_codes() -> None:
    text = invoke("--help").stdout
    for option in ("--scenarios", "--only", "--agent", "--json", "--write", "Exit codes: 0 done, 1", "2 a mistake"):
        assert option in text
