"""Estimates against brute force, and the commands report and compare on files made by hand and by real runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from statistics import fmean
from typing import Any

import click.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from roadster_evals.__main__ import app
from roadster_evals.reports.estimates import (
    adjust_holm,
    estimate_share,
    pass_at_k,
    pass_power_k,
    permutation_p,
    wilson_interval,
)
from roadster_evals.runs.results_file import FORMAT

HEADER = {"format": FORMAT, "scenarios": ["s"], "digests": {"a": "d"}, "held_out": None}


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_power_k_and_pass_at_k_are_those_of_all_draws(trials: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(trials)))
    draws = [*combinations(trials, k)]
    assert pass_power_k(len(trials), sum(trials), k) == pytest.approx(fmean(all(draw) for draw in draws))
    assert pass_at_k(len(trials), sum(trials), k) == pytest.approx(fmean(any(draw) for draw in draws))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_permutation_test_is_that_of_all_flips(differences: list[int]) -> None:
    totals = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    assert permutation_p(differences) == pytest.approx(fmean(t >= abs(sum(differences)) for t in totals))


def test_permutation_test_with_many_scenarios_draws_flips_and_is_repeatable() -> None:
    noise, shift = [1.0, -1.0] * 20, [1.0] * 40
    assert permutation_p(noise) == 1
    assert permutation_p(shift) == permutation_p(shift) < 0.001


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_interval_holds_its_value_and_stays_between_0_and_1(values: list[float]) -> None:
    estimate = estimate_share(values)
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.high <= 1
    if estimate.method == "Wilson":
        assert estimate.low <= estimate.value <= estimate.high


def test_interval_is_wilsons_where_all_scenarios_have_the_same_share() -> None:
    """Wilson's interval of 10 of 10 is 72.2 % to 100 %: https://doi.org/10.1080/01621459.1927.10502953."""
    low, high = wilson_interval(1, 10)
    assert (round(low, 3), high) == (0.722, 1)
    same, mixed = estimate_share([1.0] * 10), estimate_share([0.0, 1.0] * 10)
    assert same is not None
    assert mixed is not None
    assert (same.method, mixed.method) == ("Wilson", "bootstrap")
    assert mixed.low < 0.5 < mixed.high


def test_holm_never_turns_the_order_around() -> None:
    assert adjust_holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def make_line(scenario: str, seed: int, trial: int = 1, **fields: Any) -> dict[str, Any]:
    line = {"scenario": scenario, "seed": seed, "trial": trial, "agent": "mine", "toolsets": ["payments"], "tags": []}
    return {**line, "calls": 2, "tokens": 100, **fields}


def write_results(path: Path, lines: Sequence[Mapping[str, Any]], **header: Any) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in ({**HEADER, **header}, *lines)))
    return path


def invoke(*arguments: str | Path) -> click.testing.Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_report_keeps_the_verdicts_apart(tmp_path: Path) -> None:
    """Voided and broken trials count nowhere, and money only where the price table has the model."""
    usage = [{"model": "m", "input": 1_000_000, "output": 100_000}]
    lines = [
        make_line("a", 1, 1, usage=usage, seconds=2.0),
        make_line("a", 1, 2, problems=["wrong"], usage=usage, seconds=4.0),
        make_line("b", 1, 1, violations=["wrote"], attack={"place": "p"}, attacked=True),
        make_line("b", 1, 2, voided=["lied"]),
        make_line("b", 2, 1, problems=["no world"], is_broken=True),
    ]
    results = write_results(tmp_path / "r.jsonl", lines)
    prices, page = tmp_path / "prices.toml", tmp_path / "report.html"
    prices.write_text("[m]\ninput = 1.5\noutput = 10\n")
    result = invoke("report", results, "--prices", prices, "--out", page)
    assert result.exit_code == 0, result.stderr
    for text in (
        "mine: 5 trials of 2 scenarios, 1 voided, 1 broken",
        "pass^1 25 % ",
        "pass^2 0 % ",
        "pass@2 100 % ",
        "success 75 % ",
        "policy kept 50 % ",
        "attacks obeyed 100 % ",
        "2.0 calls, 100 tokens, 3.0 seconds\n  money: 2.5 a trial, 5 in all, 5 for each solved trial",
        "toolset payments",
        "bootstrap",
    ):
        assert text in result.stdout
    html = page.read_text()
    assert html.count("<svg") == 2
    assert not re.search(r"<script|https?:|src=|url\(", html)


