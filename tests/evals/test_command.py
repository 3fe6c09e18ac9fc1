"""`python -m roadster_evals`. tests/docs runs the example of its page."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import roadster_evals as evals
from roadster_evals import Scenario, load
from roadster_evals.__main__ import app
from roadster_evals.grading.grader import grade
from roadster_evals.grading.observation import Observation
from roadster_evals.runs import trial
from tests.conftest import PROJECT

from .conftest import EXAMPLES


@pytest.fixture(autouse=True)
def example_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in the project, with the modules of examples/evals on the path."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.syspath_prepend(EXAMPLES)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_command_exits_with_1_if_the_agent_fails() -> None:
    result = invoke("--agent", "own_agent:agent", "--only", "payments_finance", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["solved"] is False


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


def test_scenarios_are_selected_alike_by_name_or_tag(tmp_path: Path) -> None:
    listing = invoke("list", "--only", "arithmetic")
    assert listing.exit_code == 0
    names = [line.split()[0] for line in listing.stdout.splitlines()]
    assert names == [each.name for each in load() if "arithmetic" in each.name or "arithmetic" in each.tags]
    run = invoke("--agent", "idle", "--only", "arithmetic", "--workers", "1", "--json")
    assert [json.loads(line)["scenario"] for line in run.stdout.splitlines()] == names
    assert invoke("export", "inspect", str(tmp_path / "tasks"), "--only", "arithmetic").stdout.startswith(
        f"{len(names)} "
    )
    for command in (("list",), ("--agent", "idle"), ("export", "inspect", str(tmp_path / "tasks"))):
        result = invoke(*command, "--only", "arithmetik")
        assert (result.exit_code, result.stdout) == (2, "")
        sentence = "--only arithmetik: no scenario has this in its name, or as a tag; near spellings: arithmetic, "
        assert result.stderr.startswith(sentence)
        assert result.stderr.count(",") == 3
    assert invoke("list", "--only", "arithm").exit_code == 2
    (tmp_path / "odd.toml").write_text("title = ")
    own = invoke("list", "--scenarios", str(tmp_path))
    assert (own.exit_code, "odd.toml: is not TOML" in own.stderr) == (2, True)


def test_a_report_is_not_written_over_what_it_reads(tmp_path: Path) -> None:
    results, link, prices = tmp_path / "r.jsonl", tmp_path / "link.html", tmp_path / "prices.toml"
    invoke("--agent", "idle", "--only", "dealers_doc_fee", "--workers", "1", "--results", str(results))
    link.symlink_to(results)
    prices.write_text('["my-model"]\ninput = 1\noutput = 1\n')
    content = results.read_text()
    for out in (results, link, prices):
        result = invoke("report", str(results), "--prices", str(prices), "--out", str(out))
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"--out {out}: is one of the files that are read; name another file\n"
    assert results.read_text() == content


def test_help_of_export_says_what_the_files_are() -> None:
    text = " ".join(invoke("export", "tau-bench", "--help").stdout.split())
    for name in ("inspect_task.py", "dataset.jsonl", "tasks_test.py", "tasks.json"):
        assert name in text


MINIMAL = 'title = "A title"\ntags = []\nrequest = "Hello"\n'
BROKEN = {
    "syntax": ("title = ", "is not TOML: Invalid value"),
    "empty": ("", "title: is missing; tags: is missing; request: is missing; reference: is missing"),
    "no_such_key": (f"{MINIMAL}expects = {{}}\nreference = {{ answer = '' }}", "expects: no such key"),
    "no_such_tool": (
        f"{MINIMAL}reference = {{ answer = '', calls = [{{ tool = 'get_vehicel' }}] }}",
        "near spellings: get_",
    ),
    "latin": ("title = '\udce9'", "is not UTF-8; save the file in this encoding"),
}
BROKEN_WORLDS = {
    "before": (
        f"{MINIMAL}reference = {{ answer = '' }}\nbefore = [{{ tool = 'get_vehicle', arguments = {{ vin = '1' }} }}]",
        "before, Invalid arguments",
    ),
    "event": (f"{MINIMAL}reference = {{ answer = '' }}\nevents = [{{}}]", "an event was refused: "),
    "fault": (
        f"{MINIMAL}reference = {{ answer = '' }}\nfaults = [{{ operation = 'get_dealer', fault = 'nothing' }}]",
        "faults, ",
    ),
}


@pytest.mark.parametrize("arguments", [("--agent", "own_agent:agent", "--json"), ("--json",)])
@pytest.mark.parametrize("name", [*BROKEN, *BROKEN_WORLDS])
def test_a_broken_scenario_is_named_and_the_others_run(arguments: tuple[str, ...], name: str, tmp_path: Path) -> None:
    """The command ends with 2 then, also if the agent has solved the others."""
    text, problem = {**BROKEN, **BROKEN_WORLDS}[name]
    shutil.copy(EXAMPLES / "own_scenario.toml", tmp_path)
    (tmp_path / f"{name}.toml").write_text(text, "utf-8", "surrogateescape")
    result = invoke("--scenarios", str(tmp_path), *arguments)
    assert result.exit_code == 2
    assert name in result.stderr
    assert problem in result.stderr
    assert "Traceback" not in result.stderr
    solved = [json.loads(line) for line in result.stdout.splitlines()]
    assert {each["agent"] for each in solved if each["scenario"] == "own_scenario" and each["solved"]} in (
        {"reference", "rules"},
        {"own_agent:agent"},
    )
    assert all(each["is_broken"] for each in solved if each["scenario"] == name)


def test_a_table_that_would_lack_scenarios_is_not_written(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "own_scenario.toml", tmp_path)
    (tmp_path / "wrong.toml").write_text("title = ")
    document = tmp_path / "document.md"
    document.write_text("<!-- table -->\nold\n<!-- /table -->\n")
    result = invoke("--scenarios", str(tmp_path), "--write", str(document))
    assert result.exit_code == 2
    assert "wrong.toml: is not TOML: Invalid value" in result.stderr
    assert "old" in document.read_text()


def test_a_grader_that_always_passes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad agents solve everything then, and each of them is named."""

    def pass_always(agent: str, scenario: Scenario, observation: Observation) -> evals.Result:
        return replace(grade(agent, scenario, observation), problems=(), violations=(), attacked=None)

    monkeypatch.setattr(trial, "grade", pass_always)
    result = invoke("--only", "documents_kind", "--workers", "1")
    assert result.exit_code == 1
    for agent in ("idle", "scribbler", "confuser", "dumper"):
        assert f"documents_kind, seed 7: the {agent} solves it" in result.stderr


