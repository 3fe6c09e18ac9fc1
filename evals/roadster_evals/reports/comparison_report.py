"""The comparison of runs as text: the files, the differences, what was paired, and where the runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line

from .comparison import FEWEST_SCENARIOS, LEVEL, MAIN, Comparison, Difference, ScenarioDifference
from .estimates import CONFIDENCE, FEWEST_CLUSTERS, FLIPS, MOST_EXACT, smallest_p
from .wording import align, describe, describe_gaps, format_count

COMPARISON_METHOD = (
    "Paired permutation test over the scenarios' mean differences, on tasks that two files have (scenario, seed, "
    f"attack). All flips of signs with up to {MOST_EXACT} scenarios that differ, else {FLIPS:,} with a fixed seed. "
    f"`{MAIN}` is the main measure and is tested by itself, the other rows together: their p has Holm's correction, "
    f"and p raw has none. Rows with the same values count once, and rows in which fewer than {FEWEST_SCENARIOS} "
    f"scenarios differ are not tested. A difference with p up to {LEVEL:.2g} is more than noise. Its interval of "
    f"{100 * CONFIDENCE:g} % is that of a bootstrap of scenarios, or Wilson's with fewer than {FEWEST_CLUSTERS}. Where "
    "no scenario differs there is none, because it would only tell how many scenarios there are. Of calls, tokens and "
    "seconds, neither more nor fewer is better."
)
MOST_TASKS = 3
"""Tasks that are named, of those that were left out."""
MOST_SCENARIOS = 10
"""Scenarios that are named, of those that differ."""


def make_comparison(comparisons: Sequence[Comparison], files: Sequence[tuple[str, Line, Sequence[Result]]]) -> str:
    """Returns the tables of differences as text, and what was compared. Of more than two runs, they have the numbers.

    `files` are the names, headers and results, in the order of the runs.
    """
    names = ["measure", "scenarios", "differ", "first", "second", "difference", "p raw", "p", "verdict"]
    scenario_names = ["scenario", "first", "second", "difference"]
    rows, scenario_rows, sentences = [], [], []
    for each in comparisons:
        runs = ["{}-{}".format(*each.runs)] if len(comparisons) > 1 else []
        rows += [[*runs, *_difference_row(difference)] for difference in each.differences]
        scenario_rows += [
            [*runs, *_scenario_row(difference)] for difference in each.scenario_differences[:MOST_SCENARIOS]
        ]
        sentences += [": ".join([*runs, sentence]) for sentence in (*_pairing(each), *_spread(each))]
    head = ["runs"] if len(comparisons) > 1 else []
    lines = [line for number, file in enumerate(files, 1) for line in _file_lines(number, *file)]
    lines += ["", *align([[*head, *names], *rows]), "", *sentences, ""]
    if scenario_rows:
        lines += [*align([[*head, *scenario_names], *scenario_rows]), ""]
    return "\n".join([*lines, COMPARISON_METHOD, ""])


def _file_lines(number: int, name: str, header: Line, results: Sequence[Result]) -> Iterator[str]:
    """Yields the file with its agent, and what its run lacks."""
    settings = header.get("settings")
    words = f", settings: {describe(settings)}" if settings else ""
    yield f"{number}: {name}, agent {describe(results[0].agent)}{words}"
    yield from (f"   {gap}" for gap in describe_gaps(header, results))


def _difference_row(each: Difference) -> list[str]:
    interval = "" if each.interval is None else " ({:+,.3g} to {:+,.3g})".format(*each.interval)
    change = f"{each.after - each.before:+,.3g}{interval}"
    numbers = [str(each.scenarios), str(each.scenarios_that_differ)]
    corrected_p = "-" if each.corrected_p is None else f"{each.corrected_p:.4f}"
    values = [f"{each.before:,.4g}", f"{each.after:,.4g}", change, f"{each.p:.4f}", corrected_p]
    return [each.measure, *numbers, *values, each.verdict]


def _scenario_row(each: ScenarioDifference) -> list[str]:
    shares = zip((each.before, each.after), each.trials, strict=True)
    cells = [f"{share:.4g} ({format_count(trials, 'trial')})" for share, trials in shares]
    return [each.scenario, *cells, f"{each.after - each.before:+.3g}"]


def _pairing(comparison: Comparison) -> Iterator[str]:
    """Yields how many tasks were compared, and which were not."""
    scenarios = format_count(comparison.scenarios, "scenario")
    yield f"{format_count(comparison.tasks, 'task')} of {scenarios} paired."
    for name, tasks in (("first", comparison.first_only), ("second", comparison.second_only)):
        if tasks:
            some = [f"{task[0]} in the world {task[1]}" for task in tasks[:MOST_TASKS]]
            rest = [f"{len(tasks) - MOST_TASKS} more"] if len(tasks) > MOST_TASKS else []
            number = "1 task that counts" if len(tasks) == 1 else f"{len(tasks)} tasks that count"
            yield f"Left out: {number} only in the {name}: {', '.join([*some, *rest])}."


def _spread(comparison: Comparison) -> Iterator[str]:
    """Yields in how many scenarios the main measure differs, and whether so many can show anything."""
    rows = comparison.scenario_differences
    number, higher = len(rows), sum(row.after > row.before for row in rows)
    directions = f": higher in {higher}, lower in {number - higher}" if rows else ""
    yield f"`{MAIN}` differs in {number} of {format_count(comparison.scenarios, 'scenario')}{directions}."
    if number < FEWEST_SCENARIOS:
        yield (
            f"So no difference of `{MAIN}` can be shown: {FEWEST_SCENARIOS} scenarios or more must differ. "
            f"With {number}, the smallest possible p is {smallest_p(number):.4g}."
        )
    if number > MOST_SCENARIOS:
        rest = number - MOST_SCENARIOS
        yield f"The {MOST_SCENARIOS} that differ most are below, {rest} more {'is' if rest == 1 else 'are'} not."
