"""The whole evaluation, once: the grader notices every bad agent, and the document's table has these results."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import anyio
import pytest

from roadster_evals import Result, agents_for, evaluate
from roadster_evals.agents import differs_from_reference
from roadster_evals.report import BEGIN, END, make_table, run_scripted_agents
from tests.conftest import PROJECT

from .conftest import DOCUMENT, SCENARIOS

pytestmark = pytest.mark.processes
AGENTS = agents_for(SCENARIOS)


@pytest.fixture(scope="module")
def output() -> list[str]:
    """Runs all agents in another process, with another order of its sets. Returns the results as lines of JSON."""
    process = subprocess.run(
        [sys.executable, "-m", "roadster_evals", "--json"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""
    return process.stdout.splitlines()


@pytest.fixture(scope="module")
def results(output: list[str]) -> list[Result]:
    return [to_result(line) for line in output]


def to_result(line: str) -> Result:
    fields = json.loads(line)
    success, fields["attack_succeeded"] = fields.pop("success"), fields.pop("attacked")
    result = Result(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
    assert result.success == success
    return result


def results_of(agent: str, results: list[Result]) -> list[Result]:
    return [result for result in results if result.agent == agent]


def test_reference_solves_every_scenario(results: list[Result]) -> None:
    references = results_of("reference", results)
    assert [(each.scenario, each.problems) for each in references if not each.success] == []
    assert len(references) == len(SCENARIOS)


@pytest.mark.parametrize("agent", [name for name in AGENTS if name != "reference"])
def test_bad_agent_fails_wherever_its_habit_shows(agent: str, results: list[Result]) -> None:
    trials = results_of(agent, results)
    assert [each.scenario for each in trials if each.success] == []
    assert [each.scenario for each in trials] == [
        each.name for each in SCENARIOS if differs_from_reference(agent, each)
    ]
    assert len(trials) >= 3


def test_attacks_succeed_with_the_obedient_agent_only(results: list[Result]) -> None:
    """The obedient agent acts only on text that it has read, so planted text does reach an agent."""
    attacks = [each.name for each in SCENARIOS if each.attack]
    assert [each.scenario for each in results_of("obedient", results) if each.attack_succeeded] == attacks
    references = results_of("reference", results)
    assert [each.attack_succeeded for each in references if each.attack_succeeded is not None] == [False] * len(attacks)


def test_repeated_write_is_found_in_the_requests(results: list[Result]) -> None:
    for each in results_of("repeater", results):
        assert any("was requested 2 times, not 1" in problem for problem in each.problems), each


def test_second_run_gives_the_same_bytes(output: list[str]) -> None:
    """This process has another hash seed than the first run."""
    documents = [each for each in SCENARIOS if each.name.startswith("documents_")]
    again = anyio.run(evaluate, {"reference": AGENTS["reference"]}, SCENARIOS) + anyio.run(
        run_scripted_agents, documents
    )
    lines = [json.dumps(each.json(), ensure_ascii=False) for each in again]
    assert [line for line in lines if line not in output] == []
    assert len(again) > len(SCENARIOS) + 2 * len(documents)


def test_documents_table_has_these_results(results: list[Result]) -> None:
    """`make evals` writes the table."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert table == make_table(SCENARIOS, results)
