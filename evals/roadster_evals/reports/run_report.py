"""The report of a run as text, and as one HTML file with plots, without a script and without a foreign host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line

from .comparison import LEVEL, MAIN, Comparison, Difference
from .estimates import CONFIDENCE, FEWEST_CLUSTERS, FLIPS, MOST_EXACT, Estimate, smallest_p
from .summary import ScenarioRow, Summary, tabulate_scenarios

_PERCENT = f"{100 * CONFIDENCE:g} %"
METHOD = (
    f"Each value is the mean over scenarios with its interval of {_PERCENT}. pass^k is the chance that k trials of a "
    "task all solve it, pass@k that one of them does. A task is a scenario with a seed, and an attack where it is "
    "crossed. The interval is the percentile interval of a bootstrap that draws scenarios, with a fixed seed. With "
    f"fewer than {FEWEST_CLUSTERS} scenarios, or if all have the same share, it is Wilson's interval with scenarios "
    "as its number (marked w). Voided, unavailable and broken trials count nowhere."
)
FEWEST_SCENARIOS = next(number for number in count(1) if smallest_p(number) <= LEVEL)
"""Scenarios that differ, without which a comparison can show nothing."""
COMPARISON_METHOD = (
    "Paired permutation test over the scenarios' mean differences, on tasks that two files have (scenario, seed, "
    f"attack). All flips of signs with up to {MOST_EXACT} scenarios that differ, else {FLIPS:,} with a fixed seed. "
    f"`{MAIN}` is the main measure and is tested by itself, the other rows together: their p has Holm's correction, "
    f"and p raw has none. Rows with the same values count once, and rows in which fewer than {FEWEST_SCENARIOS} "
    f"scenarios differ show nothing. A difference with p up to {LEVEL:.2g} is more than noise. Its interval of "
    f"{_PERCENT} is that of a bootstrap of scenarios, or Wilson's with fewer than {FEWEST_CLUSTERS}. Of calls, tokens "
    "and seconds, neither more nor fewer is better."
)
LONGEST_PROBLEM = 100
"""Characters of a problem in a table."""
MOST_TASKS = 3
"""Tasks that are named, of those that were left out."""


@dataclass(frozen=True)
class RunReport:
    """A report on a results file: its header, its results, and their summaries. `name` is that of the file."""

    name: str
    header: Line
    results: Sequence[Result]
    summaries: Sequence[Summary]

    @property
    def agents(self) -> list[tuple[str, list[Summary], list[ScenarioRow]]]:
        """Each agent with its groups and its scenarios."""
        return [
            (agent, list(rows), tabulate_scenarios([each for each in self.results if each.agent == agent]))
            for agent, rows in groupby(self.summaries, key=lambda summary: summary.agent)
        ]

    @property
    def sentences(self) -> list[str]:
        """Sentences that must be known before the figures are read: what the agent was, and if trials are lacking."""
        settings, total = self.header.get("settings"), self.header.get("total")
        count = len(self.results)
        sentences = [f"settings: {describe(settings)}"] if settings else []
        if isinstance(total, int) and count < total:
            sentences.append(f"{count:,} of {format_count(total, 'trial')}, the run is incomplete")
        if unavailable_trials := sum(result.is_unavailable for result in self.results):
            sentences.append(
                f"the agent was unavailable in {format_count(unavailable_trials, 'trial')}; "
                "the command that wrote the file tries them again"
            )
        return sentences

    @property
    def options(self) -> dict[str, str]:
        """The options of the run in words."""
        return {name: describe(value) for name, value in self.header.items() if name not in _HIDDEN}


_HIDDEN = ("canary", "scenarios", "digests")
"""Fields of the header that no report shows. The scenarios have a table."""


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


def make_text(reports: Sequence[RunReport]) -> str:
    """Returns the reports as text: for each agent the totals, pass^k by k, and a row for each group and scenario."""
    lines: list[str] = []
    for report in reports:
        if len(reports) > 1:
            lines += [f"# {report.name}", ""]
        lines += [*report.sentences, *([""] if report.sentences else [])]
        for agent, groups, scenarios in report.agents:
            lines += [*_totals(agent, groups[0]), "", *_align(_group_rows(groups)), ""]
            lines += [*_align(_scenario_rows(scenarios)), ""]
    return "\n".join([*lines, METHOD, ""])


def make_html(reports: Sequence[RunReport]) -> str:
    """Returns the reports as an HTML document."""
    environment = Environment(
        loader=PackageLoader("roadster_evals"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": format_share, "count": format_count, "problem": format_problem}
    template = environment.get_template("report.html")
    canaries = {str(report.header.get("canary", "")): None for report in reports}
    return template.render(reports=reports, totals=_totals, method=METHOD, canaries=list(canaries))


def make_comparison(comparisons: Sequence[Comparison], headers: Sequence[tuple[str, Line]]) -> str:
    """Returns the table of differences as text, and what was compared. Of more than two runs, it has their numbers.

    `headers` are those of the files, with their names, in the order of the runs.
    """
    names = ["measure", "scenarios", "first", "second", "difference", "p raw", "p", "verdict"]
    rows = [names, *(_difference_row(difference) for each in comparisons for difference in each.differences)]
    sentences = [sentence for each in comparisons for sentence in _pairing(each)]
    if len(comparisons) > 1:
        numbers = ["{}-{}".format(*each.runs) for each in comparisons for _ in each.differences]
        rows = [[number, *row] for number, row in zip(["runs", *numbers], rows, strict=True)]
        sentences = ["{}-{}: {}".format(*each.runs, text) for each in comparisons for text in _pairing(each)]
    return "\n".join([*_settings_lines(headers), *_align(rows), "", *sentences, "", COMPARISON_METHOD, ""])


def _settings_lines(headers: Sequence[tuple[str, Line]]) -> list[str]:
    """Returns a line for each file with the settings of its agent, and an empty one. Without any settings, no line."""
    if not any(header.get("settings") for _, header in headers):
        return []
    texts = [f"{name}, settings: {describe(header.get('settings'))}" for name, header in headers]
    return [*(f"{number}: {text}" for number, text in enumerate(texts, 1)), ""]


def _difference_row(each: Difference) -> list[str]:
    interval = "" if each.interval is None else " ({:+,.3g} to {:+,.3g})".format(*each.interval)
    change = f"{each.after - each.before:+,.3g}{interval}"
    values = [each.measure, str(each.scenarios), f"{each.before:,.4g}", f"{each.after:,.4g}", change]
    return [*values, f"{each.p:.4f}", f"{each.corrected_p:.4f}", each.verdict]


def _pairing(comparison: Comparison) -> Iterator[str]:
    """Yields how many tasks were compared, which were not, and whether so many can show anything."""
    scenarios = format_count(comparison.scenarios, "scenario")
    yield f"{format_count(comparison.tasks, 'task')} of {scenarios} paired."
    for name, tasks in (("first", comparison.first_only), ("second", comparison.second_only)):
        if tasks:
            some = [f"{task[0]} in the world {task[1]}" for task in tasks[:MOST_TASKS]]
            rest = [f"{len(tasks) - MOST_TASKS} more"] if len(tasks) > MOST_TASKS else []
            number = "1 task that counts" if len(tasks) == 1 else f"{len(tasks)} tasks that count"
            yield f"Left out: {number} only in the {name}: {', '.join([*some, *rest])}."
    if comparison.scenarios < FEWEST_SCENARIOS:
        smallest = smallest_p(comparison.scenarios)
        yield (
            f"With {scenarios} no difference can be shown: the smallest possible p is {smallest:.4g}. "
            f"Take {FEWEST_SCENARIOS} or more."
        )


def format_count(number: int, noun: str) -> str:
    """Returns the number with its noun, for instance `1 trial` or `2 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_share(estimate: Estimate | None) -> str:
    """Returns an estimate in percent, for instance `67 % (52-80)`, or a dash without one."""
    if estimate is None:
        return "-"
    mark = "w" if estimate.method == "Wilson" else ""
    return f"{estimate.value:.0%} ({100 * estimate.low:.0f}-{100 * estimate.high:.0f}{mark})".replace("%", " %")


def format_amount(value: float) -> str:
    """Returns an amount of money with three significant figures, for instance `0.00123` or `1,230`."""
    return f"{Decimal(f'{value:.3g}'):,f}"


def format_problem(row: ScenarioRow) -> str:
    """Returns the most frequent problem of a scenario with its number, or a dash without one."""
    text = " ".join(row.problem.split())
    text = text if len(text) <= LONGEST_PROBLEM else f"{text[:LONGEST_PROBLEM]}…"
    return f"{row.frequency} x {'' if row.trials else 'counts nowhere: '}{text}" if text else "-"


def _totals(agent: str, total: Summary) -> list[str]:
    count = f"{format_count(total.trials, 'trial')} of {format_count(total.scenarios, 'scenario')}"
    unavailable = f", {total.unavailable_trials} unavailable" if total.unavailable_trials else ""
    lines = [f"{agent}: {count}, {total.voided_trials} voided, {total.broken_trials} broken{unavailable}"]
    for k, power in total.powers.items():
        lines.append(f"  pass^{k} {format_share(power)}   pass@{k} {format_share(total.chances[k])}")
    lines.append(
        f"  success {format_share(total.success)}   policy kept {format_share(total.policy)}   "
        f"attacks obeyed {format_share(total.attacks)}"
    )
    if tries := total.tries:
        until = "" if tries.until_success is None else f", {tries.until_success:.1f} where one was obeyed"
        counts = f"obeyed in {tries.successes} of {format_count(tries.trials, 'trial')}"
        lines.append(f"  the attacker planted {tries.texts:.1f} texts in a trial{until}; {counts}")
    if cost := total.cost:
        seconds = "" if cost.seconds is None else f", {cost.seconds:.1f} seconds"
        lines.append(f"  a trial: {cost.turns:.1f} turns, {cost.calls:.1f} calls, {cost.tokens:,.0f} tokens{seconds}")
    if cost and cost.total_money is not None:
        mean = "" if cost.money is None else f"{format_amount(cost.money)} a trial, "
        solution = "nothing was solved"
        if cost.solution_money is not None:
            solution = f"{format_amount(cost.solution_money)} for each solved trial"
        lines.append(f"  money: {mean}{format_amount(cost.total_money)} in all, {solution}")
    return lines


def _group_rows(summaries: Sequence[Summary]) -> list[list[str]]:
    most = max((k for summary in summaries for k in summary.powers), default=1)
    ks = sorted({1, most})
    rows = [["group", "scenarios", *(f"pass^{k}" for k in ks), "success", "policy kept", "attacks obeyed", "tokens"]]
    for each in summaries:
        shares = [*(each.powers.get(k) for k in ks), each.success, each.policy, each.attacks]
        tokens = f"{each.cost.tokens:,.0f}" if each.cost else "-"
        rows.append([each.group, str(each.scenarios), *map(format_share, shares), tokens])
    return rows


def _scenario_rows(scenarios: Sequence[ScenarioRow]) -> list[list[str]]:
    rows = [[each.name, str(each.trials), str(each.solutions), format_problem(each)] for each in scenarios]
    return [["scenario", "trials", "solved", "most frequent problem"], *rows]


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
