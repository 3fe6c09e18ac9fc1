"""The command line of the evaluation: the scripted agents for the table of the documentation, or an agent of yours."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from .agents.scripted import BAD_AGENTS
from .commands import compare, report
from .grading.result import Result
from .harness.commands import export, grade, reply, serve
from .listing import list_scenarios
from .reports.agents_table import make_table, replace_table, result_lines
from .reports.summary import all_solved, counted
from .runs.results_file import Line, ResultsFile
from .runs.run import (
    ADAPTIVE,
    EVERY_SCRIPTED,
    MOST_TRIES,
    MOST_UNAVAILABLE,
    Plan,
    import_name,
    parse_seeds,
    read_settings,
    run,
    units_of,
)
from .scenario_files.attacks import GOALS, STYLES, choose
from .scenario_files.folder import (
    OWN_SCENARIOS,
    ScenarioFolder,
    Template,
    check_crossings,
    explain,
    read_folder,
    select,
)
from .scenario_files.held_out import read_secret
from .usage import FAILED, USAGE_ERROR, UsageError, usage_errors

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("list")(list_scenarios)
app.command("report")(report)
app.command("compare")(compare)
app.command("serve")(serve)
app.command("reply")(reply)
app.command("grade")(grade)
app.command("export")(export)

TRIALS_A_WORKER = 20
"""Trials that make it worth while to start another process, which takes as long as that many trials."""


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    scenarios: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A folder with scenarios of your own.", show_default="those of the project"
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only scenarios with this in their name, or as a tag.")
    ] = "",
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Your agent, async def NAME(message, client) -> str, or a class of such, or a scripted agent's name. "
            "Prints one line for each trial.",
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Plays the persons: async def NAME(brief, messages) -> str.",
            show_default="their scripts",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="The worlds, for instance 1-20 or 1-5,9.")] = "7",
    secret_seed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A file whose content only you know. The worlds are made from it and --seeds."
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Trials of each scenario in each world.")
    ] = 1,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write each result into this file. A run that was interrupted goes on."),
    ] = None,
    goals: Annotated[
        str, typer.Option(metavar="GOALS", help="Cross the attacks with these goals of attackers, or all.")
    ] = "",
    styles: Annotated[str, typer.Option(metavar="STYLES", help="Cross the attacks with these styles, or all.")] = "",
    attacker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Plants other texts until one is obeyed: adaptive, or MODULE:NAME of yours."),
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The attacker's budget: texts in each trial.", show_default="5"),
    ] = None,
    transcripts: Annotated[bool, typer.Option("--transcripts", help="Write each talk into its result.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes.", show_default="one for each processor")
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
    python -m roadster_evals list --only events
    python -m roadster_evals --agent my_module:my_agent --only payments_
    python -m roadster_evals --agent my_module:MyAgent --seeds 1-20 --trials 4 --results mine.jsonl
    python -m roadster_evals report mine.jsonl --out report.html
    python -m roadster_evals compare before.jsonl after.jsonl

    A scenario with a mistake is named on stderr, and the others run.

    Exit codes: 0 done, 1 your agent or the reference did not solve every trial or a bad agent did one, 2 a mistake in
    the options or files.
    """  # noqa: D301  # typer does not wrap the lines after a \b
    if context.invoked_subcommand:
        return
    logging.basicConfig(handlers=[logging.NullHandler()])  # the server's log would appear between the results
    with usage_errors():
        if write is not None:
            _check_document(write, agent, as_json)
        if transcripts and not (results or as_json):
            raise UsageError("--transcripts: writes each talk into its result; add --results FILE or --json")
        if tries is not None and attacker is None:
            raise UsageError("--tries: is the budget of an attacker; add --attacker")
        contents = read_folder(scenarios or OWN_SCENARIOS)
        _report_mistakes(contents, write)
        templates = select(contents.templates, only)
        plan = Plan(
            scenarios=tuple(template.name for template in templates),
            agent=agent or EVERY_SCRIPTED,
            settings=read_settings(agent) if agent else None,
            folder=str(scenarios) if scenarios else None,
            seeds=parse_seeds(seeds),
            trials=trials,
            secret=read_secret(secret_seed) if secret_seed else None,
            person=person,
            goals=choose("--goals", goals, GOALS),
            styles=choose("--styles", styles, STYLES),
            attacker=attacker,
            tries=tries or MOST_TRIES,
            transcripts=transcripts,
        )
        if person is not None:
            import_name(person)
        if attacker not in (None, ADAPTIVE):
            import_name(attacker, [ADAPTIVE])
        _refuse_idle_options(plan, templates)
        lines, total = _run(plan, results, workers)
    _print(lines, agent, as_json, write)
    grades = [Result.from_json(line) for line in lines]
    is_complete = _report_unavailable(grades, total - len(lines), has_file=results is not None)
    exit_code = _exit_code(contents, grades, agent not in (None, *BAD_AGENTS))
    raise typer.Exit(exit_code or (0 if is_complete else FAILED))


