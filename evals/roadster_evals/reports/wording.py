"""The words of reports: values, counts, shares and tables, and what a run lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line

from .estimates import WILSON, Estimate


def describe_gaps(header: Line, results: Sequence[Result]) -> Iterator[str]:
    """Yields what must be known before the figures are read: trials are lacking, or the agent was unavailable."""
    total, count = header.get("total"), len(results)
    if isinstance(total, int) and count < total:
        yield f"{count:,} of {format_count(total, 'trial')}, the run is incomplete"
    if unavailable_trials := sum(result.is_unavailable for result in results):
        yield (
            f"the agent was unavailable in {format_count(unavailable_trials, 'trial')}; "
            "the command that wrote the file tries them again"
        )


def describe(value: Any) -> str:
    """Returns a value of the header in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {describe(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(describe, value)) or "none"
    text = "none" if value in (None, "") else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def format_count(number: int, noun: str) -> str:
    """Returns the number with its noun, for instance `1 trial` or `2 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_share(estimate: Estimate | None) -> str:
    """Returns an estimate in percent, for instance `67 % (52-80)`, or a dash without one."""
    if estimate is None:
        return "-"
    mark = "w" if estimate.method == WILSON else ""
    return f"{estimate.value:.0%} ({100 * estimate.low:.0f}-{100 * estimate.high:.0f}{mark})".replace("%", " %")


def format_amount(value: float) -> str:
    """Returns an amount of money with three significant figures, for instance `0.00123` or `1,230`."""
    return f"{Decimal(f'{value:.3g}'):,f}"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns a line for each row, with its cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
