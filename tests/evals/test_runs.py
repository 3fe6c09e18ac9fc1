"""Runs: many trials, written as JSON lines, resumed after an interruption, by one process or several."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roadster_evals.runs.results_file import ResultsError, ResultsFile, read_results
from roadster_evals.runs.run import Plan, parse_seeds, run, units_of
from roadster_evals.scenario_files.held_out import world_seed
from roadster_evals.usage import UsageError
from tests.conftest import PROJECT
from tests.servers import PATIENCE

PLAN = Plan(scenarios=("dealers_doc_fee", "payments_lease"), agent="reference", seeds=(1, 2), trials=2)


def run_into(path: Path, plan: Plan = PLAN, stop_after: int | None = None) -> bytes:
    """Runs the plan. Raises KeyboardInterrupt after so many trials."""

    def progress(done: int, _total: int) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    with ResultsFile(path, plan.header()) as results:
        run(plan, results, progress=progress)
    return path.read_bytes()


def test_each_trial_is_a_line_after_the_header(tmp_path: Path) -> None:
    run_into(tmp_path / "results.jsonl")
    header, lines = read_results(tmp_path / "results.jsonl")
    assert (header["format"], header["agent"], header["seeds"], header["trials"]) == (
        "roadster-evals/1",
        "reference",
        [1, 2],
        2,
    )
    identities = [(line["scenario"], line["seed"], line["trial"]) for line in lines]
    assert identities == [(name, seed, trial) for name in PLAN.scenarios for seed in (1, 2) for trial in (1, 2)]
    assert all(line["solved"] and line["success"] and line["compliant"] for line in lines)
    assert {line["seconds"] for line in lines} == {None}


@pytest.mark.parametrize("torn", ["", '{"scenario": "payments_lea'])
def test_an_interrupted_run_goes_on_where_it_was(torn: str, tmp_path: Path) -> None:
    """A line that was being written is written again, and the complete file does not show the interruption."""
    whole = run_into(tmp_path / "whole.jsonl")
    path = tmp_path / "results.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_into(path, stop_after=3)
    assert len(read_results(path)[1]) == 3
    with path.open("a") as file:
        file.write(torn)
    assert run_into(path) == whole


def test_a_complete_file_is_not_run_again(tmp_path: Path) -> None:
    whole = run_into(tmp_path / "results.jsonl")
    assert run_into(tmp_path / "results.jsonl", stop_after=1) == whole


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"trials": 3}, "it differs in trials"), ({"secret": "s"}, "held_out"), ({"agent": "idle"}, "agent")],
)
def test_the_file_of_another_run_is_refused(change: dict[str, Any], problem: str, tmp_path: Path) -> None:
    run_into(tmp_path / "results.jsonl")
    before = (tmp_path / "results.jsonl").read_bytes()
    with pytest.raises(ResultsError, match=problem):
        run_into(tmp_path / "results.jsonl", Plan(**{**vars(PLAN), **change}))
    assert (tmp_path / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize("content", ["hello\n", '{"format": "other"}\n', "\n"])
def test_a_file_that_has_no_results_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(ResultsError):
        run_into(path)
    assert path.read_text() == content


def test_a_secret_makes_other_worlds_that_the_results_do_not_name(tmp_path: Path) -> None:
    plan = Plan(**{**vars(PLAN), "secret": "nobody knows", "transcripts": True})
    public = run_into(tmp_path / "public.jsonl", Plan(**{**vars(PLAN), "transcripts": True})).decode()
    secret = run_into(tmp_path / "secret.jsonl", plan).decode()
    vins = [set(re.findall(r"\b[A-HJ-NPR-Z0-9]{17}\b", text)) for text in (public, secret)]
    assert vins[0]
    assert vins[1]
    assert not vins[0] & vins[1]
    assert "nobody knows" not in secret
    assert str(world_seed(1, "nobody knows")) not in secret
    assert world_seed(1, "nobody knows") != world_seed(1, "somebody knows")
    assert {line["seed"] for line in read_results(tmp_path / "secret.jsonl")[1]} == {1, 2}


@pytest.mark.parametrize(("text", "seeds"), [("7", (7,)), ("1-3", (1, 2, 3)), ("5,1-2", (1, 2, 5))])
def test_seeds_are_numbers_and_ranges(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "3-1", "1..3"])
def test_odd_seeds_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="seed"):
        parse_seeds(text)


def test_trials_of_one_world_follow_each_other() -> None:
    assert [unit.seed for unit in units_of(PLAN)] == [1] * 4 + [2] * 4


@pytest.mark.processes
def test_a_run_that_is_killed_gives_the_same_file(tmp_path: Path) -> None:
    """It is killed with -9 after a few lines, with two workers, which end with it."""
    command = [sys.executable, "-m", "roadster_evals", "--agent", "reference", "--only", "dealers_", "--seeds", "1-8"]

    def start(path: Path, workers: int) -> subprocess.Popen[bytes]:
        options = ["--results", str(path), "--workers", str(workers)]
        return subprocess.Popen([*command, *options], cwd=PROJECT, stdout=subprocess.DEVNULL)

    whole, path = tmp_path / "whole.jsonl", tmp_path / "results.jsonl"
    assert start(whole, 1).wait(PATIENCE) == 0
    process = start(path, 2)
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") > 3):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    torn = len(path.read_bytes())
    assert 0 < torn < len(whole.read_bytes())
    assert start(path, 2).wait(PATIENCE) == 0
    assert path.read_bytes() == whole.read_bytes()
    assert json.loads(path.read_text().splitlines()[0])["canary"]