def test_report_escapes_names(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    invoke("report", write_results(tmp_path / "r.jsonl", [make_line("a", 1, agent="<b>")]), "--out", page)
    assert "<b>" not in page.read_text()
    assert "&lt;b&gt;" in page.read_text()


def test_report_exits_with_2_after_a_mistake(tmp_path: Path) -> None:
    good = write_results(tmp_path / "good.jsonl", [make_line("a", 1, usage=[{"model": "m", "input": 1, "output": 1}])])
    prices = tmp_path / "prices.toml"
    prices.write_text("[other]\ninput = 1\noutput = 1\n")
    for arguments, text in (
        ((tmp_path / "none",), "cannot be read"),
        ((write_results(tmp_path / "empty", []),), "has no result yet"),
        ((write_results(tmp_path / "odd", [{"scenario": "a"}]),), "line 2 is not the result of a trial"),
        ((good, "--prices", prices), "the price table has no m"),
        ((good, "--prices", tmp_path / "none"), "cannot be read"),
        ((good, "--out", tmp_path / "no" / "folder"), "cannot be written"),
    ):
        result = invoke("report", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in result.stderr


def compare(tmp_path: Path, first: Sequence[Any], second: Sequence[Any], **header: Any) -> click.testing.Result:
    before = write_results(tmp_path / "first", first)
    return invoke("compare", before, write_results(tmp_path / "second", second, **header))


def test_compare_tells_a_difference_from_noise(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(20)]
    good = [make_line(name, seed) for name in names for seed in (1, 2)]
    bad = [make_line(name, seed, problems=["wrong"]) for name in names for seed in (1, 2)]
    nearly = [make_line(name, seed, problems=["wrong"] * (name == "s0")) for name in names for seed in (1, 2)]
    worse, better, noise = (compare(tmp_path, *runs) for runs in ((good, bad), (bad, good), (good, nearly)))
    assert (worse.exit_code, better.exit_code, noise.exit_code) == (1, 0, 0)
    assert re.search(r"^solved +20 +20 +1 +0 .*worse$", worse.stdout, re.MULTILINE)
    assert re.search(r"^success .*better$", better.stdout, re.MULTILINE)
    assert "worse" not in noise.stdout
    assert "Holm" in noise.stdout


def test_compare_pairs_by_scenario_and_seed(tmp_path: Path) -> None:
    """Tasks that only one file has do not count."""
    first = [make_line("a", 1), make_line("a", 2, problems=["wrong"]), make_line("b", 1)]
    result = compare(tmp_path, first, [make_line("a", 1, agent="other"), make_line("c", 1, agent="other")])
    assert re.search(r"^solved +1 +0 +1 +1 +\+0 +1\.0000 +- +none differs$", result.stdout, re.MULTILINE)


def test_compare_exits_with_2_if_the_tasks_differ(tmp_path: Path) -> None:
    one = [make_line("a", 1)]
    for second, header, text in (
        (one, {"digests": {"a": "e"}}, "they differ in the scenario a,"),
        (one, {"held_out": "x"}, "they differ in held_out"),
        ([make_line("a", 2)], {}, "no task in common"),
        ([*one, make_line("a", 1, agent="other")], {}, "expected one agent in each file"),
    ):
        result = compare(tmp_path, one, second, **header)
        assert (result.exit_code, result.stdout) == (2, "")
        assert text in result.stderr


def test_compare_takes_several_runs_and_corrects_for_all_pairs(tmp_path: Path) -> None:
    """The p value of one pair grows with the number of pairs."""
    names = [f"s{number}" for number in range(10)]
    good, bad = [make_line(name, 1) for name in names], [make_line(name, 1, problems=["wrong"]) for name in names]
    paths = [write_results(tmp_path / str(number), lines) for number, lines in enumerate((good, bad, good))]
    result = invoke("compare", *paths)
    assert result.exit_code == 1
    verdicts = dict(re.findall(r"^(\d-\d) +solved .*?(better|worse|none differs)$", result.stdout, re.MULTILINE))
    assert verdicts == {"1-2": "worse", "1-3": "none differs", "2-3": "better"}
    p_of_two, p_of_three = (
        float(re.findall(r"solved +10 +10 +1 +0 .*\) +\S+ +(\S+) +worse", text)[0])
        for text in (invoke("compare", *paths[:2]).stdout, result.stdout)
    )
    assert p_of_two < p_of_three
    alone = invoke("compare", paths[0])
    assert alone.exit_code == 2
    assert "there is nothing to compare it with" in alone.stderr


def test_report_and_compare_read_real_runs(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("reference", "idle")}
    for name, path in paths.items():
        invoke("--agent", name, "--only", "payments_le", "--trials", "2", "--workers", "1", "--results", path)
    assert "pass^2 100 % (21-100w)" in invoke("report", paths["reference"]).stdout
    result = invoke("compare", *paths.values())
    assert result.exit_code == 0
    assert re.search(r"^solved +1 +1 +1 +0 .*1\.0000 +- +too few differ$", result.stdout, re.MULTILINE)