def _check_document(path: Path, agent: str | None, as_json: bool) -> None:
    """Raises UsageError if the table cannot be written into the document at the end."""
    if agent or as_json:
        raise UsageError("--write: writes the table of all scripted agents; leave --agent and --json out")
    try:
        replace_table(path.read_text("utf-8"), "")
    except (OSError, ValueError) as error:
        raise UsageError(f"--write {path}: {explain(error)}") from None


def _refuse_idle_options(plan: Plan, templates: Sequence[Template]) -> None:
    """Raises UsageError for an option that would do nothing at these scenarios."""
    check_crossings(templates, {"--goals": plan.goals, "--styles": plan.styles, "--attacker": plan.attacker})
    if plan.attacker and len(plan.styles) > 1:
        raise UsageError("--styles: the attacker chooses the style after its first text; name one style for that")
    if plan.person and not any("person" in template.fields for template in templates):
        raise UsageError("--person: none of these scenarios has a person")


def _run(plan: Plan, path: Path | None, workers: int | None) -> tuple[list[Line], int]:
    """Returns the results, and the number of all trials. There are more if the run has stopped early."""
    total = len(units_of(plan))
    with ResultsFile(path, {**plan.header(), "total": total}) if path else nullcontext() as file:
        count = total - len(file.lines if file else ())
        workers = workers or max(1, min(os.cpu_count() or 1, count // TRIALS_A_WORKER))
        with _progress_bar(count) as progress:
            return run(plan, file, workers=workers, progress=progress), total


@contextmanager
def _progress_bar(length: int) -> Iterator[Any]:
    """Yields a function that moves a bar on stderr, or does nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    with typer.progressbar(length=length, label="trials", file=sys.stderr, show_pos=True) as bar:
        yield lambda _count, _total: bar.update(1)


def _print(lines: Sequence[Line], agent: str | None, as_json: bool, write: Path | None) -> None:
    results = [Result.from_json(line) for line in lines]
    if as_json:
        for line in lines:
            typer.echo(json.dumps(line, ensure_ascii=False))
    elif agent is not None:
        for text in result_lines(results):
            typer.echo(text)
    elif write is not None:
        write.write_text(replace_table(write.read_text("utf-8"), make_table(results)), "utf-8")
    else:
        typer.echo(make_table(results), nl=False)


def _report_mistakes(contents: ScenarioFolder, write: Path | None) -> None:
    """Names the scenarios that cannot be used. Raises UsageError if nothing can be done without them."""
    for problem in contents.problems:
        typer.echo(problem, err=True)
    if not contents.templates:
        raise UsageError("none of the scenarios can be used")
    if write is not None and contents.problems:
        raise UsageError(f"--write {write}: nothing is written, because the table would lack these scenarios")


def _report_unavailable(results: Sequence[Result], trials_left: int, *, has_file: bool) -> bool:
    """Says in how many trials the agent was unavailable, why, and how to go on. Returns whether it was never so."""
    reasons = Counter(text for result in results if result.is_unavailable for text in result.voided)
    if not reasons:
        return True
    [(reason, _)] = reasons.most_common(1)
    count = sum(result.is_unavailable for result in results)
    stop = f"\nThe run has stopped, because it was so in {MOST_UNAVAILABLE} in a row. {trials_left:,} are left."
    mend = "The same command goes on" if has_file else "With --results FILE, the same command goes on"
    typer.echo(
        f"The agent was unavailable in {count:,} of {len(results):,} trials, which count nowhere. The most frequent "
        f"reason is {reason.removeprefix('unavailable: ')}{stop if trials_left else ''}\n"
        f"{mend} when that is mended, and tries these again.",
        err=True,
    )
    return False


def _exit_code(contents: ScenarioFolder, results: Sequence[Result], must_solve: bool) -> int:
    """Names the scenarios that turned out to be broken, and other mistakes in them. Returns the exit code."""
    problems = {result.scenario: result.problems[0] for result in results if result.is_broken}
    mistakes = [*_author_mistakes(counted(results))]
    for text in [*(f"{name}: {problem}" for name, problem in problems.items()), *mistakes]:
        typer.echo(text, err=True)
    if problems or contents.problems:
        return USAGE_ERROR
    return FAILED if mistakes or not counted(results) or (must_solve and not all_solved(results)) else 0


def _author_mistakes(results: Sequence[Result]) -> Iterator[str]:
    """Yields the mistakes in scenarios that the scripted agents show: the reference fails, or a bad agent does not."""
    for result in results:
        place = f"{result.scenario}, seed {result.seed}"
        if result.agent == "reference" and not result.solved:
            reason = (*result.problems, *result.violations, "it obeyed planted text")[0]
            yield f"{place}: the reference does not solve it: {reason}"
        elif result.agent in BAD_AGENTS and result.solved:
            yield f"{place}: the {result.agent} solves it, so what is expected does not show its habit"


if __name__ == "__main__":
    app(prog_name="python -m roadster_evals")
