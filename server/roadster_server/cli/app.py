"""The command line. Results go to stdout, everything else to stderr; exit codes are part of the contract."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import anyio
import typer

from roadster_server.backend import DEFAULT_CONFIG, Backend, choose
from roadster_server.protocol.server import tools_of
from roadster_server.sandbox import LOCAL_CALLER
from roadster_server.settings.errors import ConfigurationError
from roadster_server.settings.loading import load
from roadster_server.telemetry.logs import configure_logs
from roadster_tools import TOOLS

from .hosts import Host, file_of
from .options import (
    INTERRUPTED,
    USAGE_ERROR,
    CallerName,
    Config,
    Format,
    Record,
    Replay,
    Sandbox,
    Seed,
    Transport,
    Yes,
    exit_on_mistakes,
    print_problems,
)

if TYPE_CHECKING:
    from socket import socket

# Plain help: rich would be imported by every start, also that of a stdio server.
app = typer.Typer(
    help="MCP server for the Roadster digital-retail API of car dealers.",
    epilog="Try it without any configuration: roadster-mcp demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
policy = typer.Typer(help="Who may do what.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(policy, name="policy")
audit = typer.Typer(help="What was called, and what became of it.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit")


@app.command()
def serve(
    transport: Annotated[Transport, typer.Option(help="How assistants connect.")] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="Address to listen on (http, sse).")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on (http, sse); 0 takes a free one.")
    ] = 8000,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share the port (http); needs PostgreSQL and Redis.")
    ] = 1,
) -> None:
    """Serve MCP to assistants, over stdio or HTTP."""
    configure_logs()
    with exit_on_mistakes(), choose(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend:
        if workers > 1:
            if sandbox:
                raise ConfigurationError(["--sandbox and --workers exclude each other; leave out one"])
            if record is not None or replay is not None:
                raise ConfigurationError(["--record and --replay are for one process; leave out --workers"])
            raise typer.Exit(_serve_in_workers(backend, transport, host, port, config, workers))
        if transport is Transport.STDIO:
            from roadster_server.transports.stdio import serve_stdio

            async def run() -> None:
                async with backend.open_server(LOCAL_CALLER) as (server, calls):
                    await serve_stdio(server, calls, backend)
        else:
            from roadster_server.transports.http_process import serve_backend
            from roadster_server.transports.sockets import listen

            bound = listen(host, port)

            async def run() -> None:
                await serve_backend(backend, "http" if transport is Transport.HTTP else "sse", bound, host=host)

        anyio.run(run)


def _serve_in_workers(
    backend: Backend, transport: Transport, host: str, port: int, config: Path | None, count: int
) -> int:
    from roadster_server.transports.sockets import listen
    from roadster_server.transports.workers import require_shared, run_workers

    if transport is not Transport.HTTP:
        raise ConfigurationError([f"--workers {count}: is for --transport http alone"])
    require_shared(backend.settings, count)
    return run_workers(count, partial(_serve_as_worker, config, host, count), listen(host, port))


def _serve_as_worker(config: Path | None, host: str, count: int, bound: socket, serves: Callable[[], None]) -> None:
    """What each worker runs, in a process of its own: it reads the configuration itself."""
    from roadster_server.transports.http_process import serve_backend

    configure_logs()
    try:
        with choose(config, sandbox=False) as backend:
            anyio.run(partial(serve_backend, backend, "http", bound, host=host, workers=count, serves=serves))
    except ConfigurationError as error:
        print_problems(error)
        raise SystemExit(USAGE_ERROR) from None


@app.command()
def demo() -> None:
    """Work a deal in the embedded sandbox, step by step, as an assistant does it."""
    from .demo import run_demo

    raise typer.Exit(anyio.run(run_demo))


@app.command("sandbox")
def sandbox_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
) -> None:
    """Serve the emulated Roadster API over HTTP, to test against."""
    from roadster_sandbox import API_KEY, BASE_PATHS, USERNAME
    from roadster_sandbox import serve as serve_sandbox
    from roadster_server.transports.sockets import require_free

    with exit_on_mistakes():
        require_free(host, port)
    at = f"http://{host}:{port}"
    typer.echo(f"Roadster API at {at}{BASE_PATHS['roadster']} with the key {API_KEY}; world {seed}", err=True)
    typer.echo(f"Roadie API at {at}{BASE_PATHS['roadie']} with the same key", err=True)
    typer.echo(f"myKaarma API at {at}{BASE_PATHS['mykaarma']} for {USERNAME} with the key as password", err=True)
    serve_sandbox(host, port, seed)


@app.command()
def tools(
    form: Annotated[Format, typer.Option("--format", help="The form that a host or a reader wants.")] = Format.MCP,
    caller: Annotated[str | None, typer.Option(help="Only what this caller may use.")] = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """List the tools, with their schemas."""
    from .formats import render

    with exit_on_mistakes():
        listed = list(TOOLS.values())
        if caller is not None or config is not None:
            with choose(config, sandbox=sandbox) as backend:
                listed = listed if caller is None else tools_of(backend.settings.caller(caller))
        typer.echo(render(listed, form.value))


@app.command()
def call(
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Annotated[str, typer.Argument(metavar="[JSON|@FILE|-]", help="Its arguments as a JSON object.")] = "{}",
    caller: CallerName = LOCAL_CALLER,
    yes: Yes = False,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Call one tool; the result is JSON on stdout.

    Exit codes: 0 done; 1 the tool answered with an error; 2 usage or configuration; 3 refused by policy, not
    confirmed or over a limit; 4 upstream or store failed; 5 outcome unknown (a write whose answer was lost).
    """
    from .call import call_once, read_arguments

    configure_logs()
    with exit_on_mistakes():
        given = read_arguments(arguments, sys.stdin)
        with choose(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend:
            outcome = anyio.run(call_once, backend, caller, tool, given, yes)
    typer.echo(json.dumps(outcome.shown, ensure_ascii=False))
    raise typer.Exit(outcome.code)


@app.command()
def run(
    script: Annotated[str, typer.Argument(metavar="SCRIPT.jsonl|-", help="One call a line.")],
    out: Annotated[Path | None, typer.Option(help="Where the results go.", show_default="stdout")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="How many calls at once.")] = 1,
    caller: CallerName = LOCAL_CALLER,
    yes: Yes = False,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Call tools by a script, one call a line in, one result a line out, in the script's order.

    A line, with what it expects where you want that checked:

    \b
      {"tool": "get_vehicle", "arguments": {"dealer": "umazda", "vin": "3MVDMBBM0SM472067"},
       "id": "car", "expect": {"jmespath": "make", "value": "Mazda"}}
      {"tool": "list_inventory", "arguments": {"dealer": "toyotademo"}, "expect": {"error": "refused"}}

    (each on one line). "expect" may be a list of such. The results:

    \b
      {"line": 1, "id": "car", "tool": "get_vehicle", "code": 0, "result": {…}, "met": true}
      {"line": 2, "tool": "list_inventory", "code": 3, "error": "refused", "message": "Refused: …", "met": true}

    "code" is the exit code that `call` would have. Try it: put the lines into deal.jsonl, then

    \b
      roadster-mcp run deal.jsonl --sandbox --seed 7

    Exit codes: 1 where an expectation does not hold; else the largest "code" of the lines that expect nothing; 2 for
    a line that is no call, or a script without any, before anything is sent; 130 after Ctrl-C. Nobody is asked: what
    wants confirming needs --yes.
    """  # noqa: D301 - \b keeps the lines below it as they are
    from .script import read_script
    from .script_run import Report, run_script

    configure_logs(logging.WARNING)
    report = Report()
    with exit_on_mistakes():
        calls = read_script(script, sys.stdin)
        try:
            with (
                choose(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend,
                _results(out) as results,
            ):
                anyio.run(partial(run_script, backend, caller, calls, results, report, jobs=jobs, yes=yes))
        except KeyboardInterrupt:
            typer.echo(f"roadster-mcp: {report.interrupted(len(calls))}", err=True)
            raise typer.Exit(INTERRUPTED) from None
    for line in report.summary():
        typer.echo(f"roadster-mcp: {line}", err=True)
    raise typer.Exit(report.code)


@contextmanager
def _results(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        # For their owner's eyes: the results hold what the caller may see.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            if out.is_file():
                out.chmod(0o600)  # where it was there before
            yield file
    except OSError as error:
        raise ConfigurationError([f"{out}: cannot be written ({type(error).__name__})"]) from None


@app.command()
def doctor(config: Config = None, sandbox: Sandbox = False) -> None:
    """Check the configuration, files, secrets, link keys, callers, the store, the upstreams and the clock.

    One line for each finding: "ok", or "problem" with what to do. Upstreams are only read from; the store is made
    or migrated, as by serve.

    Exit codes: 0 all is well; 1 a problem on this machine or with a dealer's ids; 2 the configuration cannot be used;
    4 an upstream cannot be reached, or does not accept the credentials.
    """
    from .doctor import Finding, examine

    configure_logs(logging.ERROR)

    async def run(backend: Backend) -> int:
        worst = 0
        async for finding in examine(backend, None if sandbox else config or DEFAULT_CONFIG):
            typer.echo(finding.line())
            worst = max(worst, finding.code)
        return worst

    try:
        with choose(config, sandbox=sandbox) as backend:
            code = anyio.run(run, backend)
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(Finding("configuration", problem, USAGE_ERROR).line())
        code = USAGE_ERROR
    raise typer.Exit(code)


@app.command()
def install(
    host: Annotated[Host, typer.Argument(help="The application that shall start the server.")],
    only_print: Annotated[
        bool, typer.Option("--print", help="Print what to put into its file, and change none.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take our entry out again.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Change the file without being asked.")] = False,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Put this server into an application's configuration, with --sandbox or with a configuration.

    What changes is shown first, and a copy of the file is kept. All else in it stays as it is. Claude Code's file is
    the .mcp.json of the current folder; the others' are those of the user.

    Exit codes: 0 done, or nothing to do; 1 you said no; 2 the file cannot be changed, because it has comments or such.
    """
    from .install import entry, installed, removed, snippet

    with exit_on_mistakes():
        if only_print and undo:
            raise ConfigurationError(["--print and --undo exclude each other; leave out one"])
        put = {} if undo else entry(host, _existing(config, sandbox=sandbox))
        if only_print:
            typer.echo(snippet(host, put))
            return
        path = file_of(host, platform=sys.platform, home=Path.home(), environment=os.environ, folder=Path.cwd())
        change = removed(path, host) if undo else installed(path, host, put)
        if change is None:
            typer.echo(f"{path}: nothing to do")
            return
        typer.echo(change.diff())
        if not yes and not sys.stdin.isatty():
            raise ConfigurationError([f"{path}: is changed only after asking: needs a terminal, or --yes"])
        if not yes and not typer.confirm("Change the file?"):
            typer.echo("nothing was changed")
            raise typer.Exit(1)
        backup = change.apply()
    typer.echo(f"{path}: changed" + (f"; as it was: {backup}" if backup else ""))


def _existing(config: Path | None, *, sandbox: bool) -> Path | None:
    """The configuration that a host shall start with, None for the sandbox."""
    if sandbox:
        if config is not None:
            raise ConfigurationError(["--sandbox takes no configuration; leave out --sandbox, or --config"])
        return None
    path = config or DEFAULT_CONFIG
    if not path.is_file():
        raise ConfigurationError([f"{path}: there is no such file; name one with --config, or try --sandbox"])
    return path


@policy.command()
def explain(
    caller: CallerName,
    tool: Annotated[str, typer.Option(help="A tool.")],
    dealer: Annotated[str, typer.Option(help="A dealer's dpid.")],
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """Say whether a caller may use a tool at a dealer, and which setting decides."""
    from .call import explain_policy

    with exit_on_mistakes(), choose(config, sandbox=sandbox) as backend:
        typer.echo(explain_policy(backend.settings, caller, tool, dealer))


@audit.command()
def verify(config: Config = None) -> None:
    """Check the chain of audit records; exit 1 where one was changed, taken out or put in.

    Records cut off at the end leave no trace in what remains: note the head's hash somewhere else, and compare.
    """
    from .audit import verify_audit

    with exit_on_mistakes():
        line, good = anyio.run(verify_audit, load(config or DEFAULT_CONFIG))
    typer.echo(line)
    raise typer.Exit(0 if good else 1)


@audit.command()
def tail(
    count: Annotated[int, typer.Option("--last", min=1, help="How many records.")] = 20,
    config: Config = None,
) -> None:
    """Print the newest audit records, one JSON object a line."""
    from .audit import print_audit

    with exit_on_mistakes():
        anyio.run(print_audit, load(config or DEFAULT_CONFIG), None, count)


@audit.command()
def export(
    since: Annotated[str, typer.Option(metavar="TIME", help="An ISO 8601 time, UTC unless it says an offset.")] = "",
    config: Config = None,
) -> None:
    """Print the audit records from a time on, one JSON object a line."""
    from .audit import print_audit

    with exit_on_mistakes():
        anyio.run(print_audit, load(config or DEFAULT_CONFIG), _time(since) if since else None, None)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError([f"{text}: is no ISO 8601 time; write it as 2026-01-31T18:00:00Z"]) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


@app.command()
def forget(
    dealer: Annotated[str, typer.Option(help="The dealer's dpid.")],
    customer: Annotated[str, typer.Option(help="Roadster's id of the customer.")],
    config: Config = None,
) -> None:
    """Delete all that events brought of one customer; the audit keeps that it was done, with the id hashed."""
    from .forgetting import forget_customer

    with exit_on_mistakes():
        deleted = anyio.run(forget_customer, load(config or DEFAULT_CONFIG), dealer, customer)
    typer.echo(f"deleted: {deleted} events of customer {customer} at {dealer}")


@app.command()
def token(name: Annotated[str, typer.Argument(help="The caller it is for.")]) -> None:
    """Make a token for a caller. It is shown once; the configuration keeps its hash alone."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) is None:
        raise typer.BadParameter("a caller's name has letters, digits, - and _ alone")
    made = secrets.token_urlsafe(32)
    typer.echo(f"token for {name}, shown once: {made}")
    typer.echo(f'in [callers.{name}]: token_sha256 = ["{hashlib.sha256(made.encode()).hexdigest()}"]')
