"""Runs with agents, persons and results files as nobody expects them: the others go on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import anyio
import click.testing
import pytest
from mcp import Client
from typer.testing import CliRunner

from roadster_evals import Result, load
from roadster_evals.__main__ import app
from roadster_evals.agents.scripted import maker_of
from roadster_evals.runs.results_file import ResultsError, ResultsFile
from roadster_evals.runs.run import Plan
from roadster_evals.runs.trial import Workspace, attempt
from tests.conftest import PROJECT

from .conftest import EXAMPLES, scenario_named

ONE = ("--agent", "reference", "--only", "dealers_doc_fee", "--workers", "1")


def invoke(*arguments: str | Path) -> click.testing.Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Returns a file with two results."""
    path = tmp_path / "results.jsonl"
    assert invoke(*ONE, "--trials", "2", "--results", path).exit_code == 0
    return path


async def raises_cancellation(_message: str, _client: Client) -> str:
    raise asyncio.CancelledError


async def raises_group(_message: str, _client: Client) -> str:
    raise BaseExceptionGroup("several", [asyncio.CancelledError()])


async def says_half(_message: str, _client: Client) -> str:
    return "bad \ud800 text"


async def asks_half(_message: str, client: Client) -> str:
    await client.call_tool("get_dealer", {"dealer": "\ud800"})
    return "I do not know."


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


async def raises_unspeakable(_message: str, _client: Client) -> str:
    raise Unspeakable


class Reporter:
    usage: ClassVar[Any] = None

    async def __call__(self, _message: str, _client: Client) -> str:
        return "I do not know."


def reports(value: Any) -> type[Reporter]:
    return type("Reporter", (Reporter,), {"usage": value})


