"""The command line of the evaluation: the scripted agents for the table of the documentation, or an agent of yours."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated

import anyio
import typer

from .agents import Agent
from .grading import Result
from .report import make_table, replace_table, run_scripted_agents, summarize
from .scenario import OWN_SCENARIOS, Scenario, ScenarioError, ScenarioFolder, read_folder
from .trial import evaluate

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

AGENT_FAILED, USAGE_ERROR = 1, 2
"""Exit codes."""


@app.command()
def main(
    scenarios: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A folder with scenarios of your own.", show_default="those of the project"
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only scenarios that have this in their name, for instance payments_.")
    ] = "",
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Your agent, async def NAME(request, client) -> str. Prints one line for each scenario.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each result as one line of JSON.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table between the markers of this file.")
    ] = None,
) -> None:
    """Runs the evaluation scenarios. Without options, prints a table of the scripted agents.

    \b
    python -m roadster_evals
    python -m roadster_evals --write docs/develop/scenarios.md      # the same as: make evals
    python -m roadster_evals --agent my_module:my_agent --only payments_

    A scenario with a mistake is named on stderr, and the others run.

    Exit codes: 0 done, 1 your agent or the reference did not solve every scenario, 2 a mistake in the options or files.
    """  # noqa: D301  # typer does not wrap the lines after a \b
    logging.basicConfig(handlers=[logging.NullHandler()])  # the server's log would appear between the results
    try:
        contents = read_folder(scenarios or OWN_SCENARIOS)
        _report_mistakes(contents, write)
        selection = _select(contents.scenarios, only)
        results = (
            anyio.run(run_scripted_agents, selection)
            if agent is None
            else anyio.run(evaluate, {agent: _import_agent(agent)}, selection)
        )
    except (ScenarioError, _UsageError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(USAGE_ERROR) from None
    if as_json:
        for result in results:
            typer.echo(json.dumps(result.json(), ensure_ascii=False))
    elif agent is not None:
        _print_results(results)
    elif write is not None:
        write.write_text(replace_table(write.read_text("utf-8"), make_table(selection, results)), "utf-8")
    else:
        typer.echo(make_table(selection, results), nl=False)
    raise typer.Exit(_exit_code(contents, results, agent is not None))


class _UsageError(Exception):
    """A mistake in the options."""


def _report_mistakes(contents: ScenarioFolder, write: Path | None) -> None:
    """Names the scenarios that cannot be used. Raises _UsageError if nothing can be done without them."""
    for problem in contents.problems:
        typer.echo(problem, err=True)
    if not contents.scenarios:
        raise _UsageError("none of the scenarios can be used")
    if write is not None and contents.problems:
        raise _UsageError(f"--write {write}: nothing is written, because the table would lack these scenarios")


def _exit_code(contents: ScenarioFolder, results: Sequence[Result], of_an_agent: bool) -> int:
    """Names the scenarios that turned out to be broken, and returns the exit code."""
    reasons = {result.scenario: result.problems[0] for result in results if result.is_broken}
    for name, problem in reasons.items():
        typer.echo(f"{name}: {problem}", err=True)
    if reasons or contents.problems:
        return USAGE_ERROR
    # The bad agents must fail. Where the reference fails, the scenario has a mistake of its author.
    failures = [result for result in results if not result.success and (of_an_agent or result.agent == "reference")]
    if not of_an_agent:
        for result in failures:
            typer.echo(f"{result.scenario}: the reference does not solve it: {result.problems[0]}", err=True)
    return AGENT_FAILED if failures else 0


def _select(scenarios: Sequence[Scenario], text: str) -> Sequence[Scenario]:
    selection = [scenario for scenario in scenarios if text in scenario.name]
    if not selection:
        near = get_close_matches(text, [scenario.name for scenario in scenarios], cutoff=0)
        raise _UsageError(f"--only {text}: no scenario has this in its name; the nearest are {', '.join(near)}")
    return selection


def _import_agent(name: str) -> Agent:
    module, _, attribute = name.partition(":")
    try:
        agent: Agent = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise _UsageError(f"--agent {name}: {error}; write MODULE:NAME") from None
    return agent


def _print_results(results: Sequence[Result]) -> None:
    for result in results:
        verdict = "; ".join(result.problems) or f"solved with {result.calls} calls and {result.tokens:,} tokens"
        typer.echo(f"{result.scenario}: {verdict}")
    typer.echo(", ".join(f"{name} {value:,}" for name, value in summarize(results).items()))


if __name__ == "__main__":
    app(prog_name="python -m roadster_evals")
