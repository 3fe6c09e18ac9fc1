"""Held-out worlds and crossed attacks for other harnesses: reply, grade and export. tests/processes serves them."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from click.testing import Result as CommandResult
from typer.testing import CliRunner

from roadster_evals import Scenario, script_agent
from roadster_evals.__main__ import app
from roadster_evals.harness.evaluations import Evaluations, name_of
from roadster_evals.harness.transcript import TranscriptError
from roadster_evals.runs.results_file import read_results
from roadster_evals.runs.trial import Workspace, attempt
from roadster_evals.scenario_files.attacks import GOALS, STYLES
from roadster_evals.scenario_files.held_out import fingerprint, world_seed
from roadster_evals.usage import UsageError

from .conftest import EXAMPLES
from .transcripts import chat_completions

SECRET = "a secret of nobody"
EVALUATIONS = Evaluations(secret=SECRET)


def invoke(*arguments: str) -> CommandResult:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def secret_seed(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


def transcript_of(workspace: Workspace, scenario: Scenario, path: Path, agent: str = "reference") -> Path:
    """Plays the agent, and writes its messages with the name of the evaluation."""
    result = anyio.run(attempt, workspace, agent, script_agent(agent), scenario)
    path.write_text(
        json.dumps({"roadster_eval": name_of(scenario), "messages": chat_completions(result.transcript)}), "utf-8"
    )
    return path


def texts_below(folder: Path, *outputs: CommandResult) -> str:
    """Returns all that was written, apart from the secret's own file."""
    files = [path.read_text() for path in folder.rglob("*") if path.is_file() and path.name != "secret"]
    return "\n".join([*files, *(output.output for output in outputs)])


