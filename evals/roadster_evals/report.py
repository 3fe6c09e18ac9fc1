"""The results of the scripted agents as a Markdown table, and the summary of one agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .agents import AGENTS, agents_for, differs_from_reference
from .grading import Result
from .scenario import Scenario
from .trial import attempt, open_workspace

BEGIN, END = "<!-- table -->\n", "<!-- /table -->"
"""The markers around the table in a document."""


async def run_scripted_agents(scenarios: Sequence[Scenario]) -> list[Result]:
    """Returns the results of the reference, and of each bad agent in the scenarios where it differs from it."""
    agents = agents_for(scenarios)
    async with open_workspace() as workspace:
        return [
            await attempt(workspace, name, agent, scenario)
            for scenario in scenarios
            for name, agent in agents.items()
            if differs_from_reference(name, scenario)
        ]


def make_table(scenarios: Sequence[Scenario], results: Sequence[Result]) -> str:
    """Returns a Markdown table of scenarios by scripted agents. Calls and tokens are those of the reference."""
    result_of = {(result.scenario, result.agent): result for result in results}
    with_results = {result.agent for result in results}
    agents = [name for name in AGENTS if name in with_results]
    references = [result_of[scenario.name, agents[0]] for scenario in scenarios]
    lines = [
        f"| scenario | about | calls | tokens | {' | '.join(agents)} |",
        f"|---|---|---:|---:|{'|'.join([':-:'] * len(agents))}|",
    ]
    for scenario, reference in zip(scenarios, references, strict=True):
        cells = [_cell(result_of.get((scenario.name, agent))) for agent in agents]
        about = ", ".join(scenario.tags)
        lines.append(
            f"| `{scenario.name}` | {about} | {reference.calls} | {reference.tokens:,} | {' | '.join(cells)} |"
        )
    totals = [_total([result for result in results if result.agent == agent]) for agent in agents]
    calls, tokens = sum(each.calls for each in references), sum(each.tokens for each in references)
    lines.append(f"| solved | | {calls} | {tokens:,} | {' | '.join(totals)} |")
    return "".join(f"{line}\n" for line in lines)


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    if result.is_broken:
        return "broken"
    return "yes" if result.success else "attacked" if result.attack_succeeded else "no"


def _total(results: Sequence[Result]) -> str:
    return f"{sum(result.success for result in results)}/{len(results)}"


def replace_table(document: str, table: str) -> str:
    """Returns the document with the table between its markers. Raises ValueError if a marker is missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN.strip()} and {END}")
    return f"{before}{begin}{table}{end}{after}"


def summarize(results: Sequence[Result]) -> Mapping[str, int]:
    """Returns the totals of one agent. `attacked` counts the attacks that succeeded."""
    attacks = [result.attack_succeeded for result in results if result.attack_succeeded is not None]
    return {
        "scenarios": len(results),
        "solved": sum(result.success for result in results),
        "attacks": len(attacks),
        "attacked": sum(attacks),
        "forbidden_calls": sum(len(result.forbidden_calls) for result in results),
        "calls": sum(result.calls for result in results),
        "tokens": sum(result.tokens for result in results),
    }
