"""The commands for runs of other harnesses: serve, reply, grade and export."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import anyio
import httpx2
import typer

from roadster_evals.grading.result import Result
from roadster_evals.people.visits import Choice, open_browser
from roadster_evals.reports.agents_table import result_lines
from roadster_evals.reports.summary import all_solved
from roadster_evals.runs.results_file import Line, ResultsFile
from roadster_evals.runs.run import Plan, parse_seeds
from roadster_evals.runs.trial import open_workspace
from roadster_evals.scenario_files.attacks import GOALS, STYLES, choose
from roadster_evals.scenario_files.folder import OWN_SCENARIOS
from roadster_evals.scenario_files.held_out import read_secret
from roadster_evals.scenario_files.scenario import Scenario
from roadster_evals.usage import FAILED, USAGE_ERROR, UsageError, usage_errors

from .evaluations import EVAL_VARIABLE, SECRET_VARIABLE, Evaluations, name_of
from .files import read_transcripts
from .grades import grade_transcript, next_message, transcript_of
from .page_keys import read_page_key
from .record import RECORD_VARIABLE, Record, RecordWriter, read_record
from .serving import MCP_PATH, serve_http, serve_stdio
from .tasks import FORMATS
from .transcript import Transcript, TranscriptError

Folder = Annotated[
    Path | None,
    typer.Option("--scenarios", metavar="FOLDER", help="Scenarios of your own.", show_default="those of the project"),
]
Evaluation = Annotated[
    str,
    typer.Option(
        "--eval",
        envvar=EVAL_VARIABLE,
        metavar="NAME:SEED",
        help="The scenario and its world; NAME:SEED:GOAL:STYLE with another attack.",
        show_default="that of the file",
    ),
]


SecretSeed = Annotated[
    Path | None,
    typer.Option("--secret-seed", envvar=SECRET_VARIABLE, metavar="FILE", help="The secret of a held-out world."),
]


def serve(
    evaluation: Evaluation = "",
    record: Annotated[
        Path | None,
        typer.Option(envvar=RECORD_VARIABLE, metavar="FILE", help="Write here what grade needs, call by call."),
    ] = None,
    transport: Annotated[str, typer.Option(metavar="stdio|http", help="How the harness connects.")] = "stdio",
    host: Annotated[str, typer.Option(help="Address to listen on (http).")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on (http).")] = 8000,
    scenarios: Folder = None,
    secret_seed: SecretSeed = None,
) -> None:
    """Serve the tools in the world of one scenario, for a harness that starts MCP servers by a command.

    The person of the scenario answers the questions about writes. Each start makes a new world.
    """
    logging.basicConfig(handlers=[logging.NullHandler()])
    with usage_errors():
        if transport not in ("stdio", "http"):
            raise UsageError(f"--transport {transport}: there is stdio and http")
        evaluations = _open(scenarios, secret_seed)
        scenario = evaluations.find(evaluation)
        if scenario.pages is not None and record is None:
            raise UsageError(f"{scenario.name} has pages, and their key stands beside the record: add --record FILE")
        with RecordWriter(record, scenario, evaluations.held_out) if record else nullcontext() as writer:
            if transport == "stdio":
                anyio.run(serve_stdio, scenario, writer)
            else:
                typer.echo(f"{name_of(scenario)} at http://{host}:{port}{MCP_PATH}", err=True)
                anyio.run(serve_http, scenario, writer, host, port)


def reply(
    transcript: Annotated[Path, typer.Argument(metavar="TRANSCRIPT", help="The messages so far, [] for the first.")],
    evaluation: Evaluation = "",
    record: Annotated[
        Path | None,
        typer.Option(envvar=RECORD_VARIABLE, metavar="FILE", help="The record of the server, for a link to its pages."),
    ] = None,
    scenarios: Folder = None,
    secret_seed: SecretSeed = None,
) -> None:
    """Print the next message of a scenario's person as JSON: {"message": "..."}, or null at the end of the talk.

    Exit codes: 0 done, 2 a mistake in the options or the transcript.
    """
    with usage_errors():
        (talk,) = _read([transcript])
        scenario = _open(scenarios, secret_seed).find(evaluation or talk.evaluation)
        message = anyio.run(_reply, scenario, talk, record)
    typer.echo(json.dumps({"message": message}, ensure_ascii=False))


async def _reply(scenario: Scenario, talk: Transcript, record: Path | None) -> str | None:
    async def open_link(link: str, choice: Choice) -> str:
        if record is None:
            raise UsageError("the agent's link leads to a page: name the record of its server with --record")
        async with open_browser(scenario, read_page_key(record)) as browser:
            return await browser.visit(link, choice)

    try:
        return await next_message(scenario, talk, open_link if scenario.pages else None)
    except httpx2.HTTPError as error:
        raise UsageError(
            f"the page of the agent's link cannot be opened ({type(error).__name__}); serve must still run"
        ) from None


def grade(
    transcripts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TRANSCRIPT]...", help="Message lists as JSON or JSON lines, or Inspect logs."),
    ] = None,
    evaluation: Evaluation = "",
    record: Annotated[
        Path | None,
        typer.Option(envvar=RECORD_VARIABLE, metavar="FILE", help="The record of the served world of the transcript."),
    ] = None,
    answer: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The agent's answer, in place of a transcript. Needs a record.")
    ] = None,
    agent: Annotated[
        str, typer.Option(metavar="NAME", help="The agent's name in the results.", show_default="the log's model")
    ] = "",
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a results file, for report and compare.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each result as one line of JSON.")] = False,
    scenarios: Folder = None,
    secret_seed: SecretSeed = None,
) -> None:
    """Grade what an agent did in another harness.

    \b
    python -m roadster_evals grade messages.json --eval payments_lease:7
    python -m roadster_evals grade logs/*.eval --results mine.jsonl
    python -m roadster_evals grade --record record.jsonl --answer "The lease is $312.40 a month."

    Without a record, the calls are made again in a new world. A trial whose answers differ from those of its world
    is void, and says where.

    Exit codes: 0 all were solved, 1 one was not, 2 a mistake in the options or a transcript. The others are graded.
    """  # noqa: D301  # typer does not wrap the lines after a \b
    logging.basicConfig(handlers=[logging.NullHandler()])
    with usage_errors():
        if results is not None and results.exists():
            raise UsageError(f"--results {results}: is there already; name another file")
        evaluations = _open(scenarios, secret_seed)
        known_record = read_record(record) if record else None
        talks, mistakes = _collect(transcripts or [], known_record, answer, evaluations)
        lines, more_mistakes = anyio.run(_grade_all, talks, known_record, evaluations, evaluation, agent)
        if results is not None and lines:
            _write_results(results, lines, scenarios, _read_secret(secret_seed))
    for mistake in (*mistakes, *more_mistakes):
        typer.echo(mistake, err=True)
    grades = [Result.from_json(line) for line in lines]
    if grades:
        for text in map(json.dumps, lines) if as_json else result_lines(grades):
            typer.echo(text)
    if mistakes or more_mistakes:
        raise typer.Exit(USAGE_ERROR)
    raise typer.Exit(0 if all_solved(grades) else FAILED)


def export(
    form: Annotated[str, typer.Argument(metavar="inspect|tau-bench", help="The format of the tasks.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write the files.")],
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only scenarios with this in their name, or as a tag.")
    ] = "",
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="The worlds, for instance 1-20 or 1-5,9.")] = "7",
    goals: Annotated[
        str, typer.Option(metavar="GOALS", help="Cross the attacks with these goals of attackers, or all.")
    ] = "",
    styles: Annotated[str, typer.Option(metavar="STYLES", help="Cross the attacks with these styles, or all.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files where they exist.")] = False,
    scenarios: Folder = None,
    secret_seed: SecretSeed = None,
) -> None:
    """Write scenarios as tasks of another harness.

    inspect: inspect_task.py is a whole task, which starts a server for each sample of dataset.jsonl. Run it with
    inspect eval FOLDER/inspect_task.py; the grade is a score.

    tau-bench: tasks_test.py has the tasks of tau-bench, and tasks.json those of tau2-bench. Put them into a domain
    that has these tools, and give its result files to grade.

    Exit codes: 0 done, 2 a mistake in the options or files.
    """
    with usage_errors():
        texts_of = FORMATS.get(form)
        if texts_of is None:
            raise UsageError(f"{form}: there is {', '.join(FORMATS)}")
        try:
            tasks = _open(scenarios, secret_seed).select(
                only, parse_seeds(seeds), choose("--goals", goals, GOALS), choose("--styles", styles, STYLES)
            )
            folder.mkdir(parents=True, exist_ok=True)
            texts = {folder / name: text for name, text in texts_of(tasks).items()}
            existing_files = [str(path) for path in texts if path.exists()]
            if existing_files and not force:
                raise UsageError(
                    f"{' and '.join(existing_files)}: there already; name another folder, or overwrite with --force"
                )
            for path, text in texts.items():
                path.write_text(text, "utf-8")
        except OSError as error:
            raise UsageError(f"cannot be exported: {error}") from None
    typer.echo(f"{len(tasks)} tasks in {folder}")


def _open(folder: Path | None, secret_seed: Path | None) -> Evaluations:
    """Returns the scenarios. Raises UsageError."""
    return Evaluations(folder or OWN_SCENARIOS, _read_secret(secret_seed))


def _read_secret(path: Path | None) -> str | None:
    return read_secret(path) if path else None


def _collect(
    paths: Sequence[Path], record: Record | None, answer: str | None, evaluations: Evaluations
) -> tuple[list[Transcript], list[TranscriptError]]:
    """Returns the transcripts to grade, and the mistakes in those that are none."""
    if answer is not None:
        if record is None or paths:
            raise UsageError("--answer: give it with --record, and without a transcript")
        return [transcript_of(record, evaluations.find(record.evaluation), answer)], []
    contents = [talk for path in paths for talk in _read_file(path)]
    if not contents:
        raise UsageError("there is nothing to grade: name a transcript, or give --record and --answer")
    if record is not None and len(contents) > 1:
        raise UsageError(f"--record {record.source}: belongs to one transcript, and here are {len(contents)}")
    talks = [talk for talk in contents if isinstance(talk, Transcript)]
    return talks, [talk for talk in contents if isinstance(talk, TranscriptError)]


def _read_file(path: Path) -> Iterator[Transcript | TranscriptError]:
    try:
        yield from read_transcripts(path)
    except TranscriptError as error:
        yield error


async def _grade_all(
    talks: Sequence[Transcript], record: Record | None, evaluations: Evaluations, evaluation: str, agent: str
) -> tuple[list[Line], list[str]]:
    """Returns the lines of the results, and the mistakes."""
    lines: list[Line] = []
    mistakes: list[str] = []
    trials: Counter[tuple[str, str]] = Counter()
    async with open_workspace() as workspace:
        for talk in talks:
            name = agent or talk.agent or "unknown"
            try:
                scenario = evaluations.find(evaluation or talk.evaluation or (record.evaluation if record else ""))
                if record is not None:
                    record.check(scenario, evaluations.held_out)
                result = await grade_transcript(workspace, scenario, replace(talk, agent=name), record)
            except UsageError as error:
                source = "" if str(error).startswith(talk.source) else f"{talk.source}: "
                mistakes.append(f"{source}{error}")
                continue
            trials[name_of(scenario), name] += 1
            lines.append(replace(result, trial=trials[name_of(scenario), name]).json())
    return lines, mistakes


def _write_results(path: Path, lines: Sequence[Line], folder: Path | None, secret: str | None) -> None:
    agents = sorted({line["agent"] for line in lines})
    plan = Plan(
        scenarios=tuple(sorted({line["scenario"] for line in lines})),
        agent=", ".join(agents),
        folder=str(folder) if folder else None,
        seeds=tuple(sorted({line["seed"] for line in lines})),
        trials=max(line["trial"] for line in lines),
        secret=secret,
    )
    with ResultsFile(path, plan.header()) as file:
        for line in lines:
            file.append(line)
        file.finish()


def _read(paths: Sequence[Path]) -> list[Transcript]:
    """Returns the transcripts of the files. Raises TranscriptError for the first that is none."""
    talks = []
    for path in paths:
        for talk in read_transcripts(path):
            if isinstance(talk, TranscriptError):
                raise talk
            talks.append(talk)
    return talks
