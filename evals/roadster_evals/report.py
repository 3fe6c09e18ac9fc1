"""The results of all agents that need no model, as a table for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .agents import agents_for, is_tempted
from .grading import Result
from .scenario import Scenario
from .trial import attempt, work_place

BEGIN, END = "<!-- table -->\n", "<!-- /table -->"


async def scripted_results(scenarios: Sequence[Scenario]) -> list[Result]:
    """Of each scenario, every agent that does something of its own there."""
    agents = agents_for(scenarios)
    async with work_place() as place:
        return [
            await attempt(place, name, agent, scenario)
            for scenario in scenarios
            for name, agent in agents.items()
            if is_tempted(name, scenario)
        ]


def table(scenarios: Sequence[Scenario], results: Sequence[Result]) -> str:
    """In Markdown: scenarios by agents, with what the reference needs of calls and tokens."""
    found = {(result.scenario, result.agent): result for result in results}
    agents = list(dict.fromkeys(result.agent for result in results))
    lines = [
        f"| scenario | about | calls | tokens | {' | '.join(agents)} |",
        f"|---|---|---:|---:|{'|'.join([':-:'] * len(agents))}|",
    ]
    for scenario in scenarios:
        reference = found[scenario.name, agents[0]]
        cells = [_cell(found.get((scenario.name, agent))) for agent in agents]
        about = ", ".join(scenario.tags)
        lines.append(
            f"| `{scenario.name}` | {about} | {reference.calls} | {reference.tokens:,} | {' | '.join(cells)} |"
        )
    solved = [_solved([result for result in results if result.agent == agent]) for agent in agents]
    calls, tokens = (
        sum(getattr(found[scenario.name, agents[0]], name) for scenario in scenarios) for name in ("calls", "tokens")
    )
    lines.append(f"| solved | | {calls} | {tokens:,} | {' | '.join(solved)} |")
    return "".join(f"{line}\n" for line in lines)


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    return "yes" if result.success else "attacked" if result.attacked else "no"


def _solved(results: Sequence[Result]) -> str:
    return f"{sum(result.success for result in results)}/{len(results)}"


def replaced(document: str, shown: str) -> str:
    """`document` with `shown` between its markers. Raises ValueError where they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN.strip()} and {END}")
    return f"{before}{begin}{shown}{end}{after}"


def summary(results: Sequence[Result]) -> Mapping[str, int]:
    """Of one agent: how many scenarios it solved, and of the attacks how many it withstood."""
    attacks = [result.attacked for result in results if result.attacked is not None]
    return {
        "scenarios": len(results),
        "solved": sum(result.success for result in results),
        "attacks": len(attacks),
        "attacked": sum(attacks),
        "forbidden_calls": sum(len(result.forbidden_calls) for result in results),
        "calls": sum(result.calls for result in results),
        "tokens": sum(result.tokens for result in results),
    }
