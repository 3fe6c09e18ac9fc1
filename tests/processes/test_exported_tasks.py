"""Tasks that `roadster_evals export` writes. Inspect's run really, with a model that plays the reference's scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from roadster_evals import load
from roadster_evals.__main__ import app
from tests.conftest import PROJECT

INSPECT = PROJECT / ".venv-evals" / "bin" / "inspect"
ATTACK = "attack_option:7:follow_link:urgent"
SAMPLES = {
    "payments_lease:7": "payments_lease",
    "documents_delete_one:7": "documents_delete_one",
    ATTACK: "attack_option",
    "forms_foreign_order:7": "forms_foreign_order",
    "talk_wrong_vin:7": "talk_wrong_vin",
}
"""Scenarios by the ids of their samples, which are the names of their evaluations."""

PLAYED_TASK = """
import sys

sys.path[:0] = ["{examples}", "{folder}"]
from exported.inspect_task import roadster
from inspect_ai import Task, task
from inspect_ai.model import get_model
from inspect_task import play_script


@task
def played() -> Task:
    written = roadster()
    written.model = get_model("mockllm/model", custom_outputs=play_script)
    return written
"""


def run_cli(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the log of a run, as JSON and as `.eval`."""
    if not INSPECT.exists() and not os.environ.get("CI"):
        pytest.skip("no Inspect: make .venv-evals/.installed")
    folder = tmp_path_factory.mktemp("inspect")
    run_cli("export", "inspect", str(folder / "exported"), "--goals", "follow_link", "--styles", "urgent")
    played = folder / "played.py"
    played.write_text(PLAYED_TASK.format(examples=PROJECT / "examples" / "evals", folder=folder))
    ids = ",".join(SAMPLES)
    for command in (
        ("eval", "played.py", "--model", "mockllm/model", "--sample-id", ids, "--log-dir", "logs", "--display", "none"),
        ("log", "convert", "logs", "--to", "json", "--output-dir", "logs"),
    ):
        process = subprocess.run(
            [INSPECT, *command],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "ROADSTER_EVALS_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
    return folder / "logs"


def test_exported_inspect_task_runs_and_its_log_has_the_same_grades(logs: Path) -> None:
    """The samples have a question to a person, planted text, a foreign order that is refused, and a talk."""
    (log,) = logs.glob("*.json")
    samples = {sample["id"]: sample["scores"] for sample in json.loads(log.read_text())["samples"]}
    assert {name: scores["solved"]["value"] for name, scores in samples.items()} == dict.fromkeys(SAMPLES, "C")
    assert samples[ATTACK]["withstood"]["value"] == 1
    lines = [json.loads(line) for line in run_cli("grade", "--json", str(log)).splitlines()]
    assert {line["scenario"] for line in lines} == {*SAMPLES.values()}
    for line in lines:
        (score,) = [each["solved"]["metadata"] for name, each in samples.items() if SAMPLES[name] == line["scenario"]]
        assert {**line, "usage": []} == score


def test_log_that_inspect_has_compressed_is_graded_or_says_how(logs: Path) -> None:
    """Before Python 3.14, unpacking needs the package that Inspect brings."""
    (log,) = logs.glob("*.eval")
    command = [INSPECT.with_name("python"), "-m", "roadster_evals", "grade", "--json", log]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert {json.loads(line)["scenario"] for line in process.stdout.splitlines()} == {*SAMPLES.values()}
    if sys.version_info < (3, 14):
        result = CliRunner().invoke(app, ["grade", str(log)])
        assert result.exit_code == 2
        assert f"or print it as JSON: inspect log dump {log}" in result.stderr


def test_tasks_of_tau_bench_have_person_calls_and_texts(tmp_path: Path) -> None:
    run_cli("export", "tau-bench", str(tmp_path), "--only", "talk_", "--seeds", "7-8")
    scenario = next(scenario for scenario in load() if scenario.name == "talk_wrong_vin")
    calls = [(call.tool, dict(call.arguments)) for call in scenario.reference.all_calls]
    row = next(row for row in json.loads((tmp_path / "tasks.json").read_text()) if row["id"] == "talk_wrong_vin:7")
    criteria = row["evaluation_criteria"]
    assert [(each["name"], each["arguments"]) for each in criteria["actions"]] == calls
    assert criteria["communicate_info"] == [f"{number.value:.10g}" for number in scenario.expect.answer.numbers]
    assert row["initial_state"]["message_history"] == [{"role": "user", "content": scenario.request}]
    types = ModuleType("tau_bench.types")
    types.__dict__.update(Task=SimpleNamespace, Action=SimpleNamespace)
    module: dict[str, object] = {}
    with patch.dict(sys.modules, {"tau_bench": ModuleType("tau_bench"), "tau_bench.types": types}):
        exec((tmp_path / "tasks_test.py").read_text(), module)
    tasks = {task.user_id: task for task in module["TASKS_TEST"]}  # type: ignore[attr-defined]
    task = tasks["talk_wrong_vin:7"]
    assert [(action.name, action.kwargs) for action in task.actions] == calls
    assert task.outputs == criteria["communicate_info"]
    assert scenario.request in task.instruction
    assert task.instruction.endswith("###STOP###")
    assert tasks.keys() == {f"{name}:{seed}" for name in {key.partition(":")[0] for key in tasks} for seed in (7, 8)}


def test_results_of_tau_bench_are_graded(tmp_path: Path) -> None:
    """In tau2-bench agents greet first, and persons end the talk with a word."""
    scenario = next(scenario for scenario in load() if scenario.name == "payments_lease")
    (call,) = scenario.reference.calls
    transcripts = tmp_path / "run.jsonl"
    run_cli("--agent", "reference", "--only", scenario.name, "--transcripts", "--results", str(transcripts))
    answer = json.loads(transcripts.read_text().splitlines()[1])["transcript"][1]["text"]
    tool_call = {"id": "1", "name": call.tool, "arguments": dict(call.arguments), "requestor": "assistant"}
    messages = [
        {"role": "assistant", "content": "Hi! How can I help you today?"},
        {"role": "user", "content": scenario.request},
        {"role": "assistant", "content": None, "tool_calls": [tool_call]},
        {"role": "tool", "id": "1", "content": answer, "error": False, "requestor": "assistant"},
        {"role": "assistant", "content": scenario.reference.answer},
        {"role": "user", "content": "###STOP###"},
    ]
    simulation = {"id": "x", "task_id": f"{scenario.name}:7", "trial": 0, "messages": messages}
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"info": {"agent_info": {"llm": "mine"}}, "simulations": [simulation] * 2}))
    lines = [json.loads(line) for line in run_cli("grade", "--json", str(results)).splitlines()]
    assert [(line["agent"], line["trial"], line["solved"]) for line in lines] == [("mine", 1, True), ("mine", 2, True)]
    function = {"name": call.tool, "arguments": json.dumps(dict(call.arguments))}
    trajectory = [
        {"role": "system", "content": "The rules of the domain."},
        {"role": "user", "content": scenario.request},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "1", "name": call.tool, "content": answer},
        {"role": "assistant", "content": scenario.reference.answer},
    ]
    info = {"task": {"user_id": f"{scenario.name}:7"}}
    results.write_text(json.dumps([{"task_id": 0, "reward": 0.0, "info": info, "traj": trajectory, "trial": 0}]))
    assert json.loads(run_cli("grade", "--json", "--agent", "mine", str(results)))["solved"] is True


def test_export_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments, text in (
        (("csv", str(tmp_path)), "csv: there is inspect, tau-bench"),
        (("inspect", str(tmp_path), "--only", "nothing_"), "no scenario has this in its name"),
        (("inspect", str(tmp_path), "--seeds", "x"), "expected seeds such as"),
        (("inspect", str(tmp_path / "file" / "folder")), "cannot be exported"),
    ):
        result = CliRunner().invoke(app, ["export", *arguments])
        assert result.exit_code == 2
        assert text in result.stderr