class BrokenReporter(Reporter):
    @property
    def usage(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no count")


class LeavingReporter(Reporter):
    @property
    def usage(self) -> Any:  # type: ignore[override]
        sys.exit("no count")


ODD_AGENTS = {
    "cancellation": (raises_cancellation, "the agent failed: CancelledError: "),
    "group": (raises_group, "the agent failed: BaseExceptionGroup: several"),
    "unspeakable": (raises_unspeakable, "the agent failed: Unspeakable: its text cannot be had (RuntimeError)"),
    "half": (says_half, "the agent failed: its answer is no text"),
    "half_argument": (asks_half, "the answer does not say 85"),
    "usage_none": (reports(None), "the agent failed: its usage is no list"),
    "usage_set": (reports([{"model": "m", "input": {1}, "output": 1}]), "input: expected a whole number"),
    "usage_text": (reports([{"model": "m", "input": "12", "output": None}]), "input: expected a whole number"),
    "usage_names": (reports(["gpt"]), "its usage is odd"),
    "usage_huge": (reports([{"model": "m", "input": 10**400, "output": 1}]), "its usage is odd"),
    "usage_exits": (LeavingReporter, "its usage is no list (SystemExit)"),
    "usage_raises": (BrokenReporter, "its usage is no list (RuntimeError)"),
}


@pytest.mark.parametrize("name", ODD_AGENTS)
def test_an_odd_agent_fails_its_trial_and_no_more(name: str, workspace: Workspace) -> None:
    """Its result can be written, with the talk."""
    agent, problem = ODD_AGENTS[name]
    scenario = scenario_named("dealers_doc_fee")
    result = anyio.run(attempt, workspace, "odd", maker_of(agent), scenario)
    assert any(problem in each for each in result.problems), result.problems
    assert not result.solved
    json.dumps(result.json(transcript=True), ensure_ascii=False).encode()


def test_an_odd_person_voids_the_trial_and_no_more(workspace: Workspace) -> None:
    async def play(_brief: str, _messages: Sequence[Any]) -> str:
        raise asyncio.CancelledError

    async def answer(_message: str, _client: Client) -> str:
        return "Which car is it?"

    async def trial() -> tuple[str, ...]:
        scenario = next(each for each in load() if each.person)
        return (await attempt(workspace, "mine", maker_of(answer), scenario, person=play)).voided

    assert anyio.run(trial) == ("CancelledError: ",)


def test_the_time_of_the_person_is_not_the_agents(workspace: Workspace) -> None:
    """A person who takes longer than an agent may has a fault of their own."""

    async def play(_brief: str, messages: Sequence[Any]) -> str:
        await anyio.sleep(0.6 if len(messages) < 5 else 3600)
        return "I don't know."

    async def answer(_message: str, _client: Client) -> str:
        return "Which car is it?"

    async def trial() -> Result:
        scenario = scenario_named("talk_wrong_vin")
        return await attempt(workspace, "mine", maker_of(answer), scenario, person=play, time_limit=1)

    result = anyio.run(trial)
    assert result.voided == ("said nothing within 1 s",)
    assert not any("no answer within" in problem for problem in result.problems)
    assert result.turns == 3
    assert result.seconds is not None
    assert result.seconds < 1


def test_a_cancellation_from_outside_ends_the_run(workspace: Workspace) -> None:
    """It is no failure of the agent. The same counts for Ctrl-C, which also comes as a cancellation."""

    async def wait(_message: str, _client: Client) -> str:
        started.set()
        await asyncio.sleep(3600)
        return ""

    async def trial() -> bool:
        task = asyncio.ensure_future(attempt(workspace, "mine", maker_of(wait), scenario_named("dealers_doc_fee")))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    started = asyncio.Event()
    assert anyio.run(trial)


def test_an_interrupt_in_the_agent_ends_the_run(workspace: Workspace) -> None:
    async def interrupt(_message: str, _client: Client) -> str:
        raise KeyboardInterrupt

    with pytest.raises(
        (KeyboardInterrupt, BaseExceptionGroup)
    ) as error:  # the client's task group may have put it into a group
        anyio.run(attempt, workspace, "mine", maker_of(interrupt), scenario_named("dealers_doc_fee"))
    assert "KeyboardInterrupt" in repr(error.value)


def change(path: Path, number: int, **fields: Any) -> None:
    lines = read_lines(path)
    lines[number].update(fields)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


ODD_LINES = {
    "empty": ({}, "scenario: is missing"),
    "attack": ({"attack": 5}, "attack: "),
    "turns": ({"turns": "many"}, "turns: "),
    "seed": ({"seed": "a"}, "seed: expected a whole number"),
    "number_as_text": ({"calls": "5"}, "calls: expected a whole number"),
    "problems": ({"problems": "none"}, "problems: "),
    "usage": ({"usage": [{"model": "m", "input": "1", "output": 1}]}, "usage.0.input: expected a whole number"),
    "verdict": ({"solved": False}, "solved is not what its other fields say"),
    "violation": ({"violations": ["wrote"]}, "solved is not what its other fields say"),
    "verdict_of_another_kind": ({"success": 1}, "success is not what its other fields say"),
}


@pytest.mark.parametrize("name", ODD_LINES)
def test_an_odd_line_is_named_with_its_file_and_number(name: str, results: Path) -> None:
    fields, problem = ODD_LINES[name]
    if fields:
        change(results, 2, **fields)
    else:
        results.write_text("".join(results.read_text().splitlines(keepends=True)[:2]) + "{}\n")
    for arguments in (
        ("report", results),
        ("compare", results, results),
        (*ONE, "--trials", "2", "--results", results),
    ):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), result.exception
        assert f"{results}: line 3 is not the result of a trial: " in result.stderr
        assert problem in result.stderr


def test_an_odd_header_is_named(results: Path) -> None:
    change(results, 0, digests=["x"])
    for arguments in (("report", results), ("compare", results, results)):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), result.exception
        assert "line 1 is not the header of a results file: digests: " in result.stderr


