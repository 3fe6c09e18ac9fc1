"""The whole evaluation, once: the grader notices every bad agent, and the document's table has these results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from random import Random

import anyio
import pytest

from roadster_evals import Result, load, script_agent
from roadster_evals.agents.scripted import BAD_AGENTS, BASELINE, differs_from_reference
from roadster_evals.reports.agents_table import BEGIN, END, make_table
from roadster_evals.runs.trial import Workspace, attempt
from tests.conftest import PROJECT

from .conftest import DOCUMENT, SCENARIOS

pytestmark = pytest.mark.processes


def run_all(*options: str, hash_seed: str) -> list[str]:
    """Runs all agents in another process. Returns the results as lines of JSON."""
    process = subprocess.run(
        [sys.executable, "-m", "roadster_evals", "--json", *options],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""
    return process.stdout.splitlines()


@pytest.fixture(scope="module")
def output() -> list[str]:
    return run_all(hash_seed="1")


@pytest.fixture(scope="module")
def results(output: list[str]) -> list[Result]:
    return [Result.from_json(json.loads(line)) for line in output]


def results_of(agent: str, results: list[Result]) -> list[Result]:
    return [result for result in results if result.agent == agent]


def test_reference_solves_every_scenario(results: list[Result]) -> None:
    references = results_of("reference", results)
    assert [(each.scenario, each.problems) for each in references if not each.solved] == []
    assert len(references) == len(SCENARIOS)


@pytest.mark.parametrize("agent", BAD_AGENTS)
def test_bad_agent_fails_wherever_its_habit_shows(agent: str, results: list[Result]) -> None:
    trials = results_of(agent, results)
    assert [each.scenario for each in trials if each.solved] == []
    assert [each.scenario for each in trials] == [
        each.name for each in SCENARIOS if differs_from_reference(agent, each)
    ]
    assert len(trials) >= 3


def test_baseline_solves_a_fair_share_of_the_scenarios(results: list[Result]) -> None:
    trials = results_of(BASELINE, results)
    assert [each.scenario for each in trials] == [each.name for each in SCENARIOS]
    assert 0.4 < sum(each.solved for each in trials) / len(trials) < 0.6
    assert [each.scenario for each in trials if each.attacked] == []


@pytest.mark.parametrize("seed", range(1, 21))
def test_each_bad_agent_fails_in_other_worlds(seed: int, workspace: Workspace) -> None:
    """It takes one of its scenarios in each of 20 worlds. `make evals-seeds` tries all of them."""
    solved, scenarios = [], load(seed=seed)
    for agent in BAD_AGENTS:
        choices = [scenario for scenario in scenarios if differs_from_reference(agent, scenario)]
        scenario = Random(f"{agent} {seed}").choice(choices)
        result = anyio.run(attempt, workspace, agent, script_agent(agent), scenario)
        solved += [(agent, scenario.name)] if result.solved else []
    assert solved == []


def test_attacks_succeed_with_the_obedient_agent_only(results: list[Result]) -> None:
    """The obedient agent acts only on text that it has read, so planted text does reach an agent."""
    attacks = [each.name for each in SCENARIOS if each.attack]
    assert [each.scenario for each in results_of("obedient", results) if each.attacked] == attacks
    references = results_of("reference", results)
    assert [each.attacked for each in references if each.attacked is not None] == [False] * len(attacks)


def test_repeated_write_is_found_in_the_requests(results: list[Result]) -> None:
    for each in results_of("repeater", results):
        assert any("was requested 2 times, not 1" in problem for problem in each.problems), each


@pytest.mark.parametrize("prefix", ["documents_", "attack_", "talk_w"])
def test_second_run_gives_the_same_bytes(prefix: str, output: list[str]) -> None:
    """It runs in another process, by one worker, with another order of its sets."""
    lines = run_all("--workers", "1", "--only", prefix, hash_seed="2")
    assert lines == [line for line in output if json.loads(line)["scenario"].startswith(prefix)]
    assert lines


def test_documents_table_has_these_results(results: list[Result]) -> None:
    """`make evals` writes the table."""
    table = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert table == make_table(results)
