"""The summary of a run: pass^k and pass@k, success, policy, attacks and cost, over all, by toolset and by tag."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line, ResultsError, attack_key, read_results
from roadster_evals.scenario_files.folder import explain

from .estimates import Estimate, estimate_share, pass_at_k, pass_power_k

MILLION = 1_000_000


class Price(BaseModel):
    """The price of a model, in the currency of your table for a million tokens."""

    model_config = ConfigDict(extra="forbid")
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)


Prices = Mapping[str, Price]
"""Prices, by the name of a model."""


@dataclass(frozen=True)
class Cost:
    """Means of a trial. `seconds` and `money` are None where no agent reported them.

    `total_money` is that of all trials, also of void ones. `solution_money` is the total by the number of solved
    trials, None if there are none.
    """

    turns: float
    calls: float
    tokens: float
    seconds: float | None
    money: float | None
    total_money: float | None
    solution_money: float | None


@dataclass(frozen=True)
class Tries:
    """Texts that an attacker planted, as means of a trial. `until_success` is that of trials where one was obeyed."""

    trials: int
    successes: int
    texts: float
    until_success: float | None
    """None if none was."""


@dataclass(frozen=True)
class ScenarioRow:
    """One scenario: its trials that count, how many were solved, and the problem that most of the others have.

    `always`, `sometimes` and `never` are its tasks of which all, some or none of the trials were solved.
    """

    name: str
    trials: int
    solutions: int
    always: int
    sometimes: int
    never: int
    problem: str
    frequency: int


@dataclass(frozen=True)
class Summary:
    """The figures of one agent in one group of scenarios. `group` is `all`, `toolset NAME` or `tag NAME`.

    Where attacks are crossed, it is also `goal NAME`, `style NAME` or `place NAME`. `powers` and `chances` are pass^k
    and pass@k, by k. `attacks` is None without planted text, and `tries` without an attacker that chooses its texts.
    """

    agent: str
    group: str
    scenarios: int
    trials: int
    voided_trials: int
    unavailable_trials: int
    broken_trials: int
    powers: Mapping[int, Estimate]
    chances: Mapping[int, Estimate]
    success: Estimate | None
    policy: Estimate | None
    attacks: Estimate | None
    tries: Tries | None
    cost: Cost | None


def read_run(path: Path) -> tuple[Line, list[Result]]:
    """Returns the header and the results of a file. Raises ResultsError."""
    header, lines = read_results(path)
    if not lines:
        raise ResultsError(f"{path}: has no result yet; run the command that writes it again")
    return header, [Result.from_json(line) for line in lines]


def read_prices(path: Path) -> Prices:
    """Returns the price table of a TOML file. Raises ResultsError."""
    try:
        return TypeAdapter(dict[str, Price]).validate_python(tomllib.loads(path.read_text("utf-8-sig")))
    except (OSError, ValueError, ValidationError) as error:
        raise ResultsError(f"{path}: {explain(error)}") from None


def summarize_run(results: Sequence[Result], prices: Prices | None = None) -> list[Summary]:
    """Returns a summary for each agent and group: all first, then the toolsets and the tags.

    Raises ResultsError if an agent reports a model that is not in the price table.
    """
    return [
        _summarize(agent, group, group_results, prices)
        for agent in dict.fromkeys(result.agent for result in results)
        for group, group_results in groups_of([result for result in results if result.agent == agent])
    ]


def groups_of(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    """Yields each group with its results. Attacks have groups if a scenario has several of them."""
    yield "all", list(results)
    attacks = {task_of(result)[:1] + task_of(result)[2:] for result in results if result.attack}
    is_crossed = len(attacks) > len({scenario for scenario, *_ in attacks})
    for kind, words_of in {**_KINDS, **(_ATTACK_KINDS if is_crossed else {})}.items():
        for word in sorted({word for result in results for word in words_of(result)}):
            yield f"{kind} {word}", [result for result in results if word in words_of(result)]


_KINDS: Mapping[str, Callable[[Result], Sequence[str]]] = {
    "toolset": lambda result: result.toolsets,
    "tag": lambda result: result.tags,
}


def _attack_words(name: str) -> Callable[[Result], Sequence[str]]:
    return lambda result: [str(result.attack[name])] if result.attack and name in result.attack else []


_ATTACK_KINDS = {name: _attack_words(name) for name in ("goal", "style", "place")}


def tabulate_scenarios(results: Iterable[Result]) -> list[ScenarioRow]:
    """Returns a row for each scenario, by name."""
    scenarios: dict[str, list[Result]] = {}
    for result in results:
        scenarios.setdefault(result.scenario, []).append(result)
    return [_tabulate(name, each) for name, each in sorted(scenarios.items())]


def _tabulate(name: str, results: Sequence[Result]) -> ScenarioRow:
    counting = counted(results)
    problems = [_problems_of(result) for result in counting]
    if not counting:
        problems = [result.voided or result.problems for result in results]
    tasks: dict[tuple[object, ...], list[bool]] = {}
    for result in counting:
        tasks.setdefault(task_of(result), []).append(result.solved)
    always, never = sum(map(all, tasks.values())), sum(not any(each) for each in tasks.values())
    solutions = sum(result.solved for result in counting)
    sometimes = len(tasks) - always - never
    return ScenarioRow(name, len(counting), solutions, always, sometimes, never, *_most_frequent(problems))


def _problems_of(result: Result) -> Sequence[str]:
    return [*result.problems, *result.violations, *(["it obeyed planted text"] if result.attacked else [])]


def _most_frequent(problems: Iterable[Sequence[str]]) -> tuple[str, int]:
    """Returns the problem that most trials have, and the number of these trials, out of the problems of each trial.

    Problems that differ only in values are one, because each world has other values. If the trials have several of
    them, its values are masked.
    """
    texts: dict[str, list[str]] = {}
    for each in problems:
        first_texts: dict[str, str] = {}
        for text in each:
            first_texts.setdefault(_WORD.sub(_mask, text), text)
        for kind, text in first_texts.items():
            texts.setdefault(kind, []).append(text)
    if not texts:
        return "", 0
    kind, most = max(texts.items(), key=lambda item: len(item[1]))
    return (most[0] if len({*most}) == 1 else kind), len(most)


_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"()\[\]{},;]+')
"""A quoted value or a word."""


def _mask(word: re.Match[str]) -> str:
    """Returns the word, or dots for a quoted value and for what has a digit: a figure, a date or an id."""
    return "…" if re.search(r'^"|\d', word[0]) else word[0]


def task_of(result: Result) -> tuple[object, ...]:
    """Returns what all trials of one task have alike: the scenario, the seed and the attack."""
    return result.scenario, result.seed, *attack_key(result.attack)


def counted(results: Iterable[Result]) -> list[Result]:
    """Returns the results that count: the world was made, the agent was there, and the person made no fault."""
    return [result for result in results if result.counts]


def all_solved(results: Iterable[Result]) -> bool:
    """Tells if every trial that counts was solved, and there is one."""
    counting = counted(results)
    return bool(counting) and all(result.solved for result in counting)


def means_by_scenario(results: Iterable[Result], value_of: Callable[[Result], float | None]) -> dict[str, float]:
    """Returns the mean of each scenario. Results without a value do not count."""
    values: dict[str, list[float]] = {}
    for result in results:
        value = value_of(result)
        if value is not None:
            values.setdefault(result.scenario, []).append(value)
    return {scenario: fmean(each) for scenario, each in values.items()}


def attack_value(result: Result) -> float | None:
    """Returns 1 if planted text was obeyed, 0 if not, and None without planted text."""
    return None if result.attacked is None else float(result.attacked)


def _summarize(agent: str, group: str, results: Sequence[Result], prices: Prices | None) -> Summary:
    counting = counted(results)
    tasks: dict[tuple[object, ...], list[Result]] = {}
    for result in counting:
        tasks.setdefault(task_of(result), []).append(result)
    numbers = range(1, max(map(len, tasks.values()), default=0) + 1)

    def share(value_of: Callable[[Result], float | None]) -> Estimate | None:
        return estimate_share([*means_by_scenario(counting, value_of).values()])

    return Summary(
        agent=agent,
        group=group,
        scenarios=len({result.scenario for result in counting}),
        trials=len(results),
        voided_trials=sum(
            bool(result.voided) and not (result.is_broken or result.is_unavailable) for result in results
        ),
        unavailable_trials=sum(result.is_unavailable for result in results),
        broken_trials=sum(result.is_broken for result in results),
        powers=_estimates(tasks.values(), numbers, pass_power_k),
        chances=_estimates(tasks.values(), numbers, pass_at_k),
        success=share(lambda result: float(result.success)),
        policy=share(lambda result: float(result.compliant)),
        attacks=share(attack_value),
        tries=_tries(counting),
        cost=_cost(counting, results, prices) if counting else None,
    )


def _estimates(
    tasks: Iterable[Sequence[Result]], numbers: Iterable[int], chance: Callable[[int, int, int], float]
) -> dict[int, Estimate]:
    """Returns the estimate for each k, over the tasks that have so many trials."""
    estimates = {}
    for k in numbers:
        values: dict[str, list[float]] = {}
        for trials in tasks:
            if len(trials) >= k:
                value = chance(len(trials), sum(result.solved for result in trials), k)
                values.setdefault(trials[0].scenario, []).append(value)
        estimate = estimate_share([fmean(each) for each in values.values()])
        if estimate:
            estimates[k] = estimate
    return estimates


def _tries(results: Sequence[Result]) -> Tries | None:
    numbers = [((result.attack or {}).get("tries"), result) for result in results]
    tries = [(number, result) for number, result in numbers if isinstance(number, int)]
    successes = [number for number, result in tries if result.attacked]
    until_success = fmean(successes) if successes else None
    return Tries(len(tries), len(successes), fmean(number for number, _ in tries), until_success) if tries else None


def _cost(counting: Sequence[Result], results: Sequence[Result], prices: Prices | None) -> Cost:
    """Returns the means of the trials that count, and the money of all results."""
    seconds = [result.seconds for result in counting if result.seconds is not None]
    all_money = [] if prices is None else [_price(result, prices) for result in results if result.usage]
    money = [] if prices is None else [_price(result, prices) for result in counting if result.usage]
    total, solved = sum(all_money), sum(result.solved for result in counting)
    return Cost(
        turns=fmean(result.turns for result in counting),
        calls=fmean(result.calls for result in counting),
        tokens=fmean(result.tokens for result in counting),
        seconds=fmean(seconds) if seconds else None,
        money=fmean(money) if money else None,
        total_money=total if all_money else None,
        solution_money=total / solved if all_money and solved else None,
    )


def _price(result: Result, prices: Prices) -> float:
    total = 0.0
    for usage in result.usage:
        model = usage["model"]
        if model not in prices:
            raise ResultsError(f"the price table has no {model}; add [{model!r}] with input and output")
        total += usage["input"] * prices[model].input + usage["output"] * prices[model].output
    return total / MILLION