def test_a_reference_that_does_not_solve_its_scenario_is_named(tmp_path: Path) -> None:
    text = (EXAMPLES / "own_scenario.toml").read_text()
    assert "numbers = [{ value = 542.55 }]" in text
    (tmp_path / "own.toml").write_text(text.replace("542.55 }]", "542.99 }]"))
    result = invoke("--scenarios", str(tmp_path))
    assert result.exit_code == 1
    assert "own, seed 7: the reference does not solve it: the answer does not say 542.99" in result.stderr


def test_options_of_a_run_are_checked(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for arguments, text in (
        (("--seeds", "x"), "expected seeds such as 7, 1-20"),
        (("--goals", "steal"), "--goals steal: there is write_elsewhere"),
        (("--styles", "plain,loud"), "--styles loud: there is plain"),
        (("--attacker", "nobody"), "write MODULE:NAME"),
        (("--person", "own_agent:nobody"), "write MODULE:NAME"),
        (("--secret-seed", str(tmp_path / "empty")), "is empty"),
        (("--secret-seed", str(tmp_path / "none")), "cannot be read"),
        (("--results", str(tmp_path)), "cannot be read"),
        (("--trials", "0"), "greater than or equal to 1"),
    ):
        result = invoke("--only", "dealers_doc_fee", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in " ".join(result.stderr.split())


def test_results_are_written_into_a_file_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    options = ("--agent", "reference", "--only", "dealers_doc_fee", "--results", str(path))
    first = invoke(*options, "--json").stdout
    whole = path.read_bytes()
    assert whole.decode().splitlines()[1:] == first.splitlines()
    assert invoke(*options, "--json").stdout == first
    assert path.read_bytes() == whole
    assert "it differs in trials" in invoke(*options, "--trials", "2").stderr


def test_scenarios_of_the_project_need_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come with the package, so they are there wherever the command runs."""
    monkeypatch.chdir(tmp_path)
    assert "payments_lease: solved" in invoke("--agent", "own_agent:agent", "--only", "payments_lease").stdout


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
    text = " ".join(invoke("--help").stdout.split())
    for option in (
        "--scenarios",
        "--only",
        "--agent",
        "--json",
        "--write",
        "--seeds",
        "--trials",
        "--results",
        "--secret-seed",
        "Exit codes: 0 done, 1",
        "2 a mistake",
    ):
        assert option in text


def test_options_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("<!-- table -->\n<!-- /table -->\n")
    crossing = "none of these scenarios has an attack with a place; those of the project have attack_ in their names"
    for only, arguments, text in (
        ("dealers_doc_fee", ("--goals", "all"), f"--goals: {crossing}"),
        ("dealers_doc_fee", ("--styles", "plain", "--attacker", "adaptive"), f"--styles and --attacker: {crossing}"),
        ("attack_option", ("--tries", "3"), "--tries: is the budget of an attacker; add --attacker"),
        ("attack_option", ("--styles", "all", "--attacker", "adaptive"), "--styles: the attacker chooses the style"),
        ("dealers_doc_fee", ("--transcripts",), "--transcripts: writes each talk into its result; add --results FILE"),
        ("dealers_doc_fee", ("--person", "own_agent:agent"), "--person: none of these scenarios has a person"),
        ("dealers_doc_fee", ("--write", str(document), "--agent", "rules"), "leave --agent and --json out"),
        ("dealers_doc_fee", ("--write", str(document), "--json"), "leave --agent and --json out"),
    ):
        result = invoke("--only", only, *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert text in result.stderr


def test_a_misspelt_name_is_told_with_the_near_one() -> None:
    for arguments, text in (
        (
            ("--only", "attack_option", "--attacker", "adaptve"),
            "adaptve: names no module; write MODULE:NAME, or adaptive",
        ),
        (("--agent", "referense"), "referense: names no module; write MODULE:NAME, or reference"),
        (("--agent", "own_agent:agnt"), "own_agent has no agnt; write MODULE:NAME, for instance own_agent:agent"),
        (("--agent", "own_agnt:agent"), "own_agnt:agent: No module named 'own_agnt'; write MODULE:NAME"),
    ):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (2, ""), arguments
        assert text in result.stderr


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read (FileNotFoundError)"),
        (b"no markers", "expected the lines <!-- table -->"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_document_that_cannot_take_the_table_is_refused_before_the_run(
    content: bytes | None, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_no_trial(*_arguments: object, **_options: object) -> None:
        pytest.fail("the run has begun")

    monkeypatch.setattr("roadster_evals.__main__.run", run_no_trial)
    document = tmp_path / "document.md"
    if content is not None:
        document.write_bytes(content)
    result = invoke("--only", "dealers_doc_fee", "--write", str(document))
    assert (result.exit_code, result.stdout) == (2, ""), result.exception
    assert f"--write {document}: {text}" in result.stderr


def test_a_misspelt_field_of_the_state_is_told_with_the_near_one(tmp_path: Path) -> None:
    text = (PROJECT / "evals" / "roadster_evals" / "scenarios" / "customers_create.toml").read_text()
    assert "\nfirst_name = " in text
    (tmp_path / "own.toml").write_text(text.replace("\nfirst_name = ", "\nfirst_nam = "))
    result = invoke("--scenarios", str(tmp_path), "--agent", "reference")
    assert result.exit_code == 1
    assert "the reference does not solve it: customers[0] has no first_nam, and " in result.stderr
    assert " is expected; did you mean first_name?" in result.stderr
