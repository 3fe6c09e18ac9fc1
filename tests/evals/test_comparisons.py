"""What `compare` shows, of results made by hand: which test a row has, what was compared, and where runs differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from roadster_evals.grading.result import Result
from roadster_evals.reports.comparison import compare_runs
from roadster_evals.reports.estimates import difference_interval, smallest_p

from .test_reports import HEADER, compare, invoke, make_line, write_results


def lines_of(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [make_line(f"s{number}", 1, **fields) for number in range(count)]


def row_of(text: str, measure: str) -> list[str]:
    """Returns the cells of a measure."""
    return next(re.split(r" {2,}", line) for line in text.splitlines() if line.startswith(f"{measure} "))


def test_eight_scenarios_show_that_everything_is_better_than_nothing(tmp_path: Path) -> None:
    """Copies of `solved` and measures without a difference are no further tests of it."""
    result = compare(tmp_path, lines_of(8), lines_of(8, problems=["wrong"], calls=0))
    assert result.exit_code == 1
    assert row_of(result.stdout, "solved") == [
        "solved", "8", "8", "1", "0", "-1 (-1 to -0.351)", "0.0078", "0.0078", "worse"
    ]  # fmt: skip
    assert row_of(result.stdout, "solved, toolset payments")[-3:] == ["0.0078", "0.0078", "worse"]
    assert row_of(result.stdout, "policy")[-4:] == ["+0", "1.0000", "-", "none differs"]


def test_calls_tokens_and_seconds_are_more_or_fewer_and_never_worse(tmp_path: Path) -> None:
    few, many = (lines_of(8, calls=calls, tokens=calls, seconds=float(calls)) for calls in (1, 9))
    more, fewer = compare(tmp_path, few, many), compare(tmp_path, many, few)
    assert (more.exit_code, fewer.exit_code) == (0, 0)
    for measure in ("calls", "tokens", "seconds"):
        assert row_of(more.stdout, measure)[-1] == "more"
        assert row_of(fewer.stdout, measure)[-1] == "fewer"


def test_the_other_rows_have_a_correction_of_their_own() -> None:
    """The calls are one of two tests beside `solved`, which is tested by itself."""
    before = [Result.from_json(line) for line in lines_of(8)]
    after = [
        Result.from_json(make_line(f"s{number}", 1, problems=["wrong"], calls=number + 3, tokens=number**2))
        for number in range(8)
    ]
    (comparison,) = compare_runs([(HEADER, before), (HEADER, after)])
    p_values = {each.measure: (each.p, each.corrected_p) for each in comparison.differences}
    assert p_values["solved"] == (2 / 256, 2 / 256)
    assert p_values["calls"] == (2 / 256, 4 / 256)
    assert p_values["tokens"] == (2 / 256, 4 / 256)


def test_a_row_in_which_too_few_scenarios_differ_is_not_tested(tmp_path: Path) -> None:
    """It is no matter how many scenarios there are."""
    five, six = (
        compare(tmp_path, lines_of(20), [*lines_of(20)[number:], *lines_of(number, problems=["wrong"])]).stdout
        for number in (5, 6)
    )
    assert row_of(five, "solved")[1:3] == ["20", "5"]
    assert row_of(five, "solved")[-3:] == ["0.0625", "-", "too few differ"]
    assert "`solved` differs in 5 of 20 scenarios: higher in 0, lower in 5." in five
    sentence = "6 scenarios or more must differ. With 5, the smallest possible p is 0.0625."
    assert sentence in five
    assert "must differ" not in six
    assert row_of(six, "solved")[-3:] == ["0.0312", "0.0312", "worse"]


def test_scenarios_are_named_in_which_solved_differs_most(tmp_path: Path) -> None:
    """Trials without a partner do not count there either."""
    first = [make_line(f"s{number:02}", 1, trial) for number in range(14) for trial in (1, 2)]
    second = [
        make_line(f"s{number:02}", 1, trial, problems=["wrong"] * (number < 11 and (number != 3 or trial == 1)))
        for number in range(14)
        for trial in (1, 2, 3)
    ]
    text = compare(tmp_path, [*first, make_line("s00", 2)], second).stdout
    assert "`solved` differs in 11 of 14 scenarios: higher in 0, lower in 11." in text
    assert "The 10 that differ most are below, 1 more is not." in text
    rows = [re.split(r" {2,}", line) for line in text[text.index("scenario  first") :].split("\n\n")[0].splitlines()]
    assert rows[1] == ["s00", "1 (2 trials)", "0 (3 trials)", "-1"]
    assert [name for name, *_ in rows[1:]] == [f"s{number:02}" for number in range(11) if number != 3]
    two = compare(tmp_path, first[:8], second[:12]).stdout
    assert re.search(r"^s03 +1 \(2 trials\) +0\.6667 \(3 trials\) +-0\.333$", two, re.MULTILINE)


def test_scenarios_of_several_pairs_have_the_numbers_of_their_runs(tmp_path: Path) -> None:
    runs = (lines_of(2), lines_of(2), lines_of(2, problems=["wrong"]))
    text = invoke("compare", *(write_results(tmp_path / str(number), run) for number, run in enumerate(runs))).stdout
    assert "1-2: `solved` differs in 0 of 2 scenarios.\n" in text
    assert re.findall(r"^(\d-\d) +(s\d) ", text, re.MULTILINE) == [
        ("1-3", "s0"), ("1-3", "s1"), ("2-3", "s0"), ("2-3", "s1")
    ]  # fmt: skip


def test_files_have_their_agents_and_what_they_lack(tmp_path: Path) -> None:
    whole = write_results(tmp_path / "whole", lines_of(3, agent="first one"), total=3)
    lines = [*lines_of(2), make_line("s2", 1, voided=["no endpoint"], is_unavailable=True)]
    lacking = write_results(tmp_path / "lacking", lines, total=48, settings={"model": "m"})
    result = invoke("compare", whole, lacking)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:5] == [
        f"1: {whole}, agent first one",
        f"2: {lacking}, agent mine, settings: model m",
        "   3 of 48 trials, the run is incomplete",
        "   the agent was unavailable in 1 trial; the command that wrote the file tries them again",
        "",
    ]


def test_tasks_without_a_partner_are_named(tmp_path: Path) -> None:
    first = [make_line("a", seed) for seed in (1, 2, 3, 4, 5)]
    text = compare(tmp_path, first, [make_line("a", 1), make_line("b", 1), make_line("a", 2, voided=["lied"])]).stdout
    assert "1 task of 1 scenario paired." in text
    assert "Left out: 4 tasks that count only in the first: " in text
    assert "a in the world 2, a in the world 3, a in the world 4, 1 more." in text
    assert "Left out: 1 task that counts only in the second: b in the world 1." in text


def test_interval_of_a_difference_holds_it() -> None:
    few, many = [0.0, 1.0, 1.0], [float(number) for number in range(20)]
    low, high = difference_interval(few, is_share=True) or (0, 0)
    assert -1 <= low < 2 / 3 < high <= 1
    low, high = difference_interval(many, is_share=False) or (0, 0)
    assert low < 9.5 < high
    assert difference_interval(few, is_share=False) is None
    assert [smallest_p(number) for number in (0, 1, 5, 6)] == [1, 1, 0.0625, 0.03125]
