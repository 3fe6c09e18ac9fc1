"""The comparison of runs, each with each: which differences are more than noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from .estimates import CONFIDENCE, adjust_holm, permutation_p
from .grading import Result
from .results import Line, ResultsError
from .summary import attack_value, counted, groups_of, task_of

SAME = ("held_out", "person", "attacker", "tries")
"""Fields of the header that must be equal. Otherwise the two agents had different tasks."""

_MEASURES: Mapping[str, tuple[Callable[[Result], float | None], bool]] = {
    "solved": (lambda result: float(result.solved), True),
    "success": (lambda result: float(result.success), True),
    "policy": (lambda result: float(result.compliant), True),
    "attacks": (attack_value, False),
    "calls": (lambda result: float(result.calls), False),
    "tokens": (lambda result: float(result.tokens), False),
    "seconds": (lambda result: result.seconds, False),
}
"""The value of a trial, and whether more of it is better."""


@dataclass(frozen=True)
class Difference:
    """One measure of two runs, over the tasks that both have. `p` has Holm's correction.

    `runs` are the numbers of the two, from 1 on.
    """

    runs: tuple[int, int]
    measure: str
    scenarios: int
    before: float
    after: float
    p: float
    more_is_better: bool

    @property
    def is_real(self) -> bool:
        """Tells if the difference is more than noise."""
        return self.p <= 1 - CONFIDENCE + 1e-12

    @property
    def verdict(self) -> str:
        """Says whether the second run is better, worse, or not told apart."""
        if not self.is_real:
            return "no difference shown"
        return "better" if (self.after > self.before) == self.more_is_better else "worse"


Run = tuple[Line, Sequence[Result]]
"""The header and the results of a file."""


def compare_runs(runs: Sequence[Run]) -> list[Difference]:
    """Returns the differences of each two runs in all measures, and in `solved` of each toolset.

    Holm's correction is for all of them together. Raises ResultsError if two runs cannot be compared.
    """
    samples: dict[tuple[int, int, str], list[tuple[float, float]]] = {}
    for (number, before), (other, after) in combinations(enumerate(runs, 1), 2):
        _check_headers(before[0], after[0])
        _check_agents(before[1], after[1])
        for name, pairs in _samples(counted(before[1]), counted(after[1])):
            samples[number, other, name] = pairs
    p_values = adjust_holm({key: permutation_p([two - one for one, two in pairs]) for key, pairs in samples.items()})
    return [
        Difference(
            runs=(number, other),
            measure=name,
            scenarios=len(pairs),
            before=fmean(one for one, _ in pairs),
            after=fmean(two for _, two in pairs),
            p=p_values[number, other, name],
            more_is_better=_MEASURES[name.partition(",")[0]][1],
        )
        for (number, other, name), pairs in samples.items()
    ]


def _samples(first: Sequence[Result], second: Sequence[Result]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yields each measure that both runs have, with the pairs of its values."""
    samples = {name: _pair(first, second, value_of) for name, (value_of, _) in _MEASURES.items()}
    if not samples["solved"]:
        raise ResultsError("the two files have no task in common, which is a scenario with a seed")
    second_groups = dict(groups_of(second))
    solved_value = _MEASURES["solved"][0]
    for group, results in groups_of(first):
        if group.startswith("toolset "):
            samples[f"solved, {group}"] = _pair(results, second_groups.get(group, []), solved_value)
    yield from ((name, pairs) for name, pairs in samples.items() if pairs)


def _check_headers(before: Line, after: Line) -> None:
    names = [name for name in SAME if before.get(name) != after.get(name)]
    if before.get("scenarios") == after.get("scenarios") and before.get("digest") != after.get("digest"):
        names.append("digest")
    if names:
        raise ResultsError(
            f"the runs cannot be compared: they differ in {', '.join(names)}, so the agents had different tasks; "
            "run both with the same options and scenarios"
        )


def _check_agents(before: Sequence[Result], after: Sequence[Result]) -> None:
    for results in (before, after):
        agents = sorted({result.agent for result in results})
        if len(agents) > 1:
            raise ResultsError(f"expected one agent in each file, not {', '.join(agents)}; run each with --agent")


def _pair(
    before: Sequence[Result], after: Sequence[Result], value_of: Callable[[Result], float | None]
) -> list[tuple[float, float]]:
    """Returns the means of each scenario, over the tasks that have a value in both runs."""
    first, second = _means(before, value_of), _means(after, value_of)
    pairs: dict[object, list[tuple[float, float]]] = {}
    for task in sorted(first.keys() & second.keys(), key=str):
        pairs.setdefault(task[0], []).append((first[task], second[task]))
    return [(fmean(one for one, _ in each), fmean(two for _, two in each)) for each in pairs.values()]


def _means(results: Sequence[Result], value_of: Callable[[Result], float | None]) -> dict[tuple[object, ...], float]:
    values: dict[tuple[object, ...], list[float]] = {}
    for result in results:
        value = value_of(result)
        if value is not None:
            values.setdefault(task_of(result), []).append(value)
    return {task: fmean(each) for task, each in values.items()}