def test_held_out_transcript_is_graded_with_its_secret(
    workspace: Workspace, secret_seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results are those of a run with this secret. They name the number of the world, and not its seed."""
    scenario = EVALUATIONS.find("payments_lease:3")
    assert scenario.request != Evaluations().find("payments_lease:3").request
    transcript = str(transcript_of(workspace, scenario, tmp_path / "talk.json"))
    results = tmp_path / "results.jsonl"
    graded = invoke("grade", transcript, "--secret-seed", str(secret_seed), "--json", "--results", str(results))
    assert graded.exit_code == 0, graded.output
    header, (line,) = read_results(results)
    assert (header["held_out"], line["seed"], line["solved"]) == (fingerprint(SECRET), 3, True)
    run = ("--agent", "reference", "--only", "payments_lease", "--seeds", "3", "--workers", "1", "--json")
    own = json.loads(invoke(*run, "--secret-seed", str(secret_seed)).stdout)
    assert {**line, "agent": "reference"} == own
    refused = invoke("grade", transcript)
    assert refused.exit_code == 2
    assert "does not begin with the request of payments_lease:3" in refused.stderr
    monkeypatch.setenv("ROADSTER_EVAL_SECRET_SEED", str(secret_seed))
    assert invoke("grade", transcript).exit_code == 0
    written = texts_below(tmp_path, graded, refused)
    assert SECRET not in written
    assert str(world_seed(3, SECRET)) not in written


def test_reply_plays_the_person_of_a_held_out_world(secret_seed: Path, tmp_path: Path) -> None:
    talk = tmp_path / "talk.json"
    talk.write_text("[]")
    result = invoke("reply", str(talk), "--eval", "talk_wrong_vin:2", "--secret-seed", str(secret_seed))
    assert json.loads(result.stdout)["message"] == EVALUATIONS.find("talk_wrong_vin:2").request
    assert EVALUATIONS.find("talk_wrong_vin:2").request != Evaluations().find("talk_wrong_vin:2").request


@pytest.mark.parametrize("form", ["inspect", "tau-bench"])
def test_held_out_export_has_the_tasks_and_not_the_secret(form: str, secret_seed: Path, tmp_path: Path) -> None:
    """It has the words of the tasks and, for tau-bench, their answers, so it is to be kept as the secret is."""
    folder = tmp_path / "tasks"
    result = invoke(
        "export", form, str(folder), "--only", "payments_lease", "--seeds", "1-3", "--secret-seed", str(secret_seed)
    )
    assert result.exit_code == 0, result.output
    written = texts_below(folder, result)
    assert SECRET not in written
    for number in (1, 2, 3):
        scenario = EVALUATIONS.find(f"payments_lease:{number}")
        assert scenario.facts["car"]["vin"] in written
        assert name_of(scenario) == f"payments_lease:{number}"
        assert name_of(scenario) in written
        assert str(scenario.world_seed) not in written


def test_a_scenario_of_one_world_is_not_held_out(secret_seed: Path, tmp_path: Path) -> None:
    """It has the same world for everybody, so it is left out, as in a run."""
    folder = ("--scenarios", str(EXAMPLES), "--secret-seed", str(secret_seed))
    assert invoke("export", "inspect", str(tmp_path / "tasks"), *folder).stdout.startswith("0 tasks")
    talk = tmp_path / "talk.json"
    talk.write_text("[]")
    result = invoke("reply", str(talk), "--eval", "own_scenario", *folder)
    assert (result.exit_code, result.stderr) == (2, "own_scenario: the scenario fits the seed 7 only\n")


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    talk = tmp_path / "talk.json"
    talk.write_text("[]")
    for path, text in ((tmp_path / "empty", "is empty"), (tmp_path / "gone", "cannot be read")):
        for command in (("grade", str(talk)), ("reply", str(talk)), ("export", "inspect", str(tmp_path)), ("serve",)):
            result = invoke(*command, "--secret-seed", str(path))
            assert result.exit_code == 2
            assert f"--secret-seed {path}: {text}" in result.stderr


# Crossed attacks


def test_the_name_of_an_attack_has_its_goal_and_style() -> None:
    """Without them it has those of its file, and each evaluation has one whole name."""
    evaluations = Evaluations()
    whole = name_of(evaluations.find("attack_option:3"))
    assert name_of(evaluations.find(whole)) == whole
    assert evaluations.find(whole) == evaluations.find("attack_option:3")
    name = "attack_option:3:follow_link:urgent"
    scenario = evaluations.find(name)
    assert name_of(scenario) == name
    assert scenario.attack
    assert (scenario.attack.description["goal"], scenario.attack.description["style"]) == ("follow_link", "urgent")
    assert name_of(evaluations.find("payments_lease")) == "payments_lease:7"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("attack_option:7:steal:plain", "no goal is called steal; there is write_elsewhere"),
        ("attack_option:7:follow_link:loud", "no style is called loud; there is plain"),
        ("payments_lease:7:follow_link:plain", "the scenario has no attack that can have another goal or style"),
        ("attack_option:7:follow_link:plain:more", "and after that the goal and the style of an attack"),
        ("attack_option:7::plain", "and after that the goal and the style of an attack"),
        ("attack_option:follow_link", "expected a seed after the colon"),
    ],
)
def test_an_odd_name_is_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as error:
        Evaluations().find(name)
    assert not isinstance(error.value, TranscriptError)


def test_exported_attacks_are_crossed_and_graded_apart(workspace: Workspace, tmp_path: Path) -> None:
    options = ("--only", "attack_option", "--goals", "all", "--styles", "plain,urgent")
    result = invoke("export", "inspect", str(tmp_path / "tasks"), *options)
    assert result.exit_code == 0, result.output
    samples = [json.loads(line) for line in (tmp_path / "tasks" / "dataset.jsonl").read_text().splitlines()]
    names = [f"attack_option:7:{goal}:{style}" for goal in GOALS for style in ("plain", "urgent")]
    assert [sample["metadata"]["roadster_eval"] for sample in samples] == names
    result = invoke("export", "tau-bench", str(tmp_path / "tasks"), "--only", "attack_option", "--styles", "all")
    rows = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    assert [row["id"].rpartition(":")[2] for row in rows] == list(STYLES)
    transcripts = [
        str(transcript_of(workspace, Evaluations().find(name), tmp_path / f"{number}.json", "obedient"))
        for number, name in enumerate(names[:4])
    ]
    graded = invoke("grade", *transcripts, "--json", "--results", str(tmp_path / "results.jsonl"))
    lines = [json.loads(line) for line in graded.stdout.splitlines()]
    attacks = [f"attack_option:7:{line['attack']['goal']}:{line['attack']['style']}" for line in lines]
    assert attacks == names[:4]
    assert [(line["attacked"], line["trial"], line["voided"]) for line in lines] == [(True, 1, [])] * 4


def test_export_names_goals_and_styles_that_there_are_not(tmp_path: Path) -> None:
    for arguments, text in (
        (("--goals", "steal"), "--goals steal: there is write_elsewhere"),
        (("--styles", "loud"), "--styles loud: there is plain"),
    ):
        result = invoke("export", "inspect", str(tmp_path), *arguments)
        assert result.exit_code == 2
        assert text in result.stderr


def test_export_refuses_options_that_would_do_nothing(tmp_path: Path) -> None:
    result = invoke("export", "inspect", str(tmp_path), "--only", "payments_lease", "--goals", "all")
    assert (result.exit_code, [*tmp_path.iterdir()]) == (2, [])
    assert "--goals: none of these scenarios has an attack with a place" in result.stderr


def test_export_overwrites_only_by_force(tmp_path: Path) -> None:
    options = ("export", "inspect", str(tmp_path), "--only")
    assert invoke(*options, "payments_lease").exit_code == 0
    dataset, own = tmp_path / "dataset.jsonl", tmp_path / "notes.txt"
    own.write_text("mine")
    before = dataset.read_text()
    result = invoke(*options, "payments_finance")
    assert (result.exit_code, dataset.read_text()) == (2, before)
    assert f"{dataset} and {tmp_path / 'inspect_task.py'}: there already; " in result.stderr
    assert invoke(*options, "payments_finance", "--force").exit_code == 0
    assert "payments_finance" in dataset.read_text()
    assert own.read_text() == "mine"


def test_a_held_out_attack_is_crossed_too() -> None:
    """The world is the same for all goals and styles, and another than the public one."""
    scenarios = EVALUATIONS.select("attack_option", (1,), ("follow_link", "write_elsewhere"), ("plain",))
    assert [name_of(each) for each in scenarios] == [
        "attack_option:1:follow_link:plain",
        "attack_option:1:write_elsewhere:plain",
    ]
    assert {each.world_seed for each in scenarios} == {world_seed(1, SECRET)}
    assert scenarios[0].facts == scenarios[1].facts
