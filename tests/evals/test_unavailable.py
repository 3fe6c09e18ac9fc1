"""Trials in which the agent is unavailable: they count nowhere, and the run tries them again when it goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import click.testing
import pytest
from mcp import Client
from typer.testing import CliRunner

from roadster_evals import Result, Unavailable
from roadster_evals.__main__ import app
from roadster_evals.agents.scripted import maker_of
from roadster_evals.runs.run import MOST_UNAVAILABLE, Plan, run
from roadster_evals.runs.trial import Workspace, attempt

from .conftest import Try, scenario_named

ONE = "dealers_doc_fee"


async def raises(_message: str, _client: Client) -> str:
    raise Unavailable("the endpoint is down")


async def raises_in_a_group(_message: str, _client: Client) -> str:
    raise ExceptionGroup("several", [ValueError("odd"), ExceptionGroup("inner", [Unavailable("the endpoint is down")])])


class RaisesAtFirst:
    def __init__(self) -> None:
        raise Unavailable("the endpoint is down")

    async def __call__(self, _message: str, _client: Client) -> str:
        return ""


@pytest.mark.parametrize("agent", [raises, raises_in_a_group, RaisesAtFirst])
def test_a_trial_without_its_agent_is_void(agent: Any, try_agent: Try) -> None:
    result = try_agent(agent, ONE)
    assert (result.is_unavailable, result.solved, result.voided) == (
        True,
        False,
        ("unavailable: the endpoint is down",),
    )
    assert not any("the agent failed" in problem for problem in result.problems)
    line = result.json()
    assert line["is_unavailable"]
    assert Result.from_json(line).is_unavailable


def test_a_deed_before_counts_all_the_same(try_agent: Try) -> None:
    """Otherwise an agent could take back what it must not do."""

    async def agent(_message: str, client: Client) -> str:
        await client.call_tool("get_dealer", {"dealer": "toyotademo"})
        raise Unavailable("the endpoint is down")

    result = try_agent(agent, ONE)
    assert (result.is_unavailable, result.voided, result.compliant) == (False, (), False)
    assert result.problems[0] == "the agent failed: the endpoint is down, after a deed that must not be"


def test_a_person_can_be_unavailable_too(workspace: Workspace) -> None:
    async def person(_brief: str, _messages: Sequence[Any]) -> str:
        raise Unavailable("the model of the person is down")

    async def answer(_message: str, _client: Client) -> str:
        return "Which car is it?"

    async def trial() -> Result:
        return await attempt(workspace, "mine", maker_of(answer), scenario_named("talk_wrong_vin"), person=person)

    result = anyio.run(trial)
    assert (result.is_unavailable, result.voided) == (True, ("unavailable: the model of the person is down",))


MODULE = '''
from roadster_evals import Unavailable

DOWN = set()
"""Numbers of trials of this module in which the endpoint is down."""
NUMBERS = []


async def answer(message, client):
    NUMBERS.append(1)
    if len(NUMBERS) in DOWN:
        raise Unavailable(f"the endpoint takes no key")
    return "I do not know."


async def always_down(message, client):
    raise Unavailable("the endpoint takes no key")


class Lacking:
    @staticmethod
    def settings():
        raise Unavailable("set MODEL")
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns a module with agents that a test can make unavailable."""
    (tmp_path / "unavailable_agents.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "unavailable_agents", raising=False)
    return import_module("unavailable_agents")


def evaluate(agent: str, *arguments: str | Path) -> click.testing.Result:
    options = ("--agent", f"unavailable_agents:{agent}", "--only", ONE, "--workers", "1", *map(str, arguments))
    return CliRunner().invoke(app, options)


def results_in(path: Path) -> list[dict[str, Any]]:
    """Returns the header and the lines, without what another run does in another time."""
    return [{**json.loads(text), "seconds": None} for text in path.read_text().splitlines()]


def test_a_run_tries_the_trials_again_when_it_goes_on(module: Any, tmp_path: Path) -> None:
    """The complete file does not show that the agent was unavailable."""
    whole, path = tmp_path / "whole", tmp_path / "results.jsonl"
    evaluate("answer", "--trials", "4", "--results", whole)
    module.NUMBERS.clear()
    module.DOWN.update((2, 4))
    first = evaluate("answer", "--trials", "4", "--results", path)
    assert first.exit_code == 1
    assert "The agent was unavailable in 2 of 4 trials, which count nowhere." in first.stderr
    assert "reason is the endpoint takes no key\nThe same command goes on when that is mended" in first.stderr
    assert "trial 2: void: unavailable: the endpoint takes no key\n" in first.stdout
    report = CliRunner().invoke(app, ["report", str(path)]).stdout
    assert report.startswith("the agent was unavailable in 2 trials; the command that wrote the file tries them again")
    assert "4 trials of 1 scenario, 0 voided, 0 broken, 2 unavailable" in report
    before = path.read_bytes()
    module.DOWN.update((5,))
    second = evaluate("answer", "--trials", "4", "--results", path)
    assert "The agent was unavailable in 1 of 4 trials" in second.stderr
    assert path.read_bytes() != before
    third = evaluate("answer", "--trials", "4", "--results", path)
    assert (third.exit_code, third.stderr) == (1, "")
    assert len(module.NUMBERS) == 4 + 2 + 1
    assert results_in(path) == results_in(whole)


def test_a_run_stops_after_many_in_a_row(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    module.DOWN.update((1, *range(3, 3 + MOST_UNAVAILABLE)))
    options = ("answer", "--trials", "50", "--results", path)
    result = evaluate(*options)
    assert result.exit_code == 1
    assert f"in {MOST_UNAVAILABLE + 1} of {MOST_UNAVAILABLE + 2} trials, which count nowhere" in result.stderr
    assert f"The run has stopped, because it was so in {MOST_UNAVAILABLE} in a row. 38 are left." in result.stderr
    assert len(module.NUMBERS) == MOST_UNAVAILABLE + 2
    assert "12 of 50 trials, the run is incomplete" in CliRunner().invoke(app, ["report", str(path)]).stdout
    evaluate(*options)
    assert len(results_in(path)) == 51
    assert not any(line.get("is_unavailable") for line in results_in(path))
    assert len(module.NUMBERS) == 50 + MOST_UNAVAILABLE + 1


@pytest.mark.usefixtures("module")
def test_several_workers_stop_as_well(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    result = evaluate("always_down", "--trials", "400", "--results", path, "--workers", "2")
    assert result.exit_code == 1
    assert "The run has stopped, because it was so in 10 in a row. 390 are left." in result.stderr
    assert len(results_in(path)) == 1 + MOST_UNAVAILABLE


@pytest.mark.usefixtures("module")
def test_a_run_without_a_file_says_how_to_keep_its_results() -> None:
    result = evaluate("always_down", "--json")
    assert (result.exit_code, json.loads(result.stdout)["is_unavailable"]) == (1, True)
    assert "With --results FILE, the same command goes on when that is mended" in result.stderr


@pytest.mark.usefixtures("module")
def test_settings_that_lack_something_say_so(tmp_path: Path) -> None:
    result = evaluate("Lacking", "--results", tmp_path / "results.jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "unavailable_agents:Lacking: set MODEL\n"


def test_only_an_unavailable_line_may_stand_again(module: Any, tmp_path: Path) -> None:
    """A killed run leaves such a file. The later line counts."""
    path = tmp_path / "results.jsonl"
    module.DOWN.update((1,))
    evaluate("answer", "--results", path)
    lost = path.read_text().splitlines()[1]
    evaluate("answer", "--results", path)
    header, good = path.read_text().splitlines()
    path.write_text(f"{header}\n{lost}\n{lost}\n{good}\n")
    assert "1 trial of 1 scenario, 0 voided, 0 broken\n" in CliRunner().invoke(app, ["report", str(path)]).stdout
    for order in ((lost, good, good), (good, lost)):
        path.write_text("".join(f"{line}\n" for line in (header, *order)))
        result = CliRunner().invoke(app, ["report", str(path)])
        assert result.exit_code == 2
        assert "again: dealers_doc_fee, seed 7, trial 1; delete one of the two lines" in result.stderr


@pytest.mark.usefixtures("module")
def test_an_attacker_does_not_try_an_agent_that_is_away() -> None:
    plan = Plan(
        scenarios=("attack_option",), agent="unavailable_agents:always_down", attacker="adaptive", tries=8, goals=()
    )
    [line] = run(plan)
    assert line["is_unavailable"]
    assert "tries" not in line["attack"]
