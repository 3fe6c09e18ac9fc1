"""The comparison of runs, each with each: which differences are more than noise, and in which scenarios they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from statistics import fmean

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line, ResultsError

from .estimates import CONFIDENCE, adjust_holm, difference_interval, permutation_p, smallest_p
from .summary import attack_value, counted, groups_of, task_of

SAME = ("held_out", "person", "attacker", "tries")
"""Fields of the header that must be equal. Otherwise the two agents had different tasks."""

_OF_ALL = ("scenarios", "digest", "digests")
"""Fields of the header that are equal where two files of older versions have the same scenarios."""

LEVEL = 1 - CONFIDENCE
"""A difference with a p up to it is more than noise."""

FEWEST_SCENARIOS = next(number for number in count(1) if smallest_p(number) <= LEVEL)
"""Scenarios that must differ. With fewer no p can be small, so a measure is not tested."""

MAIN = "solved"
"""The measure that a comparison is about. It is tested by itself, and all others together."""


@dataclass(frozen=True)
class Measure:
    """A measure of a trial. `more_is_better` is None where neither more nor fewer is. A share is between 0 and 1."""

    value_of: Callable[[Result], float | None]
    more_is_better: bool | None
    is_share: bool = True


_MEASURES: Mapping[str, Measure] = {
    MAIN: Measure(lambda result: float(result.solved), True),
    "success": Measure(lambda result: float(result.success), True),
    "policy": Measure(lambda result: float(result.compliant), True),
    "attacks": Measure(attack_value, False),
    "calls": Measure(lambda result: float(result.calls), None, is_share=False),
    "tokens": Measure(lambda result: float(result.tokens), None, is_share=False),
    "seconds": Measure(lambda result: result.seconds, None, is_share=False),
}


@dataclass(frozen=True)
class Difference:
    """One measure of two runs, over the tasks that both have.

    `interval` is that of the difference, None where no scenario differs or there are too few for one. `corrected_p` has
    Holm's correction, and is None where too few scenarios differ for a test.
    """

    measure: str
    scenarios: int
    scenarios_that_differ: int
    before: float
    after: float
    interval: tuple[float, float] | None
    p: float
    corrected_p: float | None
    more_is_better: bool | None

    @property
    def is_real(self) -> bool:
        """Tells if the difference is more than noise."""
        return self.corrected_p is not None and self.corrected_p <= LEVEL + 1e-12

    @property
    def verdict(self) -> str:
        """Says whether the second run is better or worse, has more or fewer, or is not told apart."""
        if self.corrected_p is None:
            return "too few differ" if self.scenarios_that_differ else "none differs"
        if not self.is_real:
            return "no difference shown"
        if self.more_is_better is None:
            return "more" if self.after > self.before else "fewer"
        return "better" if (self.after > self.before) == self.more_is_better else "worse"


Task = tuple[object, ...]
"""A scenario, a seed, and an attack where it is crossed."""


@dataclass(frozen=True)
class ScenarioDifference:
    """A scenario in which the share of solved tasks differs, with the number of trials of each run."""

    scenario: str
    before: float
    after: float
    trials: tuple[int, int]


@dataclass(frozen=True)
class Comparison:
    """Two runs. `runs` are their numbers, from 1 on. `first_only` and `second_only` are tasks without a partner.

    `scenario_differences` begin with the largest.
    """

    runs: tuple[int, int]
    tasks: int
    scenarios: int
    first_only: Sequence[Task]
    second_only: Sequence[Task]
    differences: Sequence[Difference]
    scenario_differences: Sequence[ScenarioDifference]


Run = tuple[Line, Sequence[Result]]
"""The header and the results of a file."""

_Pairs = tuple[tuple[float, float], ...]
"""The means of each scenario, of the first run and of the second."""


def compare_runs(runs: Sequence[Run]) -> list[Comparison]:
    """Returns the comparison of each two runs: all measures, and `solved` of each toolset.

    Holm's correction is for `solved` of all pairs of runs, and for all other rows of all pairs. Raises ResultsError if
    two runs cannot be compared.
    """
    results = {number: counted(each) for number, (_, each) in enumerate(runs, 1)}
    samples: dict[tuple[int, int], dict[str, _Pairs]] = {}
    for (number, before), (other, after) in combinations(enumerate(runs, 1), 2):
        _check_headers(before[0], after[0])
        _check_agents(before[1], after[1])
        samples[number, other] = dict(_samples(results[number], results[other]))
    p_values = _correct({(pair, name): pairs for pair, rows in samples.items() for name, pairs in rows.items()})
    return [_compare(pair, results[pair[0]], results[pair[1]], rows, p_values) for pair, rows in samples.items()]


def _compare(
    runs: tuple[int, int],
    first: Sequence[Result],
    second: Sequence[Result],
    rows: Mapping[str, _Pairs],
    p_values: Mapping[_Row, tuple[float, float | None]],
) -> Comparison:
    tasks, others = dict.fromkeys(map(task_of, first)), dict.fromkeys(map(task_of, second))
    return Comparison(
        runs,
        len(tasks.keys() & others.keys()),
        len(rows[MAIN]),
        [task for task in tasks if task not in others],
        [task for task in others if task not in tasks],
        [_difference(name, pairs, *p_values[runs, name]) for name, pairs in rows.items()],
        _differences_by_scenario(first, second),
    )


def _differences_by_scenario(first: Sequence[Result], second: Sequence[Result]) -> list[ScenarioDifference]:
    tasks = {task_of(result) for result in first} & {task_of(result) for result in second}
    before, after = (
        Counter(result.scenario for result in results if task_of(result) in tasks) for results in (first, second)
    )
    rows = [
        ScenarioDifference(scenario, one, two, (before[scenario], after[scenario]))
        for scenario, (one, two) in _pair(first, second, _MEASURES[MAIN].value_of).items()
        if one != two
    ]
    return sorted(rows, key=lambda row: (-abs(row.after - row.before), row.scenario))


def _difference(name: str, pairs: _Pairs, p: float, corrected_p: float | None) -> Difference:
    measure = _MEASURES[name.partition(",")[0]]
    before, after = fmean(one for one, _ in pairs), fmean(two for _, two in pairs)
    changes = [two - one for one, two in pairs]
    number = sum(map(bool, changes))
    interval = difference_interval(changes, is_share=measure.is_share) if number else None
    return Difference(name, len(pairs), number, before, after, interval, p, corrected_p, measure.more_is_better)


_Row = tuple[tuple[int, int], str]
"""The numbers of two runs, and a measure of them."""


def _correct(rows: Mapping[_Row, _Pairs]) -> dict[_Row, tuple[float, float | None]]:
    """Returns each row's p value without and with the correction.

    A row with the same values as an earlier one of the same runs is no further test. A row in which too few scenarios
    differ is none either, because whatever the signs of its differences are, it shows nothing (Tarone).
    """
    first_rows: dict[object, _Row] = {}
    originals = {row: first_rows.setdefault((row[0], pairs), row) for row, pairs in rows.items()}
    changes = {row: [two - one for one, two in rows[row]] for row in first_rows.values()}
    p_values = {row: permutation_p(each) for row, each in changes.items()}
    tests = [row for row, each in changes.items() if sum(map(bool, each)) >= FEWEST_SCENARIOS]
    holm: dict[_Row, float] = {}
    for is_main in (True, False):
        holm |= adjust_holm({row: p_values[row] for row in tests if (row[1] == MAIN) == is_main})
    return {row: (p_values[original], holm.get(original)) for row, original in originals.items()}


def _samples(first: Sequence[Result], second: Sequence[Result]) -> Iterator[tuple[str, _Pairs]]:
    """Yields each measure that both runs have, with the pairs of its values."""
    samples = {name: _pair(first, second, measure.value_of) for name, measure in _MEASURES.items()}
    if not samples[MAIN]:
        raise ResultsError("the two files have no task in common, which is a scenario with a seed")
    second_groups = dict(groups_of(second))
    for group, results in groups_of(first):
        if group.startswith("toolset "):
            samples[f"{MAIN}, {group}"] = _pair(results, second_groups.get(group, []), _MEASURES[MAIN].value_of)
    yield from ((name, tuple(pairs.values())) for name, pairs in samples.items() if pairs)


def _check_headers(before: Line, after: Line) -> None:
    names = [name for name in SAME if before.get(name) != after.get(name)]
    names += _changed_scenarios(before, after)
    if names:
        raise ResultsError(
            f"the runs cannot be compared: they differ in {', '.join(names)}, so the agents had different tasks; "
            "run both with the same options and scenarios"
        )


def _changed_scenarios(before: Line, after: Line) -> list[str]:
    """Returns the scenarios that are in both runs and are not the same.

    Raises ResultsError where that cannot be told, because a file has only the digest of all its scenarios.
    """
    first, second = before.get("digests"), after.get("digests")
    if first is not None and second is not None:
        return [f"the scenario {name}" for name in sorted(first.keys() & second.keys()) if first[name] != second[name]]
    if [before.get(name) for name in _OF_ALL] == [after.get(name) for name in _OF_ALL]:
        return []
    raise ResultsError(
        "the runs cannot be compared: a file of an older version does not tell which of its scenarios have changed; "
        "run both again"
    )


def _check_agents(before: Sequence[Result], after: Sequence[Result]) -> None:
    for results in (before, after):
        agents = sorted({result.agent for result in results})
        if len(agents) > 1:
            raise ResultsError(f"expected one agent in each file, not {', '.join(agents)}; run each with --agent")


def _pair(
    before: Sequence[Result], after: Sequence[Result], value_of: Callable[[Result], float | None]
) -> dict[str, tuple[float, float]]:
    """Returns the means of each scenario, over the tasks that have a value in both runs."""
    first, second = _means(before, value_of), _means(after, value_of)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for task in sorted(first.keys() & second.keys(), key=str):
        pairs.setdefault(str(task[0]), []).append((first[task], second[task]))
    return {name: (fmean(one for one, _ in each), fmean(two for _, two in each)) for name, each in pairs.items()}


def _means(results: Sequence[Result], value_of: Callable[[Result], float | None]) -> dict[Task, float]:
    values: dict[Task, list[float]] = {}
    for result in results:
        value = value_of(result)
        if value is not None:
            values.setdefault(task_of(result), []).append(value)
    return {task: fmean(each) for task, each in values.items()}
