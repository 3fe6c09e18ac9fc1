"""What `report` says besides the figures: what is lacking, the problems of each scenario, attacks, and money."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from roadster_evals.reports.wording import format_amount

from .test_reports import invoke, make_line, write_results


def test_report_of_an_interrupted_run_says_so(tmp_path: Path) -> None:
    lines, page = [make_line("a", seed) for seed in (1, 2)], tmp_path / "report.html"
    text = invoke("report", write_results(tmp_path / "r", lines, total=48), "--out", page).stdout
    assert "2 of 48 trials, the run is incomplete" in text
    assert "2 of 48 trials, the run is incomplete" in page.read_text()
    for header in ({"total": 2}, {}):
        assert "incomplete" not in invoke("report", write_results(tmp_path / "r", lines, **header)).stdout


def test_a_run_writes_how_many_trials_it_has(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    invoke("--agent", "idle", "--only", "payments_lease", "--trials", "3", "--workers", "1", "--results", path)
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:2]))
    assert f"1 of {len(whole) - 1} trials, the run is incomplete" in invoke("report", path).stdout


def test_each_scenario_has_its_trials_and_its_most_frequent_problem(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    lines = [
        make_line("a", 1, 1, problems=["the answer is wrong", "no call"]),
        make_line("a", 1, 2, problems=["no call"]),
        make_line("a", 1, 3),
        make_line("b", 1),
        make_line("c", 1, voided=["lied"]),
        make_line("d", 1, attack={"goal": "g"}, attacked=True),
    ]
    text = invoke("report", write_results(tmp_path / "r", lines), "--out", page).stdout
    rows = [line.split(maxsplit=3) for line in text[text.index("scenario  trials") :].splitlines()[1:5]]
    assert rows == [
        ["a", "3", "1", "2 x no call"],
        ["b", "1", "1", "-"],
        ["c", "0", "0", "1 x counts nowhere: lied"],
        ["d", "1", "0", "1 x it obeyed planted text"],
    ]
    assert "<td>2 x no call</td>" in page.read_text()


def test_problems_that_differ_only_in_values_are_one(tmp_path: Path) -> None:
    """It counts once in a trial, and has its own words where all trials have the same ones."""
    trials = {
        "figures": [["it does not say 777.15", "it does not say 4"], ["no call", "it does not say 515"]],
        "once": [["no call"], ["it does not say 4", "it does not say 5", "it does not say 6"], ["no call"]],
        "same": [["it does not say 4", "it does not say 5"], ["it does not say 4"]],
        "quotes": [['a[0].b is "8 am", not "9 am"'], [r'a[1].b is "a \" b", not null'], ['a[12].b is "", not "x, y"']],
        "ids": [["1 call of FR-17 failed: no id"], ["2 call of FR-18 failed: no id"]],
    }
    lines = [
        make_line(name, 1, number, problems=problems)
        for name, each in trials.items()
        for number, problems in enumerate(each, 1)
    ]
    text = invoke("report", write_results(tmp_path / "r", lines)).stdout
    assert dict(re.findall(r"^(\w+) +[23] +0 +(.*)$", text, re.MULTILINE)) == {
        "figures": "2 x it does not say …",
        "once": "2 x no call",
        "same": "2 x it does not say 4",
        "quotes": "2 x a[…].b is …, not …",
        "ids": "2 x … call of … failed: no id",
    }


def test_scenarios_count_the_tasks_that_are_always_sometimes_and_never_solved(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    numbers = {1: 3, 2: 3, 3: 1, 4: 0}
    lines = [
        make_line("a", seed, trial, problems=["wrong"] * (trial > number))
        for seed, number in numbers.items()
        for trial in (1, 2, 3)
    ]
    text = invoke("report", write_results(tmp_path / "r", [*lines, make_line("b", 1)]), "--out", page).stdout
    assert re.search(r"^scenario  trials  solved  tasks solved always/sometimes/never  most", text, re.MULTILINE)
    assert re.search(r"^a +12 +7 +2/1/1 +5 x wrong$", text, re.MULTILINE)
    assert re.search(r"^b +1 +1 +1/0/0 +-$", text, re.MULTILINE)
    assert "<td>2/1/1</td><td>5 x wrong</td>" in page.read_text()
    for few in (lines[:3], lines[::3]):
        assert "sometimes" not in invoke("report", write_results(tmp_path / "few", few)).stdout


def attack(goal: str, style: str, *, attacked: bool, **more: Any) -> dict[str, Any]:
    return {"attack": {"place": "trim", "goal": goal, "style": style, **more}, "attacked": attacked}


def test_attacks_that_are_crossed_have_groups(tmp_path: Path) -> None:
    lines = [
        make_line("a", 1, **attack(goal, style, attacked=goal == "leak" and style == "urgent"))
        for goal in ("leak", "write")
        for style in ("plain", "urgent")
    ]
    text = invoke("report", write_results(tmp_path / "crossed", lines)).stdout
    groups = {line.partition("  ")[0]: line for line in text.splitlines()}
    assert "50 %" in groups["goal leak"]
    assert " 0 %" in groups["goal write"]
    assert "50 %" in groups["style urgent"]
    assert "25 %" in groups["place trim"]
    assert "goal leak" not in invoke("report", write_results(tmp_path / "one", lines[:1])).stdout


def test_tries_of_an_attacker_are_counted(tmp_path: Path) -> None:
    lines = [
        make_line("a", 1, **attack("leak", "plain", attacked=True, tries=2)),
        make_line("b", 1, **attack("leak", "plain", attacked=False, tries=5)),
    ]
    text = invoke("report", write_results(tmp_path / "r", lines)).stdout
    assert "the attacker planted 3.5 texts in a trial, 2.0 where one was obeyed; obeyed in 1 of 2 trials" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.00012345, "0.000123"), (2.5, "2.5"), (12.345, "12.3"), (12345.6, "12,300")]
)
def test_money_has_three_significant_figures(value: float, text: str) -> None:
    assert format_amount(value) == text


def test_money_is_also_that_of_void_trials(tmp_path: Path) -> None:
    usage = [{"model": "m", "input": 1_000_000, "output": 0}]
    prices = tmp_path / "prices.toml"
    prices.write_text("[m]\ninput = 0.001\noutput = 0\n")
    lines = [make_line("a", 1, usage=usage), make_line("a", 2, usage=usage, voided=["lied"])]
    text = invoke("report", write_results(tmp_path / "r", lines), "--prices", prices).stdout
    assert "money: 0.001 a trial, 0.002 in all, 0.002 for each solved trial" in text
    nothing = write_results(tmp_path / "n", [make_line("a", 1, usage=usage, problems=["wrong"])])
    assert "0.001 in all, nothing was solved" in invoke("report", nothing, "--prices", prices).stdout


def test_options_are_words(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    header = {"person": None, "goals": [], "transcripts": False, "seeds": [1, 2], "digests": {"a": "d1"}}
    text = invoke("report", write_results(tmp_path / "r", [make_line("a", 1)], **header), "--out", page).stdout
    html = page.read_text()
    assert "mine: 1 trial of 1 scenario, " in text
    assert "mine: 1 trial of 1 scenario, " in html
    assert "<dt>goals</dt><dd>none</dd>" in html
    assert "<dt>seeds</dt><dd>1, 2</dd>" in html
    for word in ("None", "[]", "False", "d1"):
        assert word not in html


def test_several_files_have_one_report(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    paths = [
        write_results(tmp_path / name, [make_line("a", 1, agent=f"agent {name}")], settings={"model": f"model-{name}"})
        for name in ("first", "second")
    ]
    text = invoke("report", *paths, "--out", page).stdout
    for content in (text, page.read_text()):
        for path in paths:
            assert str(path) in content
            assert f"agent {path.name}: 1 trial" in content
            assert f"settings: model model-{path.name}" in content
