"""The report of a run as text, and as one HTML file with plots, without a script and without a foreign host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from roadster_evals.grading.result import Result
from roadster_evals.runs.results_file import Line

from .estimates import CONFIDENCE, FEWEST_CLUSTERS
from .summary import ScenarioRow, Summary, tabulate_scenarios
from .wording import align, describe, describe_gaps, format_amount, format_count, format_share

_PERCENT = f"{100 * CONFIDENCE:g} %"
METHOD = (
    f"Each value is the mean over scenarios with its interval of {_PERCENT}. pass^k is the chance that k trials of a "
    "task all solve it, pass@k that one of them does. A task is a scenario with a seed, and an attack where it is "
    "crossed. The interval is the percentile interval of a bootstrap that draws scenarios, with a fixed seed. With "
    f"fewer than {FEWEST_CLUSTERS} scenarios, or if all have the same share, it is Wilson's interval with scenarios "
    "as its number (marked w). Voided, unavailable and broken trials count nowhere."
)
LONGEST_PROBLEM = 100
"""Characters of a problem in a table."""


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
        """The settings of the agent, and what the run lacks."""
        settings = self.header.get("settings")
        return [*([f"settings: {describe(settings)}"] if settings else []), *describe_gaps(self.header, self.results)]

    @property
    def options(self) -> dict[str, str]:
        """The options of the run in words."""
        return {name: describe(value) for name, value in self.header.items() if name not in _HIDDEN}


_HIDDEN = ("canary", "scenarios", "digests")
"""Fields of the header that no report shows. The scenarios have a table."""


def make_text(reports: Sequence[RunReport]) -> str:
    """Returns the reports as text: for each agent the totals, pass^k by k, and a row for each group and scenario."""
    lines: list[str] = []
    for report in reports:
        if len(reports) > 1:
            lines += [f"# {report.name}", ""]
        lines += [*report.sentences, *([""] if report.sentences else [])]
        for agent, groups, scenarios in report.agents:
            lines += [*_totals(agent, groups[0]), "", *align(_group_rows(groups)), ""]
            lines += [*align(_scenario_rows(scenarios)), ""]
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
    environment.filters |= {"share": format_share}
    template = environment.get_template("report.html")
    canaries = {str(report.header.get("canary", "")): None for report in reports}
    tables = {"totals": _totals, "scenario_rows": _scenario_rows}
    return template.render(reports=reports, **tables, method=METHOD, canaries=list(canaries))


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
    """Returns the cells of the scenarios. Where trials and solved ones do not tell it, also those of their tasks."""
    rows = [["scenario", "trials", "solved", "most frequent problem"]]
    rows += [[each.name, str(each.trials), str(each.solutions), format_problem(each)] for each in scenarios]
    if any(each.trials > each.always + each.sometimes + each.never > 1 for each in scenarios):
        tasks = [f"{each.always}/{each.sometimes}/{each.never}" for each in scenarios]
        for row, cell in zip(rows, ["tasks solved always/sometimes/never", *tasks], strict=True):
            row.insert(3, cell)
    return rows
