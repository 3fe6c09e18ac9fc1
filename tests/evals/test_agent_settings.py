"""The settings that an agent of yours says: they stand in the results file, and tell two runs apart."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click.testing
import pytest
from typer.testing import CliRunner

from roadster_evals.__main__ import app

MODULE = """
import sys

NOT_SAID = object()
VALUE = {"model": "m-1", "endpoint": "http://127.0.0.1/v1"}
CALLS = []


async def answer(message, client):
    return "I do not know."


class Agent:
    async def __call__(self, message, client):
        return "I do not know."

    @staticmethod
    def settings():
        CALLS.append(1)
        return VALUE() if callable(VALUE) else VALUE


class Plain:
    async def __call__(self, message, client):
        return "I do not know."


class Method:
    async def __call__(self, message, client):
        return "I do not know."

    def settings(self):
        return VALUE


def settings():
    return {"model": "of the module"}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns a module with agents whose settings a test can choose."""
    (tmp_path / "agents_with_settings.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "agents_with_settings", raising=False)
    return import_module("agents_with_settings")


def run(agent: str, *arguments: str | Path) -> click.testing.Result:
    name = f"agents_with_settings:{agent}"
    options = ("--agent", name, "--only", "dealers_doc_fee", "--workers", "1", *map(str, arguments))
    return CliRunner().invoke(app, options)


def header_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text().splitlines()[0]))


@pytest.mark.parametrize(
    ("agent", "settings"),
    [
        ("Agent", {"model": "m-1", "endpoint": "http://127.0.0.1/v1"}),
        ("answer", {"model": "of the module"}),
        ("Plain", None),
    ],
)
def test_settings_of_an_agent_stand_in_the_header(
    agent: str, settings: dict[str, str] | None, module: Any, tmp_path: Path
) -> None:
    """A function's are those of its module. They are asked for once, and not for each trial."""
    path = tmp_path / "results.jsonl"
    assert run(agent, "--results", path, "--trials", "3").exit_code == 1
    assert header_of(path)["settings"] == settings
    assert len(module.CALLS) == (agent == "Agent")


def test_another_setting_is_another_run(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    run("Agent", "--results", path)
    before = path.read_bytes()
    module.VALUE = {"model": "m-2", "temperature": 0.5}
    result = run("Agent", "--results", path)
    assert (result.exit_code, result.stdout) == (2, "")
    for words in (
        f"{path}: has the results of another run",
        'the setting model ("m-1" there, "m-2" here)',
        'the setting endpoint ("http://127.0.0.1/v1" there, not said here)',
        "the setting temperature (not said there, 0.5 here)",
    ):
        assert words in result.stderr
    assert path.read_bytes() == before
    module.VALUE = {"endpoint": "http://127.0.0.1/v1", "model": "m-1"}
    assert run("Agent", "--results", path).exit_code == 1
    assert path.read_bytes() == before


def test_reports_and_comparisons_show_the_settings(module: Any, tmp_path: Path) -> None:
    first, second, page = tmp_path / "first", tmp_path / "second", tmp_path / "report.html"
    run("Agent", "--results", first)
    module.VALUE = {"model": "m-2\x1b[31m"}
    run("Agent", "--results", second)
    text = CliRunner().invoke(app, ["report", str(first), "--out", str(page)]).stdout
    for content in (text, page.read_text()):
        assert "settings: endpoint http://127.0.0.1/v1, model m-1" in content
    text = CliRunner().invoke(app, ["compare", str(first), str(second)]).stdout
    name = f"{module.__name__}:Agent"
    settings = "settings: endpoint http://127.0.0.1/v1, model m-1"
    assert text.startswith(f"1: {first}, agent {name}, {settings}\n2: {second}, agent {name}, ")
    assert "settings: model m-2 [31m\n\n" in text


def fail() -> None:
    raise RuntimeError("no such thing")


def leave() -> None:
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["model"], "must return a dict, not list"),
        (None, "must return a dict, not NoneType"),
        ({"options": {"temperature": 0}}, "by name, and 'options' is none"),
        ({1: "m"}, "by name, and 1 is none"),
        ({"model": b"m"}, "by name, and 'model' is none"),
        ({"temperature": float("nan")}, "returned what no JSON file can hold"),
        ({"number": 10**5000}, "returned what no JSON file can hold"),
        ({"model": "\ud800"}, "returned what no JSON file can hold"),
        ({"model": "m" * 5000}, "has 5,013 bytes as JSON; 4,000 are the most"),
        (fail, "failed: RuntimeError: no such thing"),
        (leave, "failed: SystemExit: 0"),
    ],
)
def test_odd_settings_are_refused_before_the_run(value: Any, text: str, module: Any, tmp_path: Path) -> None:
    module.VALUE = value
    path = tmp_path / "results.jsonl"
    result = run("Agent", "--results", path)
    assert (result.exit_code, result.stdout, path.exists()) == (2, "", False), result.exception
    assert "agents_with_settings:Agent: its settings() " in result.stderr
    assert text in result.stderr


def test_settings_that_want_an_instance_are_refused(module: Any) -> None:
    """They are asked for before there is one."""
    assert "its settings() failed: TypeError: " in run("Method").stderr
