"""The command line. Results go to stdout and everything else to stderr. Exit codes are part of the contract.

A command loads what it needs when it runs, so `--help` and shell completion load nothing of the server.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import typer

from roadster_server.settings.defaults import LOCAL_CALLER
from roadster_server.settings.errors import ConfigurationError
from roadster_server.telemetry.logs import configure_logs

from . import people
from .admin import admin
from .group import CommandGroup
from .options import (
    INTERRUPTED,
    CallerName,
    Config,
    Format,
    Record,
    Replay,
    Sandbox,
    Seed,
    Transport,
    Yes,
    collect_garbage,
    exit_on_mistakes,
    open_backend,
    print_notice,
    run_async,
)

app = CommandGroup(
    "MCP server for the Roadster digital-retail API of car dealers.",
    epilog="Try it without any configuration: roadster-mcp demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"roadster-mcp {version('roadster-mcp')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version  # where it is set, `_print_version` has ended the program


@app.command()
def serve(
    transport: Annotated[Transport, typer.Option(help="How assistants connect.")] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="Address to listen on (http, sse).")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on (http, sse). 0 takes a free one.")
    ] = 8000,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share the port (http). Needs PostgreSQL and Redis.")
    ] = 1,
) -> None:
    """Serve MCP to assistants, over stdio or HTTP."""
    from .serve import serve_http, serve_in_workers, serve_stdio

    configure_logs()
    with exit_on_mistakes(), open_backend(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend:
        if workers > 1:
            if sandbox:
                raise ConfigurationError(["--sandbox and --workers exclude each other; leave out one"])
            if record is not None or replay is not None:
                raise ConfigurationError(["--record and --replay are for one process; leave out --workers"])
            raise typer.Exit(serve_in_workers(backend, transport, host, port, config, workers))
        if transport is Transport.STDIO:
            serve_stdio(backend)
        else:
            serve_http(backend, "http" if transport is Transport.HTTP else "sse", host, port)


@app.command()
def demo() -> None:
    """Work a deal in the embedded sandbox, step by step, as an assistant does it."""
    from .calls.demo import run_demo

    raise typer.Exit(run_async(run_demo))


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
    vehicles: Annotated[int, typer.Option(min=1, max=20_000, help="The vehicles of each dealer.")] = 200,
) -> None:
    """Serve the emulated Roadster API over HTTP, to test against."""
    from roadster_sandbox import API_KEY, BASE_PATHS, USERNAME
    from roadster_sandbox import serve as serve_sandbox
    from roadster_server.transports.http.listening.sockets import require_free

    with exit_on_mistakes():
        require_free(host, port)
    address = f"http://{host}:{port}"
    typer.echo(f"Roadster API at {address}{BASE_PATHS['roadster']} with the key {API_KEY}; world {seed}", err=True)
    typer.echo(f"Roadie API at {address}{BASE_PATHS['roadie']} with the same key", err=True)
    typer.echo(f"myKaarma API at {address}{BASE_PATHS['mykaarma']} for {USERNAME} with the key as password", err=True)
    collect_garbage()
    serve_sandbox(host, port, seed, vehicles)


@app.command()
def tools(
    form: Annotated[
        Format,
        typer.Option(
            "--format", show_choices=False, help="mcp, openai or anthropic for a host, markdown for a reader."
        ),
    ] = Format.MCP,
    caller: Annotated[str | None, typer.Option(help="List only the tools that this caller may use.")] = None,
    config: Config = None,
    sandbox: Sandbox = False,
) -> None:
    """List the tools, with their schemas."""
    from roadster_server.protocol.visible import tools_of
    from roadster_tools import TOOLS

    from .formats import render

    with exit_on_mistakes():
        visible = list(TOOLS.values())
        if caller is not None or config is not None:
            with open_backend(config, sandbox=sandbox) as backend:
                visible = visible if caller is None else tools_of(backend.settings.caller(caller))
        typer.echo(render(visible, form.value))


@app.command()
def call(
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Annotated[str, typer.Argument(metavar="[JSON|@FILE|-]", help="Its arguments as a JSON object.")] = "{}",
    caller: CallerName = LOCAL_CALLER,
    yes: Yes = False,
    show: Annotated[bool, typer.Option("--show", help="At a terminal, print the answer to be read.")] = False,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Call one tool, and print its result as JSON on stdout.

    Exit codes: 0 done; 1 the tool answered with an error; 2 usage or configuration; 3 refused by policy, not
    confirmed or over a limit; 4 upstream or store failed; 5 outcome unknown (a write whose answer was lost);
    6 waits for a person, who approves the write on a page.
    """
    from .calls.call import call_once, load_arguments, show_outcome

    configure_logs()
    with exit_on_mistakes():
        document = load_arguments(arguments, sys.stdin)
        with open_backend(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend:
            outcome = run_async(call_once, backend, caller, tool, document, yes)
    if show and sys.stdout.isatty():
        show_outcome(tool, outcome)
    else:
        typer.echo(json.dumps(outcome.document, ensure_ascii=False))
    raise typer.Exit(outcome.code)


@app.command()
def run(
    script: Annotated[str, typer.Argument(metavar="SCRIPT.jsonl|-", help="A file with one call a line.")],
    out: Annotated[Path | None, typer.Option(help="The file to write the results to.", show_default="stdout")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="How many calls to make at once.")] = 1,
    caller: CallerName = LOCAL_CALLER,
    yes: Yes = False,
    config: Config = None,
    sandbox: Sandbox = False,
    seed: Seed = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Call tools by a script: one call a line in, one result a line out, in the script's order.

    These are two calls, each to be written on one line, with what you expect of them:

    \b
    {"tool": "get_vehicle", "id": "car",
     "arguments": {"dealer": "umazda",
      "vin": "3MVDMBBM0SM472067"},
     "expect": {"jmespath": "make",
      "value": "Mazda"}}
    {"tool": "list_inventory",
     "arguments":
      {"dealer": "toyotademo"},
     "expect": {"error": "refused"}}

    "expect" may be a list. "within": 0.01 beside "value" lets numbers differ by that. The results, each on one line:

    \b
    {"line": 1, "id": "car",
     "tool": "get_vehicle", "code": 0,
     "result": {…}, "met": true}
    {"line": 2,
     "tool": "list_inventory", "code": 3,
     "error": "refused",
     "message": "Refused: …",
     "met": true}

    "code" is the exit code that `call` would have. Try it: put the lines into deal.jsonl, then

    \b
    roadster-mcp run deal.jsonl --sandbox

    Exit codes: 1 where an expectation does not hold; else the largest "code" of the lines that expect nothing; 2 for
    a line that is no call, an unknown tool, or a script without a call, before anything is sent; 130 after Ctrl-C.
    Nobody is asked, so a write that needs confirmation needs --yes.
    """  # noqa: D301 - \b keeps the lines below it as they are
    from .calls.script import read_script
    from .calls.script_run import Report, run_script

    configure_logs(logging.WARNING)
    report = Report()
    with exit_on_mistakes():
        calls = read_script(script, sys.stdin)
        try:
            with (
                open_backend(config, sandbox=sandbox, seed=seed, record=record, replay=replay) as backend,
                _open_results(out) as results,
            ):
                run_async(partial(run_script, backend, caller, calls, results, report, jobs=jobs, yes=yes))
        except KeyboardInterrupt:
            print_notice(report.interruption(len(calls)))
            raise typer.Exit(INTERRUPTED) from None
    for line in report.summary():
        print_notice(line)
    raise typer.Exit(report.code)


@contextmanager
def _open_results(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise ConfigurationError(
            [f"{out}: cannot be written, because it is no plain file; name one, or leave out --out"]
        )
    try:
        # A new file in the place of the old one: nothing is written through a link, and no pipe holds us up.
        out.unlink(missing_ok=True)
        # Only for their owner: the results hold whatever the caller may see.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise ConfigurationError([f"{out}: cannot be written ({type(error).__name__})"]) from None


app.add_typer(admin.app)
app.add_typer(people.app, name="people")
