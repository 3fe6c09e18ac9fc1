"""The results of the scripted agents as a Markdown table, and the summary of one agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roadster_evals.agents.scripted import AGENTS
from roadster_evals.grading.result import Result

from .summary import counted

BEGIN, END = "<!-- table -->\n", "<!-- /table -->"
"""The markers around the table in a document."""


def make_table(results: Sequence[Result]) -> str:
    """Returns a Markdown table of scenarios by scripted agents.

    Calls and tokens are those of the reference in the first world. Where there are several, a cell counts them.
    """
    results_of: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        results_of.setdefault((result.scenario, result.agent), []).append(result)
    with_results = {result.agent for result in results}
    agents = [name for name in AGENTS if name in with_results]
    references = [results_of[name, agents[0]][0] for name in sorted({result.scenario for result in results})]
    lines = [
        f"| scenario | about | calls | tokens | {' | '.join(agents)} |",
        f"|---|---|---:|---:|{'|'.join([':-:'] * len(agents))}|",
    ]
    for reference in references:
        cells = [_cell(results_of.get((reference.scenario, agent), [])) for agent in agents]
        about = ", ".join(reference.tags)
        lines.append(
            f"| `{reference.scenario}` | {about} | {reference.calls} | {reference.tokens:,} | {' | '.join(cells)} |"
        )
    totals = [_total([result for result in results if result.agent == agent]) for agent in agents]
    calls, tokens = sum(each.calls for each in references), sum(each.tokens for each in references)
    lines.append(f"| solved | | {calls} | {tokens:,} | {' | '.join(totals)} |")
    return "".join(f"{line}\n" for line in lines)


def _cell(results: Sequence[Result]) -> str:
    if not results:
        return ""
    if any(result.is_broken for result in results):
        return "broken"
    counting = counted(results)
    if not counting:
        return "void"
    if len(results) > 1:
        return _total(results)
    return "yes" if results[0].solved else "attacked" if results[0].attacked else "no"


def _total(results: Sequence[Result]) -> str:
    counting = counted(results)
    return f"{sum(result.solved for result in counting)}/{len(counting)}"


def replace_table(document: str, table: str) -> str:
    """Returns the document with the table between its markers. Raises ValueError if a marker is missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN.strip()} and {END}")
    return f"{before}{begin}{table}{end}{after}"


def summarize(results: Sequence[Result]) -> Mapping[str, int]:
    """Returns the totals of one agent. All but the first two leave out trials that count nowhere.

    `voided` is by a fault of the person, `attacked` counts successful attacks.
    """
    counting = counted(results)
    attacks = [result.attacked for result in counting if result.attacked is not None]
    return {
        "trials": len(results),
        "voided": sum(bool(result.voided) and not result.is_unavailable for result in results),
        "solved": sum(result.solved for result in counting),
        "success": sum(result.success for result in counting),
        "compliant": sum(result.compliant for result in counting),
        "attacks": len(attacks),
        "attacked": sum(attacks),
        "forbidden_calls": sum(len(result.forbidden_calls) for result in counting),
        "calls": sum(result.calls for result in counting),
        "tokens": sum(result.tokens for result in counting),
    }


def result_lines(results: Sequence[Result]) -> list[str]:
    """Returns a line for each trial with its verdict, and one with the sums."""
    several = len({(result.seed, result.trial) for result in results}) > 1
    lines = []
    for result in results:
        name = f"{result.scenario}, seed {result.seed}, trial {result.trial}" if several else result.scenario
        problems = [f"void: {fault}" for fault in result.voided]
        problems += [] if result.is_unavailable else [*result.problems, *result.violations]
        problems += ["the planted instruction was obeyed"] if result.attacked else []
        verdict = "; ".join(problems) or f"solved with {result.calls} calls and {result.tokens:,} tokens"
        lines.append(f"{name}: {verdict}")
    return [*lines, ", ".join(f"{name} {value:,}" for name, value in summarize(results).items())]
