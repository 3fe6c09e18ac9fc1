"""Estimates from few trials: pass^k and pass@k, intervals over scenarios, and a paired test. All are repeatable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, sqrt
from random import Random
from statistics import NormalDist, fmean
from typing import TypeVar

Test = TypeVar("Test")

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Resamples of an interval."""
FLIPS = 10_000
"""Random flips of signs of a test that has too many scenarios to try all flips."""
MOST_EXACT = 12
"""Scenarios with a difference for which a test tries all flips, 4,096 of them."""
FEWEST_CLUSTERS = 10
"""Scenarios that an interval by resampling needs. With fewer it would be too narrow."""
BOOTSTRAP, WILSON = "bootstrap", "Wilson"
_RANDOM_SEED = 1


@dataclass(frozen=True)
class Estimate:
    """A mean over scenarios with its interval of 95 %. `method` says how the interval was made."""

    value: float
    low: float
    high: float
    scenarios: int
    method: str


def pass_power_k(trials: int, successes: int, k: int) -> float:
    """Returns the chance that k trials, drawn without putting back, are all successes. Source: tau-bench, pass^k."""
    return comb(successes, k) / comb(trials, k)


def pass_at_k(trials: int, successes: int, k: int) -> float:
    """Returns the chance that one of k trials, drawn without putting back, is a success. Source: HumanEval, pass@k."""
    return 1 - comb(trials - successes, k) / comb(trials, k)


def estimate_share(values: Sequence[float]) -> Estimate | None:
    """Returns the mean of the scenarios' shares, each from 0 to 1. None without a scenario.

    A scenario is drawn as a whole, because trials of one scenario resemble each other. With few scenarios, or if all of
    them have the same share, resampling would show too little spread. Then it is Wilson's interval with scenarios as
    its number, which is too wide rather than too narrow, because no values from 0 to 1 with this mean vary more.
    """
    if not values:
        return None
    value = fmean(values)
    if len(values) < FEWEST_CLUSTERS or min(values) == max(values):
        return Estimate(value, *wilson_interval(value, len(values)), len(values), WILSON)
    return Estimate(value, *bootstrap_interval(values), len(values), BOOTSTRAP)


def wilson_interval(share: float, number: int) -> tuple[float, float]:
    """Returns Wilson's score interval of a share of `number` independent observations."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    spread = 1 + z * z / number
    center = (share + z * z / (2 * number)) / spread
    half = z / spread * sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    return min(share, max(0.0, center - half)), max(share, min(1.0, center + half))


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns the percentile interval of the mean, from resamples of the values with a fixed seed."""
    random = Random(_RANDOM_SEED)  # noqa: S311 - nothing here is secret
    means = sorted(fmean(random.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    return means[int(tail * RESAMPLES)], means[RESAMPLES - 1 - int(tail * RESAMPLES)]


def difference_interval(differences: Sequence[float], *, is_share: bool) -> tuple[float, float] | None:
    """Returns the interval of the mean difference of scenarios, None where there are too few scenarios.

    A difference of shares lies between -1 and 1, so few scenarios can have Wilson's interval, stretched to that range.
    """
    if is_share:
        estimate = estimate_share([(each + 1) / 2 for each in differences])
        return (2 * estimate.low - 1, 2 * estimate.high - 1) if estimate else None
    return bootstrap_interval(differences) if len(differences) >= FEWEST_CLUSTERS else None


def smallest_p(number: int) -> float:
    """Returns the smallest p value that so many differences can have in the permutation test: all have one sign."""
    return min(1.0, 2.0 ** (1 - number))


def permutation_p(differences: Sequence[float]) -> float:
    """Returns the two-sided p value of a paired permutation test.

    Without a real difference, each scenario's difference has either sign with the same chance. The p value is the share
    of flips of signs whose sum is at least as far from 0. All flips are tried, or many random ones with a fixed seed.
    """
    nonzero = [each for each in differences if each]
    if not nonzero:
        return 1.0
    limit = abs(sum(nonzero)) * (1 - 1e-9)
    if len(nonzero) <= MOST_EXACT:
        flips = list(product((1, -1), repeat=len(nonzero)))
        extreme = sum(
            abs(sum(sign * each for sign, each in zip(flip, nonzero, strict=True))) >= limit for flip in flips
        )
        return extreme / len(flips)
    random = Random(_RANDOM_SEED)  # noqa: S311 - nothing here is secret
    extreme = 0
    for _ in range(FLIPS):
        bits = random.getrandbits(len(nonzero))
        total = sum(each if bits >> place & 1 else -each for place, each in enumerate(nonzero))
        extreme += abs(total) >= limit
    return (1 + extreme) / (1 + FLIPS)


def adjust_holm(values: Mapping[Test, float]) -> dict[Test, float]:
    """Returns the p values with Holm's correction for the number of tests, by the same keys."""
    largest = 0.0
    adjusted: dict[Test, float] = {}
    for rank, (name, value) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, value * (len(values) - rank)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in values}