def test_a_trial_that_stands_twice_is_refused(results: Path) -> None:
    """Two runs of an older version, which wrote one file at once, left such files."""
    text = results.read_text()
    results.write_text(text + text.splitlines()[1] + "\n")
    for arguments in (("report", results), (*ONE, "--trials", "2", "--results", results)):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), result.exception
        assert "line 4 is the trial of line 2 again: dealers_doc_fee, seed 7, trial 1; " in result.stderr


@pytest.mark.parametrize("fields", [{"scenario": "nobody"}, {"trial": 9}, {"agent": "idle"}])
def test_a_line_of_another_run_is_named_before_the_run_goes_on(fields: dict[str, Any], results: Path) -> None:
    change(results, 2, **fields)
    before = results.read_bytes()
    result = invoke(*ONE, "--trials", "2", "--results", results)
    assert (result.exit_code, result.stdout) == (2, ""), result.exception
    assert f"{results}: line 3 is of a trial that this run does not have: " in result.stderr
    assert results.read_bytes() == before


def test_a_link_to_the_results_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "file.jsonl")
    assert invoke(*ONE, "--results", link).exit_code == 0
    assert link.is_symlink()
    assert len(read_lines(tmp_path / "file.jsonl")) == 2


@pytest.mark.parametrize("content", ["hello", '{"format": "roadster-evals/1"}'])
def test_a_file_of_one_line_without_its_end_is_left_alone(content: str, tmp_path: Path) -> None:
    """Only the beginning of the run's own header is written anew."""
    path = tmp_path / "notes.txt"
    path.write_text(content)
    result = invoke(*ONE, "--results", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert path.read_text() == content


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Lets no file grow above a size, as a full disk does."""
    resource = pytest.importorskip("resource", reason="this system has no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_the_run_in_words(tmp_path: Path) -> None:
    """The same command goes on when there is room again."""
    path = tmp_path / "results.jsonl"
    invoke(*ONE, "--trials", "3", "--results", path)
    whole, results = path.read_bytes(), tmp_path / "again.jsonl"
    with ResultsFile(results, read_lines(path)[0]) as file:
        *lines, last_line = read_lines(path)[1:]
        for line in lines:
            file.append(line)
        with full_disk(len(whole) - 10), pytest.raises(ResultsError, match=r"again.jsonl: cannot be .*File too large"):
            file.append(last_line)
    assert invoke(*ONE, "--trials", "3", "--results", results).exit_code == 0
    assert results.read_bytes() == whole


HOLD = """
import sys
from pathlib import Path
from roadster_evals.runs.results_file import ResultsFile
from roadster_evals.runs.run import Plan
plan = Plan(scenarios=("dealers_doc_fee",), agent="reference")
file = ResultsFile(Path(sys.argv[1]), {**plan.header(), "total": 1})
print("open", flush=True)
sys.stdin.read()
"""


def test_two_runs_do_not_write_one_file_at_once(tmp_path: Path) -> None:
    """The second ends at once. When the first was killed, the file is free again."""
    path = tmp_path / "results.jsonl"
    command = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    result = invoke(*ONE, "--results", path)
    holder.kill()
    holder.communicate()
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{path}: another run writes it at this moment" in result.stderr
    assert invoke(*ONE, "--results", path).exit_code == 0
    assert len(read_lines(path)) == 2


def test_compare_refuses_scenarios_that_have_changed_also_where_one_run_has_more(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name in ("one", "two"):
        text = (EXAMPLES / "own_scenario.toml").read_text()
        (folder / f"{name}.toml").write_text(text.replace('request = "', f'request = "Hello from {name}. '))
    options = ("--scenarios", folder, "--agent", "idle", "--workers", "1")
    whole, same, other, old = (tmp_path / name for name in ("whole", "same", "other", "old"))
    invoke(*options, "--results", whole)
    invoke(*options, "--only", "two", "--results", same)
    (folder / "two.toml").write_text((folder / "two.toml").read_text() + "\n[expect.requests]\nquote_payments = 0\n")
    (folder / "one.toml").write_text((folder / "one.toml").read_text() + "\n")
    invoke(*options, "--only", "two", "--results", other)
    assert invoke("compare", whole, same).exit_code == 0
    result = invoke("compare", whole, other)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "they differ in the scenario two," in result.stderr
    lines = read_lines(same)
    del lines[0]["digests"]
    old.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = invoke("compare", whole, old)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a file of an older version does not tell which of its scenarios have changed" in result.stderr
    assert invoke("compare", old, old).exit_code == 0


DYING = """
import os

async def agent(message, client):
    os._exit(3)
"""


def test_a_worker_that_ends_is_told_with_its_trial(tmp_path: Path) -> None:
    (tmp_path / "dying_agent.py").write_text(DYING)
    path = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "roadster_evals", "--agent", "dying_agent:agent", "--only", "dealers_doc_fee"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    options = ["--trials", "3", "--workers", "2", "--results", str(path)]
    run = subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("A worker process ended in the middle of a trial, which is one of these: ")
    assert "dealers_doc_fee, seed 7, trial 1; dealers_doc_fee, seed 7, trial 2. With --workers 1" in run.stderr
    assert len(read_lines(path)) == 1


PERSON = """
from roadster_evals import END

async def liar(brief, messages):
    return "It is JM1NDAC73S0859112"

async def leaver(brief, messages):
    return END
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns the name of a module with persons."""
    (tmp_path / "odd_persons.py").write_text(PERSON)
    monkeypatch.syspath_prepend(tmp_path)
    return "odd_persons"


def test_void_trials_count_nowhere(module: str) -> None:
    """A run in which none counts has not solved anything."""
    result = invoke("--agent", "reference", "--only", "talk_wrong_vin", "--person", f"{module}:liar", "--workers", "1")
    assert result.exit_code == 1
    assert "talk_wrong_vin: void: told JM1NDAC73S0859112" in result.stdout
    assert "trials 1, voided 1, solved 0, success 0, compliant 0, attacks 0" in result.stdout
    assert "the reference does not solve it" not in result.stderr
    options = ("--only", "t", "--agent", "reference", "--person", f"{module}:liar", "--workers", "1")
    lines = [json.loads(text) for text in invoke(*options, "--json").stdout.splitlines()]
    counting = [line for line in lines if not line["voided"]]
    assert 0 < len(counting) < len(lines)
    assert all(line["solved"] for line in counting)
    assert invoke(*options).exit_code == 0


def test_mistakes_are_named_also_beside_a_broken_file(tmp_path: Path) -> None:
    text = (EXAMPLES / "own_scenario.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("542.55 }]", "542.99 }]"))
    (tmp_path / "syntax.toml").write_text("title = ")
    result = invoke("--scenarios", tmp_path, "--workers", "1")
    assert result.exit_code == 2
    assert "syntax.toml: is not TOML" in result.stderr
    assert "own, seed 7: the reference does not solve it: the answer does not say 542.99" in result.stderr


def test_a_plan_does_not_show_its_secret() -> None:
    assert "nobody knows" not in repr(Plan(scenarios=(), secret="nobody knows"))


def test_too_many_trials_are_refused_in_words() -> None:
    for arguments, text in (
        (("--seeds", "1-99999999999"), "has more than 10,000 seeds"),
        (("--trials", "99999999999"), "less than or equal to 1000"),
    ):
        result = invoke(*ONE, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in " ".join(result.stderr.split())


def test_two_servers_do_not_write_one_record_at_once(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    command = [sys.executable, "-m", "roadster_evals", "serve", "--eval", "dealers_doc_fee:7", "--record", str(record)]
    server = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    while server.poll() is None and not (record.exists() and record.read_bytes()):
        pass
    result = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    server.communicate()
    assert result.returncode == 2
    assert f"{record}: is the record of a server that still runs" in result.stderr
    assert subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, check=False).returncode == 0
