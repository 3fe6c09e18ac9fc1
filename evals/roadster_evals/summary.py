"""The summary of a run: pass^k and pass@k, success, policy, attacks and cost, over all, by toolset and by tag."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .estimates import Estimate, estimate_share, pass_at_k, pass_power_k
from .folder import explain
from .grading import Result
from .results import Line, ResultsError, read_results

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
    """Means of a trial. `seconds` and `money` are None where no agent reported them."""

    turns: float
    calls: float
    tokens: float
    seconds: float | None
    money: float | None


@dataclass(frozen=True)
class Summary:
    """The figures of one agent in one group of scenarios. `group` is `all`, `toolset NAME` or `tag NAME`.

    `powers` and `chances` are pass^k and pass@k, by k. `attacked` is None without planted text.
    """

    agent: str
    group: str
    scenarios: int
    trials: int
    voided_trials: int
    broken_trials: int
    powers: Mapping[int, Estimate]
    chances: Mapping[int, Estimate]
    success: Estimate | None
    policy: Estimate | None
    attacks: Estimate | None
    cost: Cost | None


def read_run(path: Path) -> tuple[Line, list[Result]]:
    """Returns the header and the results of a file. Raises ResultsError."""
    header, lines = read_results(path)
    results = []
    for number, line in enumerate(lines, 2):
        try:
            results.append(Result.from_json(line))
        except (TypeError, AttributeError):
            raise ResultsError(f"{path}: line {number} is not the result of a trial") from None
    if not results:
        raise ResultsError(f"{path}: has no result yet; run the command that writes it again")
    return header, results


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
    """Yields each group with its results."""
    yield "all", list(results)
    for kind, words_of in _KINDS.items():
        for word in sorted({word for result in results for word in words_of(result)}):
            yield f"{kind} {word}", [result for result in results if word in words_of(result)]


_KINDS: Mapping[str, Callable[[Result], Sequence[str]]] = {
    "toolset": lambda result: result.toolsets,
    "tag": lambda result: result.tags,
}


def task_of(result: Result) -> tuple[object, ...]:
    """Returns what all trials of one task have alike: the scenario, the seed and the attack."""
    attack = result.attack or {}
    return (result.scenario, result.seed, *(str(attack.get(name, "")) for name in ("place", "goal", "style")))


def counted(results: Iterable[Result]) -> list[Result]:
    """Returns the results that count: the world was made, and the person made no fault."""
    return [result for result in results if not result.is_broken and not result.voided]


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
        voided_trials=sum(bool(result.voided) and not result.is_broken for result in results),
        broken_trials=sum(result.is_broken for result in results),
        powers=_estimates(tasks.values(), numbers, pass_power_k),
        chances=_estimates(tasks.values(), numbers, pass_at_k),
        success=share(lambda result: float(result.success)),
        policy=share(lambda result: float(result.compliant)),
        attacks=share(attack_value),
        cost=_cost(counting, prices) if counting else None,
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


def _cost(results: Sequence[Result], prices: Prices | None) -> Cost:
    seconds = [result.seconds for result in results if result.seconds is not None]
    with_usage = [result for result in results if result.usage]
    money = [_price(result, prices) for result in with_usage] if prices is not None else []
    return Cost(
        turns=fmean(result.turns for result in results),
        calls=fmean(result.calls for result in results),
        tokens=fmean(result.tokens for result in results),
        seconds=fmean(seconds) if seconds else None,
        money=fmean(money) if money else None,
    )


def _price(result: Result, prices: Prices) -> float:
    total = 0.0
    for usage in result.usage:
        model = str(usage.get("model"))
        if model not in prices:
            raise ResultsError(f"the price table has no {model}; add [{model!r}] with input and output")
        total += usage.get("input", 0) * prices[model].input + usage.get("output", 0) * prices[model].output
    return total / MILLION
